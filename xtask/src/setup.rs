//! `cargo xtask setup`: the tools of this machine, and the sysroots that the guests are linked with.

use crate::{process, sysroot};
use anyhow::{Result, bail};
use std::path::Path;
use std::process::Command;

/// A program that must be in `PATH`, and the Debian package that brings it.
const TOOLS: [(&str, &str); 6] = [
    ("clang-22", "clang-22"),
    ("wasm-ld-22", "lld-22"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("pip3", "python3-pip"),
    ("hyperfine", "hyperfine"),
];

/// A file of Debian's Rust for WebAssembly, and its package: needed where `rustc` has no WASI targets.
const RUST: [(&str, &str); 4] = [
    (sysroot::DEBIAN_RUSTC, "rustc-web"),
    (sysroot::DEBIAN_CARGO, "cargo-web"),
    ("/usr/lib/rustlib/src/rust/library/std/src/lib.rs", "rust-web-src"),
    ("/usr/bin/rust-lld", "rust-web-llvm"),
];

/// All that the other verbs need, so that they need not fetch or build it themselves.
pub(crate) fn run() -> Result<()> {
    tools()?;
    sysroot::c()?;
    sysroot::rust()?;
    Ok(())
}

/// Installs the tools that are missing.
pub(crate) fn tools() -> Result<()> {
    install(&missing())
}

fn missing() -> Vec<&'static str> {
    let tools = TOOLS.iter().filter(|(program, _)| process::find(program).is_none());
    let rust = RUST.iter().filter(|(file, _)| !Path::new(file).exists());
    match sysroot::rustc_has_wasi() {
        true => tools.map(|(_, package)| *package).collect(),
        false => tools.chain(rust).map(|(_, package)| *package).collect(),
    }
}

fn install(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let install = ["apt-get", "install", "--yes", "--no-install-recommends", "--no-remove"];
    let by_hand = format!("sudo {} {}", install.join(" "), packages.join(" "));
    if process::find("apt-get").is_none() {
        bail!(
            "tools are missing, and without apt-get they must be installed by hand\n\nhint: Debian calls them {}; \
             instead of the Rust packages, `rustup target add wasm32-wasip1 wasm32-wasip2` will do",
            packages.join(", ")
        );
    }
    let prefix: &[&str] = if process::succeeds(Command::new("test").args(["-w", "/var/lib/dpkg/lock"])) {
        &["env"]
    } else if process::succeeds(Command::new("sudo").args(["-n", "true"])) {
        &["sudo", "-n"]
    } else {
        bail!("tools are missing, and only root may install them\n\nhint: {by_hand}");
    };
    eprintln!("installing {}", packages.join(", "));
    let apt = |args: &[&str]| {
        process::run(
            Command::new(prefix[0])
                .args(&prefix[1..])
                .args(["env", "DEBIAN_FRONTEND=noninteractive"])
                .args(args),
        )
    };
    apt(&["apt-get", "update", "--quiet"])?;
    apt(&[&install, packages].concat())
}
