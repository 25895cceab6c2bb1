//! Runs a program as a command: from its start to its exit code.

use engine::wasmtime::component::{Component, types::ComponentItem};
use engine::wasmtime::{ExternType, Module, Store};
use engine::{Engine, Program, wasmtime};
use wasmtime_wasi::{I32Exit, p2, p3};

use crate::{Error, Grants, Host, link};

/// Runs `program` to its end and returns its exit code.
///
/// # Errors
/// [`Error::Link`] and [`Error::NotACommand`] before it begins; [`Error::Limit`] and [`Error::Trap`] after.
pub async fn run(
    engine: &Engine,
    store: &mut Store<Host>,
    program: &Program,
    grants: &Grants,
) -> Result<i32, Error> {
    let ended = match program {
        Program::Module(module) => run_module(store, module, grants).await?,
        Program::Component(component) => run_component(store, component).await?,
    };
    match ended {
        Ok(code) => Ok(code),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(exit) => Ok(exit.0),
            None => Err(explain(engine, error)),
        },
    }
}

/// How a program that began came to its end.
type Ended = wasmtime::Result<i32>;

async fn run_module(store: &mut Store<Host>, module: &Module, grants: &Grants) -> Result<Ended, Error> {
    let linker = link::module(store.engine(), module, grants).map_err(Error::Link)?;
    let linked = linker.instantiate_pre(module).map_err(Error::Link)?;
    let start = match module.get_export("_start") {
        Some(ExternType::Func(start)) if start.params().len() + start.results().len() == 0 => "_start",
        _ => {
            let exports = functions_of_module(module);
            if !exports.is_empty() {
                return Err(Error::NotACommand { exports });
            }
            // Nothing to call: the module's own start section is all it does.
            return Ok(linked.instantiate_async(&mut *store).await.map(|_| 0));
        }
    };
    let instance = match linked.instantiate_async(&mut *store).await {
        Ok(instance) => instance,
        Err(error) => return Ok(Err(error)),
    };
    match instance.get_typed_func::<(), ()>(&mut *store, start) {
        Ok(start) => Ok(start.call_async(&mut *store, ()).await.map(|()| 0)),
        Err(error) => Err(Error::Link(error)),
    }
}

async fn run_component(store: &mut Store<Host>, component: &Component) -> Result<Ended, Error> {
    let linker = link::component(store.engine(), component).map_err(Error::Link)?;
    let linked = linker.instantiate_pre(component).map_err(Error::Link)?;
    let exports = functions_of_component(component);
    let runs =
        |version: &str| exports.iter().any(|name| name.starts_with(&format!("wasi:cli/run@{version}")));
    if runs("0.3") {
        let instance = match linked.instantiate_async(&mut *store).await {
            Ok(instance) => instance,
            Err(error) => return Ok(Err(error)),
        };
        let command = p3::bindings::Command::new(&mut *store, &instance).map_err(Error::Link)?;
        let ended = store.run_concurrent(async |store| command.wasi_cli_run().call_run(store).await).await;
        Ok(ended.flatten().map(exit_code))
    } else if runs("0.2") {
        let command = p2::bindings::CommandPre::new(linked).map_err(Error::Link)?;
        let command = match command.instantiate_async(&mut *store).await {
            Ok(command) => command,
            Err(error) => return Ok(Err(error)),
        };
        Ok(command.wasi_cli_run().call_run(&mut *store).await.map(exit_code))
    } else {
        Err(Error::NotACommand { exports })
    }
}

/// Lets a WASI 0.1 program end with any exit code; Wasmtime's own `proc_exit` traps on those above 125.
pub(crate) fn link_p1(linker: &mut wasmtime::Linker<Host>) -> wasmtime::Result<()> {
    let exit = |code: i32| -> wasmtime::Result<()> { Err(I32Exit(code).into()) };
    linker.func_wrap("wasi_snapshot_preview1", "proc_exit", exit)?;
    Ok(())
}

fn exit_code(ended: Result<(), ()>) -> i32 {
    i32::from(ended.is_err())
}

/// The functions that a module exports.
pub(crate) fn functions_of_module(module: &Module) -> Vec<String> {
    let is_function = |kind: ExternType| matches!(kind, ExternType::Func(_));
    module
        .exports()
        .filter(|export| is_function(export.ty()))
        .map(|export| export.name().to_owned())
        .collect()
}

/// The functions that a component exports; those in an interface as `INTERFACE.FUNCTION`.
pub(crate) fn functions_of_component(component: &Component) -> Vec<String> {
    let engine = component.engine();
    let mut functions = Vec::new();
    for (name, item) in component.component_type().exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(_) => functions.push(name.to_owned()),
            ComponentItem::ComponentInstance(interface) => {
                for (function, item) in interface.exports(engine) {
                    if matches!(item.ty, ComponentItem::ComponentFunc(_)) {
                        functions.push(format!("{name}.{function}"));
                    }
                }
            }
            _ => {}
        }
    }
    functions
}

/// Tells the limit from the trap.
pub(crate) fn explain(engine: &Engine, error: wasmtime::Error) -> Error {
    match engine.limit_in(&error) {
        Some(limit) => Error::Limit { limit, source: error },
        None => Error::Trap(error),
    }
}
