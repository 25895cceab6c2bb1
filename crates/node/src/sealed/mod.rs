//! Functions under profile `sealed`: each runs in a process of its own, which can do nothing but that.
//!
//! The node starts a worker for each, from its own binary. A worker is two processes: one that is sealed, in which the
//! node's own code runs the one function, and its supervisor, which tells how that ends. Requests go to it as HTTP/2 over a
//! pair of sockets, which is the worker's standard input; what the function says comes back through its standard output. A worker
//! that ends, or does not answer, is told of in the function's log, and the next request has a new one.

mod failure;
mod process;
mod worker;

pub(crate) use process::{Apart, Starting};
pub use worker::{Ended, Failed, work};

/// What a worker says on its standard output when it can be asked.
const READY: &str = "ready";

/// Bytes of a worker's manifest.
const TASK_BYTES_MAX: u32 = 1 << 20;
