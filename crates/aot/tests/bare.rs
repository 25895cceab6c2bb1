//! Native code without an operating system: `hosts/bare` is linked with `hello.wat` for each target that has no pages,
//! is as small as was promised, and says under an emulator what it must.

use std::env::consts::EXE_SUFFIX;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use aot::{Assembly, Clang, Output, Precision, Target};
use rt::Policy;

/// Code and constants of program and runtime together.
const TEXT_BYTES_MAX: u64 = 30 << 10;

/// Each target and what emulates its processor, or a larger one that has all its instructions.
const TARGETS: [(&str, &[&str]); 2] = [
    ("thumbv7em-none-eabihf", &["qemu-arm", "-cpu", "cortex-a15"]),
    ("riscv32imac-unknown-none-elf", &["qemu-riscv32"]),
];

/// Where the program reads a word that begins in its memory and ends beyond.
const POLICIES: [(Policy, &str); 2] =
    [(Policy::Checked, "load: out of bounds memory access"), (Policy::Masked, "load: no trap")];

#[test]
fn a_program_runs_on_bare_machines_in_little_room() {
    // `cargo xtask test` says whether there are Rust's libraries for them, and tells aloud when there are none.
    if std::env::var_os("SAMPAN_FOREIGN").is_none() {
        println!("not run: `SAMPAN_FOREIGN` is not set");
        return;
    }
    for (triple, emulator) in TARGETS {
        for (policy, load) in POLICIES {
            let firmware = firmware(triple, policy);
            let bytes = text_bytes(&fs::read(&firmware).unwrap());
            println!("{triple}, {}: {bytes} bytes of code and constants", policy.name());
            assert!(bytes <= TEXT_BYTES_MAX, "{triple}: {bytes} bytes are more than {TEXT_BYTES_MAX}");
            let mut command = Command::new(emulator[0]);
            let output = command.args(&emulator[1..]).arg(&firmware).output();
            let output = output.unwrap_or_else(|error| {
                panic!("cannot run `{}`: {error}\nhint: cargo xtask setup", emulator[0])
            });
            // The debugger's console is one stream or the other.
            let said = [output.stdout, output.stderr].concat();
            let expected = format!(
                "hello from WebAssembly\nfibonacci: right\nhalf: right\ndivide: integer divide by zero\n\
                 {load}\ndown: call stack exhausted\n"
            );
            assert_eq!(String::from_utf8_lossy(&said), expected, "{triple}, {}", policy.name());
            assert!(output.status.success(), "{triple}: {}", output.status);
        }
    }
}

/// Nothing guards the end of the stack there.
#[test]
fn a_frame_that_is_too_large_is_refused() {
    let locals = "(local i64)".repeat(rt::abi::FRAME_BYTES_MAX / 8 + 1);
    let uses: String = (0..=rt::abi::FRAME_BYTES_MAX / 8)
        .map(|local| format!("(local.set {local} (i64.mul (call $f) (i64.const {local})))"))
        .collect();
    let sums: String = (0..=rt::abi::FRAME_BYTES_MAX / 8)
        .map(|local| format!("(i64.store (i32.const {}) (local.get {local}))", local * 8))
        .collect();
    let wat = format!(
        "(module (import \"\" \"f\" (func $f (result i64))) (memory 1) (func (export \"g\") {locals} {uses} {sums}))"
    );
    for (triple, _) in TARGETS {
        let error = object(triple, &wat, Policy::Unchecked).expect_err("a large frame").to_string();
        assert!(error.contains("exceeds limit (4096)"), "{error}");
    }
}

fn object(triple: &str, wat: &str, policy: Policy) -> Result<Vec<u8>, aot::Error> {
    let target = Target::new(triple).unwrap();
    let mut assembly = Assembly::new(target);
    assembly.add("hello", &wat::parse_str(wat).unwrap(), policy, Precision::Precise)?;
    let clang = Clang::find(&std::env::var_os("PATH").unwrap())?;
    clang.compile(&assembly.finish(), &target, target.cpu, 2, Output::Relocatable)
}

/// Builds the firmware with the program in it.
fn firmware(triple: &str, policy: Policy) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let source = root.join("hosts/bare");
    let directory = root.join("target/bare").join(policy.name());
    fs::create_dir_all(&directory).unwrap();
    let program = directory.join(format!("{triple}.o"));
    let wat = fs::read_to_string(source.join("hello.wat")).unwrap();
    fs::write(&program, object(triple, &wat, policy).unwrap()).unwrap();
    let mut cargo = Command::new(std::env::var_os("CARGO").as_deref().unwrap_or(OsStr::new("cargo")));
    cargo.args(["build", "--release", "--quiet", "--locked", "--target", triple, "--manifest-path"]);
    cargo.arg(source.join("Cargo.toml")).arg("--target-dir").arg(&directory).env("SAMPAN_OBJECT", &program);
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        cargo.env_remove(name);
    }
    let status = cargo.status().unwrap();
    assert!(status.success(), "cannot build the firmware\nhint: rustup target add {triple}");
    directory.join(triple).join(format!("release/bare{EXE_SUFFIX}"))
}

/// What a program of 32 bits brings that is not written to: the sizes of such sections of an ELF file.
fn text_bytes(elf: &[u8]) -> u64 {
    let word = |at: usize| u32::from_le_bytes(elf[at..at + 4].try_into().unwrap());
    let half = |at: usize| usize::from(u16::from_le_bytes(elf[at..at + 2].try_into().unwrap()));
    assert_eq!(&elf[..6], b"\x7fELF\x01\x01", "32 bits, the least significant byte first");
    let (sections, section_bytes, count) = (word(0x20) as usize, half(0x2e), half(0x30));
    let section = |index: usize| {
        let at = sections + index * section_bytes;
        (word(at + 8), word(at + 20))
    };
    let (writable, loaded) = (1, 2);
    let text = (0..count).map(section).filter(|(flags, _)| flags & (writable | loaded) == loaded);
    text.map(|(_, bytes)| u64::from(bytes)).sum()
}
