//! How native code lives bare: instances, memories, tables, traps, bounds policies, host calls.
//!
//! `aot` makes native code from a program; this crate is what that code stands on. It needs no allocator: whoever
//! embeds it gives the room for an instance ([`Instance::new`]) and a [`Platform`] for pages, or [`Bare`] memory. With
//! the feature `linux` it has a platform whose guard pages turn a stray access into a [`Trap`].
//!
//! Native code is trusted to be what `aot` wrote: whoever loads an object answers for where it came from.
#![no_std]

pub mod abi;
mod arch;
mod bare;
pub mod bounds;
mod builtins;
mod call;
mod instance;
#[cfg(feature = "linux")]
pub mod linux;
mod memory;
mod platform;
mod store;
mod table;
mod trap;

pub use abi::{Counts, Layout};
pub use bare::Bare;
pub use bounds::Policy;
pub use builtins::BUILTINS;
pub use call::call;
pub use instance::{Extern, Instance, LinkError};
pub use memory::Memory;
pub use platform::Platform;
pub use store::{Activation, Limits, Parked, Stopped, Store};
pub use table::Table;
pub use trap::Trap;
