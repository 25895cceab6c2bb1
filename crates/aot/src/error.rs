//! Why a module does not become native code.

/// Why a module does not become native code.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no valid module.
    #[error("the module is not valid")]
    Invalid(#[source] wasmparser::BinaryReaderError),
    /// It is valid, but needs what native code does not have.
    #[error("the module needs the proposal `{0}`, which native code does not have")]
    Proposal(&'static str),
    /// It is a component.
    #[error("a component does not become native code, only its modules do")]
    Component,
    /// A library for C was asked for, and it needs what C cannot give.
    #[error("it imports the {kind} `{name}`, and C gives a library functions of numbers only")]
    NotOfC {
        /// What kind of thing it is.
        kind: &'static str,
        /// What it is called.
        name: String,
    },
    /// It is valid, but its text would be larger than any that is of use.
    #[error("the module becomes too much text")]
    TooLarge,
    /// There is no clang.
    #[error("found no clang of the versions {} to {}", .oldest, .newest)]
    NoClang {
        /// The oldest version that will do.
        oldest: u32,
        /// The newest.
        newest: u32,
    },
    /// The newest clang there is does not guard the stack of the target.
    #[error("`{program}` is too old for `{triple}`\nhint: install `clang-{oldest}`, or put it in `PATH`")]
    ClangTooOld {
        /// What was found.
        program: String,
        /// The target.
        triple: &'static str,
        /// The oldest version that will do.
        oldest: u32,
    },
    /// Clang could not be run, or its files not be written.
    #[error("cannot run `{program}`")]
    Run {
        /// What was run.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Clang was ended.
    #[error("`{program}` did not end in {} s", .time.as_secs())]
    Late {
        /// What was run.
        program: String,
        /// How long it may take.
        time: std::time::Duration,
    },
    /// The linker failed.
    #[error("`{program}` cannot link: {message}")]
    Link {
        /// What was run.
        program: String,
        /// The beginning of what it said.
        message: String,
    },
    /// Clang failed.
    #[error("`{program}` failed: {message}")]
    Clang {
        /// What was run.
        program: String,
        /// The beginning of what it said.
        message: String,
    },
}
