//! `cargo xtask foreign`: native code on other processors, which are emulated.

use crate::{process, root, setup};
use anyhow::Result;

/// A target and what emulates it.
struct Foreign {
    triple: &'static str,
    emulator: &'static str,
    /// What GNU calls it, which names the directory of its libraries.
    gnu: &'static str,
}

const FOREIGN: [Foreign; 2] = [
    Foreign { triple: "aarch64-unknown-linux-gnu", emulator: "qemu-aarch64", gnu: "aarch64-linux-gnu" },
    Foreign { triple: "riscv64gc-unknown-linux-gnu", emulator: "qemu-riscv64", gnu: "riscv64-linux-gnu" },
];

/// The tests of native code on each. `--whole` runs all of the specification's suite, but under the policies that need no
/// guard pages: to reserve them is much work for the emulators.
pub(crate) fn run(args: &[String]) -> Result<()> {
    setup::run()?;
    let (whole, args): (Vec<&String>, Vec<&String>) = args.iter().partition(|arg| *arg == "--whole");
    // An emulator gives each memory new addresses and keeps what it knew of the old ones, so that they must be few.
    let (spec, addresses) = if whole.is_empty() { ("part", "") } else { ("unguarded", "-R 0x8000000000") };
    for Foreign { triple, emulator, gnu } in FOREIGN {
        let variable =
            |name: &str| format!("CARGO_TARGET_{}_{name}", triple.to_uppercase().replace('-', "_"));
        let mut cargo = process::cargo();
        cargo.args(["test", "--release", "--locked", "--target", triple]);
        cargo.args(["--manifest-path", "crates/engine/tests/foreign/Cargo.toml"]).args(&args);
        cargo.env("CARGO_TARGET_DIR", root().join("target/foreign"));
        cargo.env(variable("LINKER"), "clang-22");
        cargo.env(variable("RUSTFLAGS"), format!("-Clink-arg=--target={gnu}"));
        cargo.env(variable("RUNNER"), format!("{emulator} {addresses} -L /usr/{gnu}"));
        cargo.env("SAMPAN_SPEC", spec);
        process::run(&mut cargo)?;
    }
    Ok(())
}
