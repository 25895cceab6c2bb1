//! Why a program did not run to its end.

use engine::{Limit, wasmtime};

/// Why a program could not be started, or did not come to its end by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The program imports what no capability here provides.
    #[error("the program imports what is not provided here")]
    Link(#[source] wasmtime::Error),
    /// The program is no command.
    #[error("the program is not a command: it exports neither `_start` nor `wasi:cli/run`")]
    NotACommand {
        /// The functions that it exports instead.
        exports: Vec<String>,
    },
    /// No function has this name.
    #[error("the program exports no function `{name}`")]
    NoFunction {
        /// The name that was asked for.
        name: String,
        /// The functions that it exports.
        exports: Vec<String>,
    },
    /// The arguments do not fit the function.
    #[error("cannot call `{name}`: {reason}")]
    Arguments {
        /// The function.
        name: String,
        /// What does not fit.
        reason: String,
        /// How the function is called.
        signature: String,
    },
    /// A limit ended the program.
    #[error("{limit}")]
    Limit {
        /// Which one.
        limit: Limit,
        /// The error it came in, with the backtrace.
        source: wasmtime::Error,
    },
    /// The program trapped, or a host function failed in a way that the program cannot be told.
    #[error("the program trapped")]
    Trap(#[source] wasmtime::Error),
}

impl Error {
    /// The engine's error, with backtrace and core dump, of a program that was begun.
    pub fn from_program(&self) -> Option<&wasmtime::Error> {
        match self {
            Error::Limit { source, .. } | Error::Trap(source) => Some(source),
            _ => None,
        }
    }
}
