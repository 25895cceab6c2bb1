//! `wasi:logging`: what a component logs goes to standard error, or to the log of its app, one line a message.
//!
//! The interface is a draft without a released version: <https://github.com/WebAssembly/wasi-logging>.

use engine::wasmtime;
use engine::wasmtime::component::{Linker, Val};

use crate::Host;
use crate::bindings::Level;

/// How the import begins, with whatever version.
pub(crate) const INTERFACE: &str = "wasi:logging/logging";

/// Puts the log behind the import called `interface`.
pub(crate) fn link(linker: &mut Linker<Host>, interface: &str) -> wasmtime::Result<()> {
    linker.instance(interface)?.func_new("log", |store, _, params, _| {
        if let [Val::Enum(level), Val::String(context), Val::String(message)] = params {
            store.data().log(rank(level), &line(level, context, message));
        }
        Ok(())
    })
}

fn rank(level: &str) -> Level {
    match level {
        "trace" => Level::Trace,
        "debug" => Level::Debug,
        "info" => Level::Info,
        "warn" => Level::Warn,
        _ => Level::Error,
    }
}

fn line(level: &str, context: &str, message: &str) -> String {
    match context {
        "" => format!("{level}: {message}"),
        context => format!("{level}: {context}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_line_names_the_level_and_the_context_if_there_is_one() {
        assert_eq!(line("warn", "codec", "odd level"), "warn: codec: odd level");
        assert_eq!(line("info", "", "begun"), "info: begun");
    }
}
