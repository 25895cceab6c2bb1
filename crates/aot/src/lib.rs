//! How Wasm becomes native code: WebAssembly to LLVM IR, and clang to an object.
//!
//! An [`Assembly`] takes modules and becomes the text of LLVM IR; [`Clang`] makes an object of it. What the code
//! stands on is the crate `rt`: [`rt::abi`] has the records that both agree on.
//!
//! Modules may be hostile: each is validated first, with the features that this crate knows and no others. LLVM never
//! sees what is undefined for it: divisions, conversions and shifts are guarded by explicit code, and no flag that
//! promises something is set where WebAssembly does not promise it.
#![forbid(unsafe_code)]

mod assembly;
mod bounds;
mod callees;
mod clang;
mod descriptor;
mod emit;
mod error;
mod features;
mod function_names;
mod library;
mod limits;
mod module;
mod parts;
mod target;

pub use assembly::{Assembly, Options, Precision, START};
pub use clang::{Clang, Output, Run};
pub use error::Error;
pub use library::Library;
pub use target::Target;
