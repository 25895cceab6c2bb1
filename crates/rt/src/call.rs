//! Calls of native code.

use core::ptr;

use crate::abi::FunctionRecord;
use crate::arch::enter;
use crate::store::{Activation, Store};
use crate::trap::Trap;

/// Calls a function with the arguments in slots of 8 bytes (a vector takes two), where the results are left.
///
/// # Safety
/// The function belongs to an instance of the store, which lives; the slots are as many as its type's parameters or
/// results need, whichever are more.
pub unsafe fn call(store: *mut Store, function: &FunctionRecord, slots: *mut u64) -> Result<(), Trap> {
    // SAFETY: the caller promises that all of this lives; what native code leaves by a trap owns nothing.
    unsafe {
        let mut activation = Activation { stack: 0, store };
        let platform = (*store).platform;
        let (outer, outer_limit) = ((*store).activation, (*store).stack_limit);
        let here = ptr::from_ref(&activation) as usize;
        let limit = here.saturating_sub((*store).limits.stack_bytes_max);
        (*store).stack_limit = if outer.is_null() { limit } else { outer_limit };
        (*store).activation = &mut activation;
        let outer_of_thread = platform.activate(&mut activation);
        let code = enter(&mut activation, function.enter, function.code, function.instance, slots);
        platform.activate(outer_of_thread);
        (*store).activation = outer;
        (*store).stack_limit = outer_limit;
        Trap::from_code(code).map_or(Ok(()), Err)
    }
}
