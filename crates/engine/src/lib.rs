//! How a program runs: profiles over Wasmtime, limits, compiled code and its cache.

mod cache;
mod dense;
mod engine;
mod error;
mod form;
mod language;
pub mod limits;
mod meter;
pub mod options;
mod portable;
mod profile;
mod program;
mod seal;
mod ticker;

pub use cache::{CACHE_BYTES_MAX, CodeCache};
pub use engine::{Engine, Settings};
pub use error::{Error, Limit};
pub use form::Form;
pub use limits::Limits;
pub use meter::{Meter, Metered};
pub use options::Options;
pub use profile::Profile;
pub use program::{Program, bounded, read};
pub use seal::Seal;
pub use wasmtime;
