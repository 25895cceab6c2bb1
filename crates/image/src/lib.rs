//! How an app travels: its manifest, `sampan.toml`, and whom its user trusts.

mod at;
mod chain;
mod check;
mod error;
mod function;
pub mod limits;
mod manifest;
mod name;
mod quantity;
mod refusal;
mod route;
mod source;
mod store;
pub mod trust;

pub use at::At;
pub use chain::{Chain, Retry, Step, When};
pub use error::{Error, Problem, Problems};
pub use function::{Build, Function, Grants, Limits, Profile, Scalar, Secret};
pub use manifest::{App, Manifest};
pub use name::{Name, Version};
pub use quantity::{Bytes, Time};
pub use route::{Method, Route, Target};
pub use store::{Blobs, Bucket, Durability};
