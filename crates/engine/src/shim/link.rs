//! The function of the host that a [shim](super::module) imports, which makes an instance of native code for it.

use std::sync::Arc;

use wasmtime::component::{self, WasmList};
use wasmtime::{AsContextMut, Caller, Linker, Memory, StoreContextMut};

use super::code::Code;
use super::component::{INTERFACE, LAST};
use super::module::{EXCHANGE, MODULE, memory_name};
use crate::meter::Metered;

/// Puts native code behind the shim that imports it.
pub(crate) fn link<T: Metered>(linker: &mut Linker<T>, codes: &[Arc<Code>]) -> wasmtime::Result<()> {
    let codes: Arc<[Arc<Code>]> = codes.into();
    linker.func_wrap(MODULE, "make", move |mut caller: Caller<'_, T>, module: u32| {
        make(&mut caller, &codes[module as usize])
    })?;
    Ok(())
}

/// Puts native code behind the shims of a component.
pub(crate) fn link_component<T: Metered>(
    linker: &mut component::Linker<T>,
    codes: &[Arc<Code>],
) -> wasmtime::Result<()> {
    let codes: Arc<[Arc<Code>]> = codes.into();
    let mut interface = linker.instance(INTERFACE)?;
    interface.func_wrap("make", move |mut store: StoreContextMut<'_, T>, (module,): (u32,)| {
        store.data_mut().meter().guests.make(&codes[module as usize]);
        Ok(())
    })?;
    interface.func_wrap("bind", bind)
}

/// Tells where a memory begins, and with the last of them makes the instance.
fn bind<T: Metered>(
    mut store: StoreContextMut<'_, T>,
    (memory, start): (u32, WasmList<u8>),
) -> wasmtime::Result<()> {
    let start = start.as_le_slice(&store).as_ptr().cast_mut();
    let meter = store.data_mut().meter();
    if memory == LAST {
        let (left, ends_at) = (meter.bytes_left(), meter.ends_at());
        // SAFETY: Wasmtime, as the engine has set it up, moves no memory.
        return unsafe { meter.guests.finish(start, left, ends_at) };
    }
    meter.guests.lend(start);
    Ok(())
}

/// Makes an instance of native code for the shim that calls.
fn make<T: Metered>(caller: &mut Caller<'_, T>, code: &Arc<Code>) -> wasmtime::Result<()> {
    caller.data_mut().meter().guests.make(code);
    for index in 0..code.memories_len() {
        let memory = start_of(caller, &memory_name(index))?;
        caller.data_mut().meter().guests.lend(memory);
    }
    let exchange = start_of(caller, EXCHANGE)?;
    let meter = caller.data_mut().meter();
    let (left, ends_at) = (meter.bytes_left(), meter.ends_at());
    // SAFETY: as above.
    unsafe { meter.guests.finish(exchange, left, ends_at) }
}

/// Where a memory of the shim that calls begins.
fn start_of<T: Metered>(caller: &mut Caller<'_, T>, name: &str) -> wasmtime::Result<*mut u8> {
    let memory: Option<Memory> = caller.get_export(name).and_then(|export| export.into_memory());
    let memory = memory.ok_or_else(|| wasmtime::format_err!("a shim has no `{name}`"))?;
    Ok(memory.data_ptr(caller.as_context_mut()))
}
