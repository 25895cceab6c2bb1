//! The functions of the host that a [shim](super::shim) imports.

use std::sync::Arc;

use wasmtime::{AsContextMut, Caller, Linker, Memory};

use super::code::Code;
use super::shim::{EXCHANGE, MODULE, memory_name};
use crate::meter::Metered;

/// Puts native code behind the shim that imports it.
pub(crate) fn link<T: Metered>(linker: &mut Linker<T>, code: &Arc<Code>) -> wasmtime::Result<()> {
    let code = Arc::clone(code);
    linker.func_wrap(MODULE, "make", move |mut caller: Caller<'_, T>, _: i32| make(&mut caller, &code))?;
    linker.func_wrap(MODULE, "enter", |mut caller: Caller<'_, T>, guest: u64, export: u32| {
        // SAFETY: where the memories of a shim begin was asked when its guest was made, and Wasmtime, as the engine has
        // set it up, never moves them.
        unsafe { caller.data_mut().meter().guests.get(guest).enter(export) }
    })?;
    linker.func_wrap(MODULE, "resume", |mut caller: Caller<'_, T>, guest: u64, call: u32| {
        // SAFETY: as above.
        unsafe { caller.data_mut().meter().guests.get(guest).resume(call) }
    })?;
    Ok(())
}

/// Makes an instance of native code for the shim that calls.
fn make<T: Metered>(caller: &mut Caller<'_, T>, code: &Arc<Code>) -> wasmtime::Result<u64> {
    let mut memory = |name: &str| -> wasmtime::Result<*mut u8> {
        let memory: Option<Memory> = caller.get_export(name).and_then(|export| export.into_memory());
        let memory = memory.ok_or_else(|| wasmtime::format_err!("a shim has no `{name}`"))?;
        Ok(memory.data_ptr(caller.as_context_mut()))
    };
    let memories = (0..code.memories_len())
        .map(|index| memory(&memory_name(index)))
        .collect::<wasmtime::Result<Vec<_>>>()?;
    let exchange = memory(EXCHANGE)?;
    // SAFETY: see `link`.
    unsafe { caller.data_mut().meter().guests.add(code, &memories, exchange) }
}
