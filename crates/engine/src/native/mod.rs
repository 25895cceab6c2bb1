//! Programs as native code: shared objects that `aot` made, loaded and run on `rt`.
//!
//! An [`Object`] is a loaded file and has [`Module`]s; a [`Store`] has their instances, which reach each other through
//! what they import. A trap of native code is an [`Error`] here, never a crash.
//!
//! To load an object is to believe it: it is machine code, and the isolation of what it runs is what `aot` wrote into it.

//! # In place of Wasmtime's code
//!
//! An engine whose code is native runs it behind Wasmtime's own interface: see [`shim`].

mod code;
mod compile;
mod component;
mod error;
mod guest;
mod host;
mod interrupt;
mod item;
mod link;
mod object;
mod shim;
mod store;
mod value;

/// Whether a frame of a backtrace is only there because the program is native code.
pub fn is_shim(frame: &wasmtime::FrameInfo) -> bool {
    frame.func_name() == Some(shim::DOOR)
}

pub(crate) use code::{Code, REACH_BYTES};
pub(crate) use compile::{
    compatibility, compile, compile_component, is_code, is_supported, join, load, parts,
};
pub(crate) use guest::Guests;
pub(crate) use link::{link, link_component};

pub use error::Error;
pub use interrupt::Interrupter;
pub use item::{Extern, Func, Global, Memory, Table};
pub use object::{Module, Object};
pub use rt::{Limits, Policy, Trap};
pub use store::{Instance, Store};
pub use value::Value;
