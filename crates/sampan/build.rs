//! How the program is linked; and what libraries for C stand on, which it brings along: `hosts/c` for each target whose
//! libraries this Rust has.

use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// As `aot::Target::ALL` has them.
const TARGETS: [&str; 5] = [
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "riscv64gc-unknown-linux-gnu",
    "thumbv7em-none-eabihf",
    "riscv32imac-unknown-none-elf",
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The addresses that the loader must correct, hundreds of thousands, are kept as a bitmap (DT_RELR): a third of the
    // start of a small program was reading the list of them. The linker and the C library of Debian 12 know it.
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux")
        && std::env::var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("gnu")
    {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    runtimes();
}

/// Writes `runtimes.rs`: the object of each target.
fn runtimes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for input in ["hosts/c/Cargo.toml", "hosts/c/Cargo.lock", "hosts/c/src", "crates/rt"] {
        println!("cargo:rerun-if-changed={}", root.join(input).display());
    }
    let out = PathBuf::from(variable("OUT_DIR"));
    let mut text = "[\n".to_owned();
    for target in TARGETS.into_iter().filter(|target| has_libraries(target)) {
        let object = out.join(format!("{target}.o"));
        fs::write(&object, runtime(&root, &out, target)).expect("the directory can be written to");
        writeln!(text, "({target:?}, include_bytes!({object:?})),").expect("a string takes all");
    }
    fs::write(out.join("runtimes.rs"), text + "]\n").expect("the directory can be written to");
}

fn variable(name: &str) -> OsString {
    std::env::var_os(name).unwrap_or_else(|| panic!("cargo sets `{name}`"))
}

fn has_libraries(target: &str) -> bool {
    let output =
        Command::new(variable("RUSTC")).args(["--print", "target-libdir", "--target", target]).output();
    output.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim_end()).is_dir())
}

/// The one object of the archive that has the runtime: what else is in it, C compilers bring too.
fn runtime(root: &Path, out: &Path, target: &str) -> Vec<u8> {
    let directory = out.join("c");
    let mut cargo = Command::new(variable("CARGO"));
    cargo.args(["build", "--release", "--quiet", "--locked", "--target", target, "--manifest-path"]);
    cargo.arg(root.join("hosts/c/Cargo.toml")).arg("--target-dir").arg(&directory);
    // What is asked for this package is not for that one; and clippy is no compiler.
    for name in
        ["CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTC_WORKSPACE_WRAPPER", "CARGO_INCREMENTAL"]
    {
        cargo.env_remove(name);
    }
    // Not every C compiler brings what does atomic operations out of line.
    cargo.env(
        "RUSTFLAGS",
        if target.starts_with("aarch64") { "-Ctarget-feature=-outline-atomics" } else { "" },
    );
    assert!(cargo.status().expect("cargo runs").success(), "cannot build `hosts/c` for `{target}`");
    let archive = fs::read(directory.join(target).join("release/libsampan_c.a")).expect("cargo has made it");
    let object = members(&archive).find(|object| has(object, b"sampan_0000000000000000_new"));
    object.expect("the archive has the runtime").to_vec()
}

/// The files of an archive: after 8 bytes, each has a header of 60, with its size at 48, and begins at an even place.
fn members(archive: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = &archive[8..];
    std::iter::from_fn(move || {
        let size = std::str::from_utf8(rest.get(48..58)?).ok()?.trim_end().parse::<usize>().ok()?;
        let member = rest.get(60..60 + size)?;
        rest = rest.get(60 + size.next_multiple_of(2)..).unwrap_or_default();
        Some(member)
    })
}

/// The table of names in an object has it; the index of an archive, which is a member too, is no object.
fn has(object: &[u8], name: &[u8]) -> bool {
    object.starts_with(b"\x7fELF") && object.windows(name.len()).any(|part| part == name)
}
