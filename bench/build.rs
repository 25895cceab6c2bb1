//! Compiles the launcher, which is C so that it is small: the kernel counts the memory of the process that starts a
//! program to that program's peak.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    const SOURCE: &str = "src/launch.c";
    println!("cargo::rerun-if-changed={SOURCE}");
    let launch = PathBuf::from(std::env::var_os("OUT_DIR").expect("set by cargo")).join("launch");
    println!("cargo::rustc-env=LAUNCH={}", launch.display());
    let mut cc = Command::new("cc");
    let status = cc.args(["-O2", "-Wall", "-Werror", "-static", SOURCE, "-o"]).arg(&launch).status();
    assert!(status.is_ok_and(|status| status.success()), "cannot compile `{SOURCE}` with `cc`");
}
