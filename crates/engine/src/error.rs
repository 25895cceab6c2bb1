//! What can go wrong before a program runs, and the limits that can end it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a program could not be made ready to run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No profile has this name.
    #[error("unknown profile `{0}`")]
    UnknownProfile(String),
    /// An option of the profile is unknown, malformed, or breaks the profile's promise.
    #[error("option `{option}`: {reason}")]
    Option {
        /// The option as it was given.
        option: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The program could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The compiled program could not be written. Nothing was.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The text format could not be parsed.
    #[error("not valid WebAssembly text")]
    Text(#[source] wat::Error),
    /// The bytes are no WebAssembly at all.
    #[error("not a WebAssembly program: {0}")]
    NotWasm(String),
    /// The bytes are WebAssembly, but not valid, or use what is not enabled.
    #[error("not a valid WebAssembly program")]
    Invalid(#[source] wasmtime::Error),
    /// A precompiled program was made by another build of the engine, for another processor, or with other options.
    #[error("precompiled for another engine")]
    Incompatible(#[source] wasmtime::Error),
    /// A precompiled program does not carry this user's seal.
    #[error("precompiled code that was not built here")]
    Unsealed,
    /// The program is valid, but its memories, tables or instances are more, or larger, than the pool has slots for.
    #[error("the program does not fit the pool")]
    Unfit(#[source] wasmtime::Error),
    /// The program does several things at once, and the engine was not made with
    /// [`Settings::concurrent`](crate::Settings::concurrent).
    #[error("the program needs an engine for programs that do several things at once")]
    Concurrent,
    /// The program uses tail calls, garbage collection or exceptions, and the engine interrupts by signals, which may then
    /// come at a bad moment.
    #[error("the program uses what an engine that interrupts by signals cannot run")]
    Unstoppable,
    /// The program was built as native code, which the engine was not made for.
    #[error("the program is native code, which `codegen=native` runs")]
    IsNative,
    /// The program is valid, but cannot become native code.
    #[error("the program cannot become native code: {0}")]
    NotNative(String),
    /// There is no compiler of native code.
    #[error("found no clang of the versions {oldest} to {newest}")]
    NoClang {
        /// The oldest version that will do.
        oldest: u32,
        /// The newest.
        newest: u32,
    },
    /// The compiler did not come to an end.
    #[error("clang does not make native code of it in {0} s")]
    Late(u32),
    /// The compiler failed: this is what it said.
    #[error("{0}")]
    Clang(String),
    /// Native code could not be made, or not be loaded.
    #[error("cannot make native code")]
    Native(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The engine could not be set up on this machine.
    #[error("cannot set up the engine")]
    Setup(#[source] wasmtime::Error),
}

impl Error {
    /// Whether there is no native code, and a program may well have [other code](crate::Engine::without_native).
    pub fn is_of_native(&self) -> bool {
        matches!(
            self,
            Self::NotNative(_) | Self::NoClang { .. } | Self::Late(_) | Self::Clang(_) | Self::Native(_)
        )
    }
}

/// The limit that ended a program. Found in the chain of the error that a call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Limit {
    /// More memory than the instance may hold over all its memories, tables and heaps.
    #[error("memory limit of {bytes_max} bytes reached: the program asked for {asked} bytes in all")]
    Memory {
        /// The limit.
        bytes_max: usize,
        /// The total that was refused.
        asked: usize,
    },
    /// More than is left of the same limit for the heap of objects that the garbage collector looks after.
    #[error("memory limit of {0} bytes reached by the garbage-collected heap")]
    Heap(usize),
    /// More instances, memories or tables than one store may hold.
    #[error("limit of {} instances, memories or tables reached", crate::limits::INSTANCES_MAX)]
    Instances,
    /// Longer than it may run.
    #[error("time limit of {0:?} reached")]
    Time(Duration),
    /// More instructions than it may execute.
    #[error("fuel limit of {0} reached")]
    Fuel(u64),
    /// Deeper calls than its stack holds.
    #[error("stack limit of {0} bytes reached")]
    Stack(usize),
    /// More files, sockets and other host resources than it may hold open.
    #[error("limit of {0} open files and other host resources reached")]
    Handles(usize),
}
