//! Where an app is served: HTTP, instances, chains, and what there is to see of them.

mod app;
mod chain;
mod error;
mod execution;
mod function;
mod gate;
mod instance;
pub mod limits;
mod load;
mod log;
mod node;
mod respond;
mod router;
mod server;
mod stats;

pub use app::App;
pub use error::Error;
pub use execution::{Execution, Executions, StepState, Trace};
pub use function::Function;
pub use load::Machine;
pub use log::{Line, Logs};
pub use node::Node;
pub use server::Server;
pub use stats::Summary;
