//! Programs as native code: shared objects that `aot` made, loaded and run on `rt`.
//!
//! An [`Object`] is a loaded file and has [`Module`]s; a [`Store`] has their instances, which reach each other through
//! what they import. A trap of native code is an [`Error`] here, never a crash.
//!
//! To load an object is to believe it: it is machine code, and the isolation of what it runs is what `aot` wrote into it.

mod elf;
mod error;
mod frames;
mod host;
mod interrupt;
mod item;
mod object;
mod store;
mod value;

pub use error::Error;
pub(crate) use frames::StackPart;
pub(crate) use host::slots_of;
pub use interrupt::Interrupter;
pub use item::{Extern, Func, Global, Memory, Table};
pub use object::{Module, Object};
pub use rt::{Limits, Policy, Trap};
pub use store::{Instance, Store};
pub use value::Value;
