//! `guests/{c,bench,large}/*.c`: each file is one WASI 0.1 program, compiled by clang against wasi-libc. Those of `bench` and
//! `large` are also compiled as is best for native code, to `NAME.canonical`, and for this machine, to `NAME.native` and, for
//! all that its processor can do, to `NAME.cpu`: what the benchmarks compare.
//!
//! A first line `// cflags: …` adds flags, for instance `-mexec-model=reactor` or `-nostartfiles -Wl,--no-entry`; a first line
//! `// with: …` names a library of which the program is part.

use super::library::Library;
use super::*;
use crate::{process, sysroot};
use std::process::Command;
use std::sync::Mutex;

/// Which clang.
pub(crate) const CLANG: &str = "clang-22";

/// `--no-wasm-opt`: clang would run whatever `wasm-opt` lies in `PATH`, and old ones reject its output.
const FLAGS: [&str; 6] = ["--target=wasm32-wasip1", "--no-wasm-opt", "-O3", "-msimd128", "-Wall", "-Werror"];

/// What makes a program canonical: whoever compiles it further still unrolls and vectorises it, as `docs/guide/native.md` says.
const CANONICAL: [&str; 4] = ["-O2", "-fno-vectorize", "-fno-slp-vectorize", "-fno-unroll-loops"];

/// As fast as the guests may be: the processor's baseline, no fused multiplication, for results to be the same.
const NATIVE_FLAGS: [&str; 4] = ["-O3", "-ffp-contract=off", "-Wall", "-Werror"];

const THIS_CPU: &str = "-march=native";

pub(super) struct C {
    directory: &'static str,
    native: bool,
    sysroot: PathBuf,
    clang_version: String,
    /// What clang knows of this processor.
    cpu: String,
}

impl C {
    /// The programs of tests and examples.
    pub(super) fn plain() -> Result<Self> {
        Self::new("c", false)
    }

    /// The programs of the benchmarks.
    pub(super) fn bench() -> Result<Self> {
        Self::new("bench", true)
    }

    /// Those of the benchmarks that take long to compile.
    pub(super) fn large() -> Result<Self> {
        Self::new("large", true)
    }

    /// The attacks.
    pub(super) fn hostile() -> Result<Self> {
        Self::new("hostile", false)
    }

    fn new(directory: &'static str, native: bool) -> Result<Self> {
        let clang_version = process::output(Command::new(CLANG).arg("--version"))?;
        let macros = [THIS_CPU, "-dM", "-E", "-x", "c", "/dev/null"];
        let cpu = if native { process::output(Command::new(CLANG).args(macros))? } else { String::new() };
        Ok(Self { directory, native, sysroot: sysroot::c()?, clang_version, cpu })
    }

    fn compile(&self, source: &Path, to: &Path) -> Result<()> {
        let text = fs::read_to_string(source)?;
        let library = Library::of(&text)?;
        let link = |flags: &[&str], to: &Path| -> Result<()> {
            let mut clang = Command::new(CLANG);
            clang.args(flags).args(asked(&text, "cflags")).arg(source);
            if let Some(library) = library {
                library.add_to(&mut clang)?;
            }
            // It appears whole or not at all.
            let unfinished = to.with_extension("unfinished");
            process::run(clang.arg("-o").arg(&unfinished))?;
            Ok(fs::rename(unfinished, to)?)
        };
        let sysroot = self.sysroot.display().to_string();
        let flags = [&FLAGS[..], &["--sysroot", &sysroot, "-resource-dir", &sysroot]].concat();
        link(&flags, to)?;
        if self.native {
            link(&[&flags[..], &CANONICAL].concat(), &to.with_extension("canonical"))?;
            link(&NATIVE_FLAGS, &to.with_extension("native"))?;
            link(&[&NATIVE_FLAGS[..], &[THIS_CPU]].concat(), &to.with_extension("cpu"))?;
        }
        Ok(())
    }
}

impl Kind for C {
    fn name(&self) -> &'static str {
        self.directory
    }

    fn programs(&self, sources: &Path) -> Result<Vec<Program>> {
        let headers = |directory: &Path| -> Result<Vec<PathBuf>> {
            let is_header = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "h");
            Ok(files(directory)?.into_iter().filter(is_header).collect())
        };
        // Those of `c` are for all, and those of `bench` for large programs too.
        let directories = [sources.to_owned(), sources.with_file_name("c"), sources.with_file_name("bench")];
        let headers =
            directories.iter().map(|directory| headers(directory)).collect::<Result<Vec<_>>>()?.concat();
        let files = files(sources)?;
        let flags =
            if self.native { [&FLAGS[..], &CANONICAL, &NATIVE_FLAGS].concat() } else { FLAGS.to_vec() };
        let with_key = |name: String| {
            let source = sources.join(format!("{name}.c"));
            let library = Library::of(&fs::read_to_string(&source)?)?;
            let key = Key::default().field(&self.clang_version).field(&self.cpu);
            let key = key.field(self.sysroot.as_os_str().as_encoded_bytes()).field(flags.join(" "));
            let key = key.field(library.map(Library::key).unwrap_or_default());
            Ok(Program { name, key: key.files(&headers)?.files(&[source])?.hex() })
        };
        stems(&files, "c").into_iter().map(with_key).collect()
    }

    /// Compiles one file per processor at a time and reports the first error.
    fn build(&self, programs: &[&Program], sources: &Path, out: &Path) -> Result<()> {
        let queue = Mutex::new(programs.iter());
        let worker = || {
            loop {
                let Some(program) = queue.lock().expect("no worker panics").next() else { return Ok(()) };
                let source = sources.join(format!("{}.c", program.name));
                self.compile(&source, &out.join(format!("{}.wasm", program.name)))?;
            }
        };
        std::thread::scope(|scope| {
            let workers = std::thread::available_parallelism().map_or(1, usize::from);
            let workers: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
            workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
        })
    }
}

/// What the source's first line asks for in the name of `key`.
pub(super) fn asked<'a>(source: &'a str, key: &str) -> Vec<&'a str> {
    let first = source.lines().next().and_then(|line| line.strip_prefix("// ")).unwrap_or_default();
    let asked = first.strip_prefix(key).and_then(|rest| rest.strip_prefix(':'));
    asked.unwrap_or_default().split_whitespace().collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_the_first_line_asks_for_flags() {
        let asked = |source| super::asked(source, "cflags");
        assert_eq!(asked("// cflags: -g -Wl,--no-entry\nint f;\n"), ["-g", "-Wl,--no-entry"]);
        assert!(asked("// Why.\n// cflags: -g\n").is_empty());
    }
}
