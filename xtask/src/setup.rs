//! `cargo xtask setup`: the tools of this machine, and the sysroots that the guests are linked with.

use crate::{process, registry, sysroot};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program (its name in `PATH`, or a file) and the Debian package that brings it.
type Tool = (&'static str, &'static str);

/// What C guests need.
pub(crate) const C: &[Tool] = &[("clang-22", "clang-22"), ("wasm-ld-22", "lld-22")];

/// What products in C and C++ are linked with.
const PRODUCTS: &[Tool] = &[("gcc", "gcc"), ("g++", "g++"), ("make", "make")];

/// What Rust guests need where `rustc` has no WASI targets of its own.
pub(crate) const RUST: &[Tool] = &[
    (sysroot::DEBIAN_RUSTC, "rustc-web"),
    (sysroot::DEBIAN_CARGO, "cargo-web"),
    ("/usr/lib/rustlib/src/rust/library/std/src/lib.rs", "rust-web-src"),
    ("/usr/bin/rust-lld", "rust-web-llvm"),
];

/// What packages from npm need.
pub(crate) const NPM: &[Tool] = &[("node", "nodejs"), ("npm", "npm")];

/// What the tests of the console look at it with.
const BROWSER: &[Tool] = &[("/usr/bin/chromium", "chromium")];

/// What packages from PyPI need.
pub(crate) const PIP: &[Tool] = &[("pip3", "python3-pip")];

/// What the benchmarks need.
pub(crate) const BENCH: &[Tool] = &[("clang-22", "clang-22"), ("cc", "gcc"), ("wrk", "wrk")];

/// What emulates other processors, and what links programs for them.
const FOREIGN: &[Tool] = &[
    ("clang-22", "clang-22"),
    ("qemu-aarch64", "qemu-user"),
    ("aarch64-linux-gnu-ld", "binutils-aarch64-linux-gnu"),
    ("/usr/aarch64-linux-gnu/lib/libc.so", "libc6-dev-arm64-cross"),
    ("/usr/lib/gcc-cross/aarch64-linux-gnu/12/libgcc.a", "libgcc-12-dev-arm64-cross"),
    ("riscv64-linux-gnu-ld", "binutils-riscv64-linux-gnu"),
    ("/usr/riscv64-linux-gnu/lib/libc.so", "libc6-dev-riscv64-cross"),
    ("/usr/lib/gcc-cross/riscv64-linux-gnu/12/libgcc.a", "libgcc-12-dev-riscv64-cross"),
];

/// What native code is tested for beside the processor that tests.
const FOREIGN_TARGETS: [&str; 4] = [
    "aarch64-unknown-linux-gnu",
    "riscv64gc-unknown-linux-gnu",
    "thumbv7em-none-eabihf",
    "riscv32imac-unknown-none-elf",
];

/// Everything that any verb needs.
pub(crate) fn run() -> Result<()> {
    tools(&[C, RUST, NPM, PIP, BENCH, FOREIGN, PRODUCTS])?;
    if let Err(error) = foreign_targets() {
        // Everything else can be had without them.
        eprintln!(
            "cannot fetch Rust's libraries for other processors, whose code is not tested here: {error:#}"
        );
    }
    sysroot::c()?;
    sysroot::rust()?;
    Ok(())
}

/// Rust's own libraries for other processors.
fn foreign_targets() -> Result<()> {
    let missing = missing_targets();
    match missing.is_empty() {
        true => Ok(()),
        false => process::run(Command::new("rustup").args(["target", "add"]).args(missing)),
    }
}

/// Whether code for other processors can be linked here.
pub(crate) fn has_foreign_targets() -> bool {
    missing_targets().is_empty()
}

fn missing_targets() -> Vec<&'static str> {
    let is_missing = |target: &&str| {
        let directory = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output();
        let path = directory.map(|output| String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
        path.map_or(true, |path| !Path::new(&path).is_dir())
    };
    FOREIGN_TARGETS.into_iter().filter(is_missing).collect()
}

/// A browser, and where the package is that drives it.
pub(crate) fn playwright() -> Result<PathBuf> {
    tools(&[BROWSER, NPM])?;
    Ok(registry::fetch(registry::Registry::Npm, "playwright-core", "1.65.1")?.join("package"))
}

/// Installs what is missing of these tools.
pub(crate) fn tools(groups: &[&[Tool]]) -> Result<()> {
    let wanted = groups.iter().filter(|group| **group != RUST || !sysroot::rustc_has_wasi());
    let missing = wanted.copied().flatten().filter(|(program, _)| process::find(program).is_none());
    let mut packages: Vec<&str> = missing.map(|(_, package)| *package).collect();
    packages.dedup();
    match packages.is_empty() {
        true => Ok(()),
        false => install(&packages),
    }
}

fn install(packages: &[&str]) -> Result<()> {
    let install = ["apt-get", "install", "--yes", "--no-install-recommends", "--no-remove"];
    if process::find("apt-get").is_none() {
        bail!(
            "tools are missing, and there is no `apt-get` to install them\n\nhint: install what Debian calls {} \
             (instead of its Rust, `rustup target add wasm32-wasip1 wasm32-wasip2` will do)",
            packages.join(", ")
        );
    }
    let become_root: &[&str] = if process::succeeds(Command::new("test").args(["-w", "/var/lib/dpkg/lock"])) {
        &["env"]
    } else if process::succeeds(Command::new("sudo").args(["-n", "true"])) {
        &["sudo", "-n", "env"]
    } else {
        let packages = packages.join(" ");
        bail!(
            "tools are missing, and only root may install them\n\nhint: sudo {} {packages}",
            install.join(" ")
        );
    };
    eprintln!("installing {}", packages.join(", "));
    let apt_get = |args: &[&str]| {
        let mut command = Command::new(become_root[0]);
        process::run(command.args(&become_root[1..]).arg("DEBIAN_FRONTEND=noninteractive").args(args))
    };
    apt_get(&["apt-get", "update", "--quiet"])?;
    apt_get(&[&install, packages].concat())
}
