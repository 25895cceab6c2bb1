//! Profile `dense`: isolation and efficiency. Compiled code, guard pages, pooled copy-on-write instances.

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, Strategy};

use crate::limits::GROWTH_RESERVED_BYTES;
use crate::options::{Bounds, Codegen, Options};
use crate::{Profile, Settings, shim};

/// Bytes of address space that one memory slot reserves; also the largest memory that fits a slot.
pub(crate) const SLOT_BYTES: usize = 4 << 30;

/// Slots when nobody names a number: enough for one program with all its parts.
pub(crate) const SLOTS_DEFAULT: u32 = 64;

/// Core instances for each slot: those that a component for WASI has beside its program, and some. They are only counted.
const CORE_INSTANCES_PER_SLOT: u32 = 16;

/// Tables for each slot.
const TABLES_PER_SLOT: u32 = 4;

/// Core instances and tables of a small pool: programs that are linked at run time, as Python's are, have dozens.
const PARTS_MIN: u32 = 4_000;

/// Elements that one table slot can grow to. Only address space until they are used.
const TABLE_ELEMENTS_MAX: usize = 10_000_000;

/// Bytes of a memory that a slot keeps, reset page by page, from one instance to the next.
const KEEP_RESIDENT_BYTES: usize = 1 << 20;

/// Code by Cranelift, for the processor that it will run on.
pub(crate) fn code(config: &mut Config, options: &Options) {
    config.strategy(Strategy::Cranelift);
    if options.codegen == Codegen::Native {
        // Native code counts on it: see `shim::REACH_BYTES`. Its own policy is not Wasmtime's.
        config
            .memory_reservation(SLOT_BYTES as u64)
            .memory_guard_size((shim::REACH_BYTES - SLOT_BYTES) as u64)
            .memory_may_move(false);
        return;
    }
    match options.bounds {
        // A 32-bit index reaches 4 GiB, and a constant offset a little further. All of it is reserved, so that the
        // processor itself catches what is out of bounds and the code needs no comparison.
        Bounds::Guarded => config
            .memory_reservation(SLOT_BYTES as u64)
            .memory_guard_size(32 << 20)
            .memory_reservation_for_growth(2 << 30),
        // Little is reserved: every access is compared with the memory's length. Costs run time, saves address
        // space.
        Bounds::Checked | Bounds::Masked | Bounds::Unchecked => config
            .memory_reservation(0)
            .memory_guard_size(0)
            .memory_reservation_for_growth(GROWTH_RESERVED_BYTES),
    };
}

/// Whether memories move when they grow, which those in slots cannot.
pub(crate) fn moves_memories(options: &Options) -> bool {
    options.codegen != Codegen::Native && options.bounds != Bounds::Guarded
}

/// Instances in slots: all address space is reserved now, and an instance only takes and returns a slot.
pub(crate) fn pool(config: &mut Config, slots: u32, settings: &Settings) {
    let options = &settings.options;
    let mut pool = PoolingAllocationConfig::new();

    // A component is made of several core instances, most of them without a memory of their own. How many a program
    // has is its own affair within its limits, so every count is the whole pool's.
    let instances = slots.saturating_mul(CORE_INSTANCES_PER_SLOT).max(PARTS_MIN);
    let tables = slots.saturating_mul(TABLES_PER_SLOT).max(PARTS_MIN);
    // One memory more in each stand-in for native code.
    let memories = if options.codegen == Codegen::Native { slots.saturating_mul(2) } else { slots };
    pool.total_component_instances(slots)
        .total_core_instances(instances)
        .total_memories(memories)
        .total_tables(tables)
        .total_stacks(slots)
        .total_gc_heaps(slots)
        .max_core_instances_per_component(instances)
        .max_memories_per_component(memories)
        .max_tables_per_component(tables)
        .max_memories_per_module(memories)
        .max_tables_per_module(tables);

    // Sizes that are only address space can be generous: the meter counts what is used of them.
    pool.max_memory_size(SLOT_BYTES)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_core_instance_size(16 << 20)
        .max_component_instance_size(16 << 20);

    // A slot that served an instance is cleaned by writing over the few pages that were touched, which the kernel
    // lists (PAGEMAP_SCAN, Linux 6.7), instead of by giving all pages back and faulting them in again. A sealed process has
    // no file in which they are listed, and what its engine was copied from would have another process's. Without the list,
    // all that is kept would be written over, and so be there.
    let (resident, scan) = match settings.profile {
        Profile::Sealed => (0, Enabled::No),
        _ => (KEEP_RESIDENT_BYTES, Enabled::Auto),
    };
    pool.linear_memory_keep_resident(resident)
        .table_keep_resident(64 << 10)
        .async_stack_keep_resident(64 << 10)
        .pagemap_scan(scan);

    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
}

/// Instances on demand: each maps what it needs when it starts, and unmaps it when it ends.
pub(crate) fn on_demand(config: &mut Config) {
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
}
