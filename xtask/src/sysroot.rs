//! What the guests are compiled with: the C sysroot, and a Rust tool chain that has the WASI targets.
//!
//! Rust comes from `rustc` in `PATH` when it has the targets (`rustup target add wasm32-wasip1 wasm32-wasip2`). Else it
//! is Debian's `rustc-web`, which has no `std` for WASI: that is built once, from its own sources, into a private
//! sysroot in the cache, so that nothing is written where the package manager rules.

use crate::registry::Registry;
use crate::{cache, process, registry};
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub(crate) const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
pub(crate) const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_HOST_LIBRARIES: &str = "/usr/lib/rustlib/x86_64-unknown-linux-gnu";

const TARGETS: [&str; 2] = ["wasm32-wasip1", "wasm32-wasip2"];

/// wasi-libc, its headers and compiler-rt, as npm's build of clang carries them.
const WASI_LIBC: (&str, &str) = ("@yowasp/clang", "22.0.0-git20542-10");

/// The sysroot of C guests, which is also clang's resource directory.
pub(crate) fn c() -> Result<PathBuf> {
    let (package, version) = WASI_LIBC;
    cache::entry(&format!("wasi-libc-{version}"), |dir| {
        let archive =
            registry::fetch(Registry::Npm, package, version)?.join("package/gen/llvm-resources.tar");
        process::run(Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(dir))
    })
}

/// A cargo and a rustc that build for WASI.
pub(crate) struct Rust {
    /// rustc's version, and the sysroot's: part of what the guests' cache is keyed by.
    pub(crate) version: String,
    /// The private sysroot, if the compiler's own does not serve.
    sysroot: Option<PathBuf>,
}

/// Whether the `rustc` in `PATH` comes with the WASI targets.
pub(crate) fn rustc_has_wasi() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let sysroot = process::output(Command::new("rustc").args(["--print", "sysroot"]));
        let has = |dir: &str, target| Path::new(dir).join("lib/rustlib").join(target).join("lib").is_dir();
        sysroot.is_ok_and(|dir| TARGETS.iter().all(|target| has(&dir, target)))
    })
}

/// Finds the tool chain of Rust guests, building the private sysroot if there must be one.
pub(crate) fn rust() -> Result<Rust> {
    if rustc_has_wasi() {
        let version = process::output(Command::new("rustc").arg("--version"))?;
        return Ok(Rust { version, sysroot: None });
    }
    let version = process::output(Command::new(DEBIAN_RUSTC).arg("--version"))
        .context("no Rust with WASI targets\n\nhint: cargo xtask setup")?;
    let sysroot = private_rust_sysroot(&version)?;
    Ok(Rust { version: format!("{version} {}", sysroot.display()), sysroot: Some(sysroot) })
}

impl Rust {
    /// A cargo command whose target artefacts get `flags`; the environment of our own cargo does not reach it.
    pub(crate) fn cargo(&self, flags: &str) -> Command {
        let mut cargo = Command::new(self.cargo_path());
        self.prepare(&mut cargo, flags);
        cargo
    }

    /// The cargo that builds for WASI.
    pub(crate) fn cargo_path(&self) -> &'static str {
        if self.sysroot.is_some() { DEBIAN_CARGO } else { "cargo" }
    }

    /// Sets the environment in which that cargo does so.
    pub(crate) fn prepare(&self, command: &mut Command, flags: &str) {
        for name in ["CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET"] {
            command.env_remove(name);
        }
        match &self.sysroot {
            None => command.env("RUSTFLAGS", flags),
            Some(sysroot) => {
                debian_environment(command);
                command.env("RUSTFLAGS", format!("--sysroot {} {flags}", sysroot.display()))
            }
        };
    }
}

fn debian_environment(command: &mut Command) {
    command.env("PATH", "/usr/bin:/bin").env("RUSTC", DEBIAN_RUSTC).env("CARGO_INCREMENTAL", "0");
    for name in ["CARGO", "RUSTUP_TOOLCHAIN", "RUSTC_WRAPPER", "RUSTDOC"] {
        command.env_remove(name);
    }
}

/// Builds `std` for [`TARGETS`]; the layout is that of rustc's own sysroot, with the host's part linked in.
fn private_rust_sysroot(rustc_version: &str) -> Result<PathBuf> {
    let key = cache::Key::default().field(rustc_version).field(WASI_LIBC.1).field(TARGETS.join(" ")).hex();
    cache::entry(&format!("rust-sysroot-{}", &key[..16]), |dir| {
        eprintln!("building Rust's standard library for WebAssembly (some minutes, once)");
        let scratch = dir.join("scratch");
        build_std(&scratch)?;
        let libc = c()?.join("lib/wasm32-wasip1");
        let rustlib = dir.join("lib/rustlib");
        for target in TARGETS {
            let lib = rustlib.join(target).join("lib");
            copy_libraries(&scratch.join("target").join(target).join("release/deps"), &lib)?;
            let own = lib.join("self-contained");
            fs::create_dir(&own)?;
            for object in ["crt1-command.o", "crt1-reactor.o", "libc.a"] {
                fs::copy(libc.join(object), own.join(object))?;
            }
        }
        symlink(DEBIAN_HOST_LIBRARIES, rustlib.join("x86_64-unknown-linux-gnu"))?;
        cache::remove(&scratch)
    })
}

/// Compiles an empty package together with `std`, of which only `std` is wanted.
fn build_std(package: &Path) -> Result<()> {
    fs::create_dir_all(package.join("src"))?;
    let manifest = "[package]\nname = \"scratch\"\nedition = \"2021\"\n[profile.release]\nopt-level = 3\npanic = \"abort\"\n[workspace]\n";
    fs::write(package.join("Cargo.toml"), manifest)?;
    fs::write(package.join("src/lib.rs"), "")?;
    let mut cargo = Command::new(DEBIAN_CARGO);
    debian_environment(&mut cargo);
    cargo.current_dir(package).env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Cembed-bitcode=yes");
    cargo.args(["build", "--quiet", "--release", "-Zbuild-std=std,panic_abort", "--target-dir", "target"]);
    for target in TARGETS {
        cargo.args(["--target", target]);
    }
    process::run(&mut cargo)
}

fn copy_libraries(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for file in fs::read_dir(from)? {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        if name.ends_with(".rlib") && !name.starts_with("libscratch-") {
            fs::copy(file.path(), to.join(name))?;
        }
    }
    Ok(())
}
