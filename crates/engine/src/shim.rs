//! Native code behind Wasmtime's own interface, in place of Wasmtime's code: a [shim](module) stands for each module.

mod code;
mod compile;
mod component;
mod guest;
mod link;
mod module;

pub(crate) use code::{Code, REACH_BYTES};
pub use code::{NativeBacktrace, NativeFunction};
pub(crate) use compile::{
    compatibility, compile, compile_component, is_code, is_supported, join, load, parts, policy, precision,
    refused,
};
pub(crate) use guest::Guests;
pub(crate) use link::{link, link_component};

/// Whether a frame of a backtrace is only there because the program is native code.
pub(crate) fn is_shim(frame: &wasmtime::FrameInfo) -> bool {
    frame.func_name() == Some(module::DOOR)
}
