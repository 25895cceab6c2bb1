//! Where an app is served: HTTP, instances, chains, and what there is to see of them.

mod app;
mod bucket;
mod cgi;
mod chain;
mod console;
mod error;
mod execution;
mod files;
mod function;
mod gate;
mod instance;
pub mod limits;
mod load;
mod log;
mod manage;
mod metrics;
mod node;
mod respond;
mod router;
mod server;
mod stats;
mod tls;
mod websocket;

pub use app::App;
pub use bucket::bucket;
pub use console::Console;
pub use error::Error;
pub use execution::{Execution, Executions, StepState, Trace};
pub use function::Function;
pub use load::Machine;
pub use log::{Line, Logs};
pub use node::Node;
pub use rustls::ServerConfig;
pub use server::Server;
pub use stats::Summary;
pub use tls::{BadIdentity, encryption};
