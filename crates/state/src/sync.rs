//! The locks that `commit.rs` is written with, in one place: its model checker (`tests/commit_model.rs`) has others.

pub(crate) use std::sync::{Condvar, Mutex, PoisonError};
