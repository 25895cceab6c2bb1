//! Calls one exported function of a program, with arguments and results as text: numbers for modules, WAVE
//! (the WebAssembly Value Encoding) for components.

use engine::wasmtime::component::wasm_wave::untyped::UntypedFuncCall;
use engine::wasmtime::component::wasm_wave::wasm::DisplayType;
use engine::wasmtime::component::{self, Component, Type};
use engine::wasmtime::{ExternType, FuncType, Module, Store, Val, ValType};
use engine::{Compiled, Engine, Program, wasmtime};
use wasmtime_wasi::I32Exit;

use crate::command::{explain, functions_of_component, functions_of_module};
use crate::{Error, Grants, Host, link};

/// What came of a call.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// The function returned: its results as text, one each.
    Returned(Vec<String>),
    /// The program ended itself with this exit code.
    Exited(i32),
}

/// Calls the function that `call` names, either with `args` or, where `call` is `NAME(…)`, with the arguments there.
///
/// # Errors
/// [`Error::Link`], [`Error::NoFunction`] and [`Error::Arguments`] before the program begins; [`Error::Limit`] and
/// [`Error::Trap`] after.
pub async fn invoke(
    engine: &Engine,
    store: &mut Store<Host>,
    program: &Program,
    grants: &Grants,
    call: &str,
    args: &[String],
) -> Result<Outcome, Error> {
    let (name, inline) = match call.split_once('(') {
        Some((name, _)) => (name.trim(), Some(&call[name.len()..])),
        None => (call, None),
    };
    let call = Call { name, inline, args };
    let called = match program.compiled() {
        Compiled::Module(module) => call.of_module(store, program, module, grants).await?,
        Compiled::Component(component) => call.of_component(store, program, component).await?,
    };
    match called {
        Ok(results) => Ok(Outcome::Returned(results)),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(exit) => Ok(Outcome::Exited(exit.0)),
            None => Err(explain(engine, error)),
        },
    }
}

struct Call<'a> {
    name: &'a str,
    /// `(…)`, where the call was written so.
    inline: Option<&'a str>,
    args: &'a [String],
}

impl Call<'_> {
    async fn of_module(
        &self,
        store: &mut Store<Host>,
        program: &Program,
        module: &Module,
        grants: &Grants,
    ) -> Result<wasmtime::Result<Vec<String>>, Error> {
        let Some(ExternType::Func(signature)) = module.get_export(self.name) else {
            return Err(self.no_function(functions_of_module(module)));
        };
        let params = self.module_params(&signature)?;
        let linker = link::module(store.engine(), program, module, grants).map_err(Error::Link)?;
        let linked = linker.instantiate_pre(module).map_err(Error::Link)?;

        let mut results = vec![Val::I32(0); signature.results().len()];
        let called = async {
            let instance = linked.instantiate_async(&mut *store).await?;
            // A reactor sets itself up here.
            if let Some(initialize) = instance.get_func(&mut *store, "_initialize")
                && self.name != "_initialize"
            {
                initialize.call_async(&mut *store, &[], &mut []).await?;
            }
            let function = instance.get_func(&mut *store, self.name).expect("the module exports it");
            function.call_async(&mut *store, &params, &mut results).await?;
            Ok(results.iter().map(show).collect())
        };
        Ok(called.await)
    }

    async fn of_component(
        &self,
        store: &mut Store<Host>,
        program: &Program,
        component: &Component,
    ) -> Result<wasmtime::Result<Vec<String>>, Error> {
        let path = self.find(component)?;
        let linker = link::component(store.engine(), program, component).map_err(Error::Link)?;
        let linked = linker.instantiate_pre(component).map_err(Error::Link)?;
        let instance = match linked.instantiate_async(&mut *store).await {
            Ok(instance) => instance,
            Err(error) => return Ok(Err(error)),
        };
        let index = match path.rsplit_once('.') {
            Some((interface, function)) => instance
                .get_export_index(&mut *store, None, interface)
                .and_then(|index| instance.get_export_index(&mut *store, Some(&index), function)),
            None => None,
        };
        let function = match index {
            Some(index) => instance.get_func(&mut *store, index),
            None => instance.get_func(&mut *store, &path),
        };
        let function = function.ok_or_else(|| self.no_function(functions_of_component(component)))?;
        let signature = function.ty(&*store);
        let params = self.component_params(&signature)?;
        let mut results = vec![component::Val::Bool(false); signature.results().len()];
        let called = function.call_async(&mut *store, &params, &mut results).await;
        Ok(called.and_then(|()| results.iter().map(component::Val::to_wave).collect()))
    }

    /// The full name of the function that a short one means: with or without its interface, and with `#` or `.`
    /// between the two.
    fn find(&self, component: &Component) -> Result<String, Error> {
        let functions = functions_of_component(component);
        let asked = self.name.replace('#', ".");
        let short = format!(".{asked}");
        let mut found = functions.iter().filter(|function| **function == asked || function.ends_with(&short));
        match (found.next(), found.next()) {
            (Some(function), None) => Ok(function.clone()),
            _ if functions.contains(&asked) => Ok(asked),
            _ => Err(self.no_function(functions)),
        }
    }

    fn check_given_once(&self) -> Result<(), String> {
        match self.inline {
            Some(_) if !self.args.is_empty() => {
                Err("arguments stand both in the call and behind the program".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn no_function(&self, exports: Vec<String>) -> Error {
        Error::NoFunction { name: self.name.to_owned(), exports }
    }

    fn module_params(&self, signature: &FuncType) -> Result<Vec<Val>, Error> {
        let text = |kinds: &mut dyn Iterator<Item = ValType>| {
            kinds.map(|kind| kind.to_string()).collect::<Vec<_>>().join(", ")
        };
        let refuse = |reason: String| Error::Arguments {
            name: self.name.to_owned(),
            reason,
            signature: format!(
                "{}({}) -> ({})",
                self.name,
                text(&mut signature.params()),
                text(&mut signature.results())
            ),
        };
        self.check_given_once().map_err(refuse)?;
        let inline: Vec<String> = match self.inline.map(|inline| inline.trim()) {
            None => Vec::new(),
            Some(inline) => {
                let inner = inline
                    .strip_prefix('(')
                    .and_then(|inline| inline.strip_suffix(')'))
                    .ok_or_else(|| refuse("the call does not end in `)`".to_owned()))?;
                inner.split(',').map(|arg| arg.trim().to_owned()).filter(|arg| !arg.is_empty()).collect()
            }
        };
        let args = if self.inline.is_some() { &inline } else { self.args };
        let params = signature.params();
        if args.len() != params.len() {
            return Err(refuse(miscounted(params.len(), args.len())));
        }
        params
            .zip(args)
            .map(|(kind, arg)| {
                number(&kind, arg).ok_or_else(|| refuse(format!("`{arg}` is no value of type {kind}")))
            })
            .collect()
    }

    fn component_params(
        &self,
        signature: &component::types::ComponentFunc,
    ) -> Result<Vec<component::Val>, Error> {
        let params: Vec<(&str, Type)> = signature.params().collect();
        let refuse = |reason: String| {
            let shown = |(name, kind): &(&str, Type)| format!("{name}: {}", DisplayType(kind));
            let results: Vec<String> =
                signature.results().map(|kind| DisplayType(&kind).to_string()).collect();
            Error::Arguments {
                name: self.name.to_owned(),
                reason,
                signature: format!(
                    "{}({}){}{}",
                    self.name,
                    params.iter().map(shown).collect::<Vec<_>>().join(", "),
                    if results.is_empty() { "" } else { " -> " },
                    results.join(", ")
                ),
            }
        };
        self.check_given_once().map_err(refuse)?;
        if let Some(inline) = self.inline {
            let text = format!("call{inline}");
            let call = UntypedFuncCall::parse(&text).map_err(|error| refuse(error.to_string()))?;
            return call
                .to_wasm_params(params.iter().map(|(_, kind)| kind))
                .map_err(|error| refuse(error.to_string()));
        }
        if self.args.len() > params.len() {
            return Err(refuse(miscounted(params.len(), self.args.len())));
        }
        let mut values = Vec::new();
        for (position, (name, kind)) in params.iter().enumerate() {
            let value = match (self.args.get(position), kind) {
                // A string needs no quotes of its own inside those of the shell.
                (Some(arg), Type::String) if !arg.starts_with('"') => component::Val::String(arg.clone()),
                (Some(arg), kind) => component::Val::from_wave(kind, arg)
                    .map_err(|error| refuse(format!("`{arg}` is no value for `{name}`: {error}")))?,
                (None, Type::Option(_)) => component::Val::Option(None),
                (None, _) => return Err(refuse(format!("argument `{name}` is missing"))),
            };
            values.push(value);
        }
        Ok(values)
    }
}

fn miscounted(takes: usize, given: usize) -> String {
    format!("it takes {takes} argument{}, not {given}", if takes == 1 { "" } else { "s" })
}

/// A number as a person writes it: decimal or `0x`, signed or unsigned.
fn number(kind: &ValType, text: &str) -> Option<Val> {
    let hexadecimal = text.strip_prefix("0x");
    match kind {
        ValType::I32 => match hexadecimal {
            Some(digits) => u32::from_str_radix(digits, 16).ok().map(u32::cast_signed),
            None => text.parse().ok().or_else(|| text.parse().ok().map(u32::cast_signed)),
        }
        .map(Val::I32),
        ValType::I64 => match hexadecimal {
            Some(digits) => u64::from_str_radix(digits, 16).ok().map(u64::cast_signed),
            None => text.parse().ok().or_else(|| text.parse().ok().map(u64::cast_signed)),
        }
        .map(Val::I64),
        ValType::F32 => text.parse().ok().map(|value: f32| Val::F32(value.to_bits())),
        ValType::F64 => text.parse().ok().map(|value: f64| Val::F64(value.to_bits())),
        ValType::V128 => u128::from_str_radix(hexadecimal?, 16).ok().map(|value| Val::V128(value.into())),
        ValType::Ref(_) => None,
    }
}

fn show(value: &Val) -> String {
    match value {
        Val::I32(value) => value.to_string(),
        Val::I64(value) => value.to_string(),
        Val::F32(bits) => f32::from_bits(*bits).to_string(),
        Val::F64(bits) => f64::from_bits(*bits).to_string(),
        Val::V128(value) => format!("{:#034x}", value.as_u128()),
        Val::FuncRef(None) | Val::ExternRef(None) | Val::AnyRef(None) => "null".to_owned(),
        Val::ExnRef(_) | Val::ContRef(_) | Val::FuncRef(_) | Val::ExternRef(_) | Val::AnyRef(_) => {
            "(reference)".to_owned()
        }
    }
}
