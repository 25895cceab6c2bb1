//! What a program may use up: the limits of one instance, their defaults, and the named maxima of this crate.

use std::time::Duration;

/// Bytes of a program file that will be read at all.
pub const PROGRAM_BYTES_MAX: u64 = 1 << 30;

/// Core instances, and as many memories and tables, that one store may hold.
pub const INSTANCES_MAX: usize = 1_000;

/// Instances that a component may unfold to, those of modules and of components together.
pub const UNFOLDED_INSTANCES_MAX: u64 = 10_000;

/// Places in a component that may make an instance of a component which is given to it.
pub const FOREIGN_INSTANCES_MAX: u64 = 8;

/// Components inside components, so deep. Compiling them takes memory with the square of the depth: 3 GB at 10,000.
pub const COMPONENT_DEPTH_MAX: usize = 100;

/// Bytes that one table element costs the host: Wasmtime stores a pointer per element.
pub const TABLE_ELEMENT_BYTES: usize = 8;

/// Bytes of host stack beyond the guest's own that a call is given, for host functions.
pub const HOST_STACK_BYTES: usize = 1 << 20;

/// Attempts to make a control group, and the time between two, where others look just then whether it is nobody's.
pub(crate) const CGROUP_MAKES_MAX: usize = 100;
/// See [`CGROUP_MAKES_MAX`].
pub(crate) const CGROUP_MAKE_PAUSE: Duration = Duration::from_millis(1);

/// Control groups beside the own one in which others that were left behind are looked for.
pub(crate) const CGROUPS_BESIDE_MAX: usize = 4_096;

/// A zygote that does not answer for so long is stopped, or hangs, and is replaced.
pub(crate) const ZYGOTE_ANSWER_MAX: Duration = Duration::from_secs(10);

/// Bytes of the name of a function, as a trap tells it.
pub(crate) const FUNCTION_NAME_BYTES_MAX: usize = 4 << 10;

/// Bytes of a processor's name.
pub const CPU_NAME_BYTES_MAX: usize = 64;

/// The least and the most time of a processor that may be asked for to make native code of a program, and what it is
/// unless asked for.
pub const COMPILE_SECONDS_MIN: u32 = 1;
/// See [`COMPILE_SECONDS_MIN`].
pub const COMPILE_SECONDS_MAX: u32 = 86_400;
/// See [`COMPILE_SECONDS_MIN`].
pub const COMPILE_SECONDS: u32 = 300;

/// Where the compiler of native code has to wait for the processor, it may take so many times longer.
pub const COMPILER_WAIT_FACTOR: u64 = 4;

/// Bytes of text that it gets through in a second on no machine.
pub const COMPILER_BYTES_PER_SECOND: u64 = 1 << 20;

/// Text that is longer is compiled in parts, each for itself: the time and the memory that it takes grow faster than it does.
pub const COMPILER_PART_BYTES: usize = 8 << 20;

/// Bytes of address space that compilers of one program may use together; on a machine with little memory, half of that.
pub const COMPILER_BYTES_MAX: u64 = 8 << 30;

/// There are several of them at the same time where each can have so much, and a processor.
pub const COMPILER_BYTES_MIN: u64 = 2 << 30;

/// Bytes of a file that it may write.
pub const COMPILER_FILE_BYTES_MAX: u64 = 2 << 30;

/// Bytes that are kept of what clang said when it failed.
pub const REFUSAL_BYTES_MAX: usize = 2_000;

/// Bytes of stack beyond the program's own in a call of native code, for the runtime and for signals.
pub const NATIVE_STACK_BYTES: usize = 128 << 10;

/// Bytes of stack from where native code trapped, in which its callers are looked for.
pub const NATIVE_TRACE_BYTES: usize = 64 << 10;

/// Functions of native code that a trap names, from the innermost: as many as Wasmtime does.
pub const NATIVE_FRAMES_MAX: usize = 20;

/// Stacks that the native code of a program keeps for the next call.
pub const NATIVE_STACKS_KEPT_MAX: usize = 64;

/// Calls into one instance of native code that have not ended: each that calls an import may be called again from there.
pub const NATIVE_CALLS_MAX: usize = 1_000;

/// Elements of all tables of one instance of native code.
pub const NATIVE_TABLE_ELEMENTS_MAX: usize = 10_000_000;

/// Bytes of address space that a memory without guard pages is given to grow into. Past them it moves, and for that
/// moment takes twice its size; a small number would make growth in small steps quadratic.
pub const GROWTH_RESERVED_BYTES: u64 = 256 << 20;

/// Slots that a pool may be asked to have: more than fit the address space at 4 GiB each.
pub const POOL_SLOTS_MAX: u32 = 20_000;

/// The least and the most Wasm stack that can be asked for, in bytes.
pub const STACK_BYTES_MIN: usize = 64 << 10;
/// See [`STACK_BYTES_MIN`].
pub const STACK_BYTES_MAX: usize = 256 << 20;

/// The fewest and the most handles that can be asked for. Standard streams need a few.
pub const HANDLES_MIN: usize = 8;
/// See [`HANDLES_MIN`].
pub const HANDLES_MAX: usize = 1_000_000;

/// The least and the most processors that a sealed process can be held to.
pub const PROCESSORS_MIN: f64 = 0.01;
/// See [`PROCESSORS_MIN`].
pub const PROCESSORS_MAX: f64 = 4_096.0;

/// How many milliseconds a connection may take for a sealed process that waits for it. One that does not is not waited for.
pub const SEALED_CONNECT_MS_MAX: i32 = 30_000;

/// The least and the most bytes a second that a sealed process can be held to send.
pub const EGRESS_RATE_MIN: u64 = 16 << 10;
/// See [`EGRESS_RATE_MIN`].
pub const EGRESS_RATE_MAX: u64 = 64 << 30;

/// How long a connection that was closed may take to send what it has, where the process is held to a rate.
pub const SEALED_CLOSING_MAX: Duration = Duration::from_secs(60);

/// Bytes of a datagram that a sealed process sends.
pub const SEALED_DATAGRAM_BYTES_MAX: usize = 65_535;

/// Bytes of text that a sealed process has native code made of, and of what it is told of an error.
pub const SEALED_TEXT_BYTES_MAX: u64 = 1 << 30;
/// See [`SEALED_TEXT_BYTES_MAX`].
pub const SEALED_WORDS_BYTES_MAX: usize = 1_000;

/// Fuel after which a program that is interrupted by fuel gives way: about a millisecond of a tight loop.
pub const SLICE_FUEL: u64 = 2_000_000;

/// Time between two signals to a thread that runs several programs. On a virtual machine a signal may cost 40 µs.
pub const SIGNAL_TICK: Duration = Duration::from_micros(500);

/// Time between two signals to such a thread when no turn was long for a while.
pub const SIGNAL_TICK_CALM: Duration = Duration::from_millis(4);

/// How many ticks that while is.
pub const CALM_AFTER_TICKS: u32 = 16;

/// Signals in one turn of a program before it gives way: a turn shorter than a tick is never cut in two.
pub const SIGNALS_PER_SLICE: u32 = 2;

/// Time from an attempt to end a program that is late to the next, at least: longer than most signals take.
pub const SIGNAL_LATE: Duration = Duration::from_micros(20);

/// Time between two ticks of the epoch clock; also the sampling period of the guest profiler.
pub const EPOCH_TICK: Duration = Duration::from_millis(1);

/// What one instance may use. Every field has a default that suits a command on a laptop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes over all memories, tables and garbage-collected heaps of the instance together.
    pub memory_bytes_max: usize,
    /// Fuel units: about one per Wasm instruction, deterministic. `None` is no limit and costs nothing.
    pub fuel_max: Option<u64>,
    /// Run time. The engine enforces it where `interrupt = epoch`, and in calls that are
    /// [watched](crate::Interruptible::watch) where `interrupt = signal`; else its embedder must.
    pub time_max: Option<Duration>,
    /// Bytes of Wasm stack. A synchronous call uses the stack of the thread that makes it, which has to be larger than
    /// this, or the process ends; an asynchronous call has a stack of its own.
    pub stack_bytes_max: usize,
    /// Open host resources (files, sockets, streams, requests) at once.
    pub handles_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes_max: 4 << 30,
            fuel_max: None,
            time_max: None,
            stack_bytes_max: 1 << 20,
            handles_max: 1_024,
        }
    }
}

/// Bytes as a person writes them: `65536`, `64K`, `512M`, `4G`, also with `iB` or `B` behind. `K` is 1,024.
pub fn parse_bytes(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::parse_bytes;

    #[test]
    fn bytes_as_people_write_them() {
        for (text, bytes) in
            [("0", 0), ("65536", 65_536), ("64K", 65_536), ("64kib", 65_536), ("2G", 2 << 30)]
        {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        for text in ["", "K", "-1", "1.5G", "1T", "1 G", "99999999999G"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }
}
