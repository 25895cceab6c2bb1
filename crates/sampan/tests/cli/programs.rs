//! Programs that nobody here wrote do real work on real input, and what they make is compared with what it must be.
//! `xtask/programs.toml` says where each comes from.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::child::{Ended, Sampan, sampan};

const PROFILES: [&str; 2] = ["dense", "portable"];

/// A program built from `guests/`, as `KIND/NAME.wasm`.
pub(crate) fn guest(name: &str) -> PathBuf {
    built("SAMPAN_GUESTS", name)
}

/// A program of `xtask/programs.toml`, as `NAME.wasm`.
fn program(name: &str) -> PathBuf {
    built("SAMPAN_PROGRAMS", name)
}

fn built(variable: &str, name: &str) -> PathBuf {
    let found = std::env::var_os(variable).map(|dir| PathBuf::from(dir).join(name));
    found
        .filter(|path| path.is_file())
        .unwrap_or_else(|| panic!("no `{name}` in ${variable}: run `cargo xtask test`"))
}
