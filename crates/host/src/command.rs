//! Runs a program as a command: from its start to its exit code.

use engine::wasmtime::component::{self, Component, types::ComponentItem};
use engine::wasmtime::{ExternType, Module, Store};
use engine::{Compiled, Engine, Program, wasmtime};
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
    Command::link(engine, program, grants)?.run(engine, store).await
}

/// A program that has a beginning and an end, linked: it can be run any number of times.
pub struct Command(Linked);

enum Linked {
    /// A module, and the name of what is called in it; `None` where its own start section is all it does.
    Module(wasmtime::InstancePre<Host>, Option<&'static str>),
    P2(p2::bindings::CommandPre<Host>),
    P3(component::InstancePre<Host>),
}

impl Command {
    /// Links `program` to what stands behind its imports.
    ///
    /// # Errors
    /// [`Error::Link`] and [`Error::NotACommand`].
    pub fn link(engine: &Engine, program: &Program, grants: &Grants) -> Result<Self, Error> {
        match program.compiled() {
            Compiled::Module(module) => link_module(engine, program, module, grants),
            Compiled::Component(component) => link_component(engine, program, component),
        }
        .map(Self)
    }

    /// Runs it to its end, in a new instance, and returns its exit code.
    ///
    /// # Errors
    /// [`Error::Limit`] and [`Error::Trap`].
    pub async fn run(&self, engine: &Engine, store: &mut Store<Host>) -> Result<i32, Error> {
        match self.0.run(store).await {
            Ok(code) => Ok(code),
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(exit) => Ok(exit.0),
                None => Err(explain(engine, error)),
            },
        }
    }
}

impl Linked {
    async fn run(&self, store: &mut Store<Host>) -> wasmtime::Result<i32> {
        match self {
            Linked::Module(linked, start) => {
                let instance = linked.instantiate_async(&mut *store).await?;
                if let Some(start) = start {
                    let start = instance.get_typed_func::<(), ()>(&mut *store, start)?;
                    start.call_async(&mut *store, ()).await?;
                }
                Ok(0)
            }
            Linked::P2(linked) => {
                let command = linked.instantiate_async(&mut *store).await?;
                command.wasi_cli_run().call_run(&mut *store).await.map(exit_code)
            }
            Linked::P3(linked) => {
                let instance = linked.instantiate_async(&mut *store).await?;
                let command = p3::bindings::Command::new(&mut *store, &instance)?;
                let ended =
                    store.run_concurrent(async |store| command.wasi_cli_run().call_run(store).await).await;
                ended.flatten().map(exit_code)
            }
        }
    }
}

fn link_module(
    engine: &Engine,
    program: &Program,
    module: &Module,
    grants: &Grants,
) -> Result<Linked, Error> {
    let linker = link::module(engine.wasmtime(), program, module, grants).map_err(Error::Link)?;
    let linked = linker.instantiate_pre(module).map_err(Error::Link)?;
    let start = match module.get_export("_start") {
        Some(ExternType::Func(start)) if start.params().len() + start.results().len() == 0 => Some("_start"),
        _ => {
            let exports = functions_of_module(module);
            if !exports.is_empty() {
                return Err(Error::NotACommand { exports });
            }
            None
        }
    };
    Ok(Linked::Module(linked, start))
}

fn link_component(engine: &Engine, program: &Program, component: &Component) -> Result<Linked, Error> {
    let linker = link::component(engine.wasmtime(), program, component).map_err(Error::Link)?;
    let linked = linker.instantiate_pre(component).map_err(Error::Link)?;
    let exports = functions_of_component(component);
    let runs =
        |version: &str| exports.iter().any(|name| name.starts_with(&format!("wasi:cli/run@{version}")));
    if runs("0.3") {
        Ok(Linked::P3(linked))
    } else if runs("0.2") {
        p2::bindings::CommandPre::new(linked).map(Linked::P2).map_err(Error::Link)
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
