//! How a program runs: profiles over Wasmtime, limits, compiled code and its cache.
//!
//! An [`Engine`] is one position of the dial (a [`Profile`]) with its fine print ([`Options`]) and [`Limits`]. It
//! [loads](Engine::load) programs, taking their code from a [`CodeCache`] where it can, and makes stores that hold
//! an instance to its limits. Linking, calling and typed functions are Wasmtime's own, re-exported as [`wasmtime`].
//!
//! # Run a module
//! ```
#![doc = include_str!("../examples/run_module.rs")]
//! ```
//!
//! # Call an export
//! ```
#![doc = include_str!("../examples/call_export.rs")]
//! ```
//!
//! # Give a host function
//! ```
#![doc = include_str!("../examples/host_function.rs")]
//! ```

mod anatomy;
mod backtrace;
mod cache;
mod code;
mod compiler;
mod dense;
mod engine;
mod error;
mod form;
mod language;
pub mod library;
pub mod limits;
mod meter;
pub mod native;
pub mod options;
mod portable;
mod profile;
mod program;
mod refusal;
mod sampler;
mod seal;
#[cfg(target_os = "linux")]
pub mod sealed;
mod shim;
mod signal;
mod ticker;
mod unfold;

pub use anatomy::{Anatomy, Item};
pub use backtrace::backtrace;
pub use cache::{CACHE_BYTES_MAX, CodeCache};
pub use compiler::give_way;
pub use engine::{Engine, Settings};
pub use error::{Error, Limit};
pub use form::Form;
pub use limits::Limits;
pub use meter::{Meter, Metered};
pub use options::Options;
pub use profile::Profile;
pub use program::{Compiled, Program, binary, bounded, read};
pub use sampler::Sampler;
pub use seal::Seal;
pub use shim::{NativeBacktrace, NativeFunction};
pub use signal::{Interruptible, Interrupts, run_alone};
pub use ticker::Busy;
pub use wasmtime;
