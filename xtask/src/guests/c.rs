//! `guests/c/*.c` and `guests/bench/*.c`: each file is one WASI 0.1 program, compiled by clang against wasi-libc. Those
//! of `bench` are also compiled for this machine, to `NAME.native`, as what the benchmarks compare with.
//!
//! A first line `// cflags: …` adds flags, for instance `-mexec-model=reactor` or `-nostartfiles -Wl,--no-entry`.

use super::*;
use crate::{process, sysroot};
use std::process::Command;
use std::sync::Mutex;

/// Which clang.
pub(crate) const CLANG: &str = "clang-22";

/// `--no-wasm-opt`: clang would run whatever `wasm-opt` lies in `PATH`, and old ones reject its output.
const FLAGS: [&str; 6] = ["--target=wasm32-wasip1", "--no-wasm-opt", "-O3", "-msimd128", "-Wall", "-Werror"];

/// As fast as the guests may be: the processor's baseline, no fused multiplication, for results to be the same.
const NATIVE_FLAGS: [&str; 4] = ["-O3", "-ffp-contract=off", "-Wall", "-Werror"];

pub(super) struct C {
    directory: &'static str,
    native: bool,
    sysroot: PathBuf,
    clang_version: String,
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

    /// The attacks.
    pub(super) fn hostile() -> Result<Self> {
        Self::new("hostile", false)
    }

    fn new(directory: &'static str, native: bool) -> Result<Self> {
        let clang_version = process::output(Command::new(CLANG).arg("--version"))?;
        Ok(Self { directory, native, sysroot: sysroot::c()?, clang_version })
    }

    fn compile(&self, source: &Path, to: &Path) -> Result<()> {
        let text = fs::read_to_string(source)?;
        let mut wasm = Command::new(CLANG);
        wasm.args(FLAGS).arg("--sysroot").arg(&self.sysroot).arg("-resource-dir").arg(&self.sysroot);
        link(wasm.args(cflags(&text)).arg(source), to)?;
        if self.native {
            let mut native = Command::new(CLANG);
            link(native.args(NATIVE_FLAGS).args(cflags(&text)).arg(source), &to.with_extension("native"))?;
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
        // Those of `c` are for all.
        let headers = [headers(sources)?, headers(&sources.with_file_name("c"))?].concat();
        let files = files(sources)?;
        let flags = if self.native { [&FLAGS[..], &NATIVE_FLAGS].concat() } else { FLAGS.to_vec() };
        let with_key = |name: String| {
            let key =
                Key::default().field(&self.clang_version).field(self.sysroot.as_os_str().as_encoded_bytes());
            let key =
                key.field(flags.join(" ")).files(&headers)?.files(&[sources.join(format!("{name}.c"))])?;
            Ok(Program { name, key: key.hex() })
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

/// Runs the compiler; `to` appears whole or not at all.
fn link(clang: &mut Command, to: &Path) -> Result<()> {
    let unfinished = to.with_extension("unfinished");
    process::run(clang.arg("-o").arg(&unfinished))?;
    Ok(fs::rename(unfinished, to)?)
}

/// The flags that the source's first line asks for.
fn cflags(source: &str) -> Vec<&str> {
    let first = source.lines().next().unwrap_or_default();
    first.strip_prefix("// cflags:").unwrap_or_default().split_whitespace().collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_the_first_line_asks_for_flags() {
        assert_eq!(super::cflags("// cflags: -g -Wl,--no-entry\nint f;\n"), ["-g", "-Wl,--no-entry"]);
        assert!(super::cflags("// Why.\n// cflags: -g\n").is_empty());
    }
}
