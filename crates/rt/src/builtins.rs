//! The built-ins as native code calls them: indices become records, results become codes of traps.

use core::ffi::c_void;
use core::slice;

use crate::abi::{Builtins, ELEMENT_NULL, Header};
use crate::instance::Instance;
use crate::trap::Trap;
use crate::{arch, memory, table};

/// What a header's `builtins` points to.
pub static BUILTINS: Builtins = Builtins {
    trap: arch::trap,
    memory_grow,
    memory_fill,
    memory_copy,
    memory_init,
    table_grow,
    table_fill,
    table_copy,
    table_init,
};

/// What `grow` gives when it cannot.
const FAILED: u64 = u64::MAX;

fn code(result: Result<(), Trap>) -> u32 {
    result.map_or_else(|trap| trap as u32, |()| 0)
}

// Each of the following is called by native code only, with the instance that runs, and with indices that
// validation has found to be there: that is the one reason why all their unsafe blocks hold.

/// Called by [`arch::trap`], with the frame pointer and the return address of native code, on top of its stack.
pub(crate) unsafe extern "C" fn trap(header: *mut Header, code: u32, top: *const [usize; 2]) -> ! {
    // SAFETY: native code runs, so there is an activation to leave.
    unsafe {
        let (store, [frame, returns_to]) = ((*header).store, *top);
        // The call itself may be the last instruction of its function, and is before what it would return to.
        let program_counter = returns_to.wrapping_sub(1);
        (*store).stopped(program_counter, top.add(1) as usize, frame, 0);
        arch::leave((*store).activation, code)
    }
}

unsafe extern "C" fn memory_grow(header: *mut Header, memory: u32, pages: u64) -> u64 {
    // SAFETY: see above.
    unsafe {
        let instance = Instance::from_header(header);
        (*instance.memory(memory as usize)).grow(instance.store(), pages).unwrap_or(FAILED)
    }
}

unsafe extern "C" fn memory_fill(header: *mut Header, memory: u32, to: u64, byte: u32, count: u64) -> u32 {
    // SAFETY: see above.
    unsafe {
        let instance = Instance::from_header(header);
        code(memory::fill(instance.store(), &*instance.memory(memory as usize), to, byte as u8, count))
    }
}

unsafe extern "C" fn memory_copy(
    header: *mut Header,
    target: u32,
    source: u32,
    to: u64,
    from: u64,
    count: u64,
) -> u32 {
    // SAFETY: see above.
    unsafe {
        let instance = Instance::from_header(header);
        let target = &*instance.memory(target as usize);
        let source = &*instance.memory(source as usize);
        code(memory::copy(instance.store(), (target, to), (source, from), count))
    }
}

unsafe extern "C" fn memory_init(
    header: *mut Header,
    memory: u32,
    segment: *const u8,
    segment_bytes: u32,
    to: u64,
    from: u32,
    count: u32,
) -> u32 {
    // SAFETY: see above; the segment is a constant of the object, and of this length unless it was dropped.
    unsafe {
        let instance = Instance::from_header(header);
        let segment = slice::from_raw_parts(segment, segment_bytes as usize);
        let target = &*instance.memory(memory as usize);
        code(memory::init(instance.store(), (target, to), (segment, from), count))
    }
}

unsafe extern "C" fn table_grow(header: *mut Header, table: u32, more: u64, value: *mut c_void) -> u64 {
    // SAFETY: see above.
    unsafe {
        let instance = Instance::from_header(header);
        (*instance.table(table as usize)).grow(instance.store(), more, value).unwrap_or(FAILED)
    }
}

unsafe extern "C" fn table_fill(
    header: *mut Header,
    table: u32,
    to: u64,
    value: *mut c_void,
    count: u64,
) -> u32 {
    // SAFETY: see above.
    unsafe {
        let instance = Instance::from_header(header);
        code(table::fill(instance.store(), &*instance.table(table as usize), to, value, count))
    }
}

unsafe extern "C" fn table_copy(
    header: *mut Header,
    target: u32,
    source: u32,
    to: u64,
    from: u64,
    count: u64,
) -> u32 {
    // SAFETY: see above.
    unsafe {
        let instance = Instance::from_header(header);
        let target = &*instance.table(target as usize);
        let source = &*instance.table(source as usize);
        code(table::copy(instance.store(), (target, to), (source, from), count))
    }
}

unsafe extern "C" fn table_init(
    header: *mut Header,
    table: u32,
    segment: *const i32,
    segment_len: u32,
    to: u64,
    from: u32,
    count: u32,
) -> u32 {
    // SAFETY: see above; the segment is a constant of the object, and of this length unless it was dropped. Its
    // items name functions and globals that the instance has.
    unsafe {
        let instance = Instance::from_header(header);
        let segment = slice::from_raw_parts(segment, segment_len as usize);
        let target = &*instance.table(table as usize);
        let value = |item: i32| match item {
            0.. => instance.function(item as usize).cast(),
            ELEMENT_NULL => core::ptr::null_mut(),
            _ => *instance.global((ELEMENT_NULL - 1 - item) as usize).cast::<*mut c_void>(),
        };
        code(table::init(instance.store(), (target, to), (segment, from), count, value))
    }
}
