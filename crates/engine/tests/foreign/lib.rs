//! The part of `engine` that other processors are tested with: native code, without Wasmtime.
#![allow(missing_docs, unused_imports, reason = "the same sources are checked where they belong")]

#[path = "../../src/native/mod.rs"]
pub mod native;
