//! What a program may touch: WASI and every other capability, one module each, denied unless granted.

pub mod bindings;
mod blobstore;
mod chain;
mod command;
mod config;
mod denials;
#[cfg(target_os = "linux")]
pub mod egress;
mod error;
mod files;
pub mod grants;
mod host;
mod http;
mod invoke;
mod keyvalue;
pub mod limits;
pub mod link;
mod logging;
mod middleware;
mod needs;
mod net;
mod otel;
mod output;
mod send;
mod sql;
mod tls;
mod websocket;

pub use bindings::Bindings;
pub use command::{Command, run};
pub use denials::{Denial, Denials};
pub use error::Error;
pub use grants::Grants;
pub use host::{DirError, Host, Stdio};
pub use invoke::{Outcome, invoke};
pub use keyvalue::Bucket;
pub use needs::{Need, needs};
pub use tls::{Authorities, BadCertificates};
