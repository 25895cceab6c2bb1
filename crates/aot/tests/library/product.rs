//! A C or C++ program that is linked with libraries, and run.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use aot::{Clang, Library, Output, Precision, Target};
use rt::Policy;

pub(crate) const OUTPUTS: [Output; 2] = [Output::Relocatable, Output::Shared];

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Language {
    C,
    Cpp,
}

pub(crate) struct Product {
    directory: tempfile::TempDir,
    target: Target,
    language: Language,
    libraries: Vec<PathBuf>,
}

/// The target that is this machine.
pub(crate) fn here() -> Target {
    Target::host().expect("native code is known here")
}

impl Product {
    pub(crate) fn new(target: Target, language: Language) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Self { directory, target, language, libraries: Vec::new() }
    }

    /// Adds a library, whose files are called as it is.
    pub(crate) fn library(self, wat: &str, name: &str, policy: Policy, output: Output) -> Self {
        self.library_in(name, wat, name, policy, output)
    }

    /// Adds a library, whose files are called `file`.
    pub(crate) fn library_in(
        mut self,
        file: &str,
        wat: &str,
        name: &str,
        policy: Policy,
        output: Output,
    ) -> Self {
        let wasm = wat::parse_str(wat).expect("the text is right");
        let made = Library::new(name, &wasm, self.target, policy, Precision::Precise).expect("a library");
        let clang = Clang::find(&std::env::var_os("PATH").expect("a path")).expect("clang");
        let bytes = clang.library(&made, &runtime(&self.target), &self.target, self.target.cpu, output);
        let bytes = bytes.unwrap_or_else(|error| panic!("{error}"));
        let ending = if output == Output::Shared { "so" } else { "o" };
        let path = self.file(file).with_extension(ending);
        fs::write(&path, bytes).expect("it can be written");
        fs::write(path.with_extension("h"), made.header()).expect("it can be written");
        self.libraries.push(path);
        self
    }

    /// Compiles a program, with all warnings as errors.
    pub(crate) fn compile(&self, main: &str) -> PathBuf {
        let is_here = self.target == here();
        // Here it is the machine's own compiler: not all products are clang's.
        let (compiler, ending, standard) = match (self.language, is_here) {
            (Language::C, true) => ("gcc", "c", "-std=gnu99"),
            (Language::Cpp, true) => ("g++", "cpp", "-std=c++17"),
            (_, false) => ("clang-22", "c", "-std=gnu99"),
        };
        let (source, object) = (self.file("main").with_extension(ending), self.file("main.o"));
        fs::write(&source, main).expect("it can be written");
        let mut compile = Command::new(compiler);
        if !is_here {
            compile.arg(format!("--target={}", gnu(&self.target)));
        }
        if self.target.pointer_bytes == 4 {
            compile.arg(format!("-march={}", self.target.cpu)).args(["-ffreestanding", "-nostdlibinc"]);
        }
        compile.args([standard, "-O1", "-Wall", "-Wextra", "-Wno-missing-field-initializers", "-Werror"]);
        run(compile.arg("-c").arg(&source).arg("-I").arg(self.directory.path()).arg("-o").arg(&object));
        object
    }

    /// What a program says that includes the libraries' headers.
    pub(crate) fn run(&self, main: &str) -> String {
        let (object, program) = (self.compile(main), self.file("main"));
        let is_here = self.target == here();
        let mut link = Command::new(match (is_here, self.language) {
            (true, Language::C) => "gcc",
            (true, Language::Cpp) => "g++",
            (false, _) => "clang-22",
        });
        let gnu = gnu(&self.target);
        if !is_here {
            link.arg(format!("--target={gnu}"));
        }
        run(link.arg(&object).args(&self.libraries).arg("-pthread").arg("-o").arg(&program));
        if is_here {
            return run(&mut Command::new(&program));
        }
        let emulator = format!("qemu-{}", gnu.split('-').next().expect("a processor"));
        run(Command::new(emulator).args(["-L", &format!("/usr/{gnu}")]).arg(&program))
    }

    /// The names that a library shows to those that load it.
    pub(crate) fn symbols(&self, library: &str) -> Vec<String> {
        let said = run(Command::new("nm").args(["-D", "--defined-only"]).arg(self.file(library)));
        said.lines().filter_map(|line| Some(line.split_whitespace().nth(2)?.to_owned())).collect()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// What GNU calls a target.
fn gnu(target: &Target) -> &'static str {
    match target.triple {
        "aarch64-unknown-linux-gnu" => "aarch64-linux-gnu",
        "riscv64gc-unknown-linux-gnu" => "riscv64-linux-gnu",
        "thumbv7em-none-eabihf" => "thumbv7em-unknown-none-eabihf",
        "riscv32imac-unknown-none-elf" => "riscv32-unknown-none-elf",
        _ => "x86_64-linux-gnu",
    }
}

/// What a command says on standard output, if it ends well.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}\n{complaint}", output.status);
    said
}

/// `hosts/c` for a target, as the build script of `sampan` makes it.
fn runtime(target: &Target) -> Vec<u8> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository");
    let directory = root.join("target/c");
    let mut cargo = Command::new(std::env::var_os("CARGO").as_deref().unwrap_or(OsStr::new("cargo")));
    cargo.args(["build", "--release", "--quiet", "--locked", "--target", target.triple, "--manifest-path"]);
    cargo.arg(root.join("hosts/c/Cargo.toml")).arg("--target-dir").arg(&directory);
    for name in ["CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_INCREMENTAL"] {
        cargo.env_remove(name);
    }
    let outline = if target.triple.starts_with("aarch64") { "-Ctarget-feature=-outline-atomics" } else { "" };
    run(cargo.env("RUSTFLAGS", outline));
    let archive =
        fs::read(directory.join(target.triple).join("release/libsampan_c.a")).expect("cargo made it");
    // The first file of the archive that is an object is the runtime; the rest is what compilers of C bring too.
    let start = archive.windows(4).position(|bytes| bytes == b"\x7fELF").expect("an object");
    let size = std::str::from_utf8(&archive[start - 12..start - 2]).expect("its size").trim_end();
    archive[start..start + size.parse::<usize>().expect("its size")].to_vec()
}
