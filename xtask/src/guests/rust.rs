//! `guests/p1`, `guests/p2`, `guests/p3`, `guests/app`, `guests/hostile`: cargo packages of programs.

use super::*;
use crate::{process, sysroot};

const FLAGS: &str = "-Ctarget-feature=+simd128";

pub(super) struct Rust<'a> {
    tools: &'a sysroot::Rust,
    kind: &'static str,
    target: &'static str,
    /// Where the programs' sources lie in the package, and cargo's option that selects one of them.
    programs: &'static str,
    select: &'static str,
}

impl<'a> Rust<'a> {
    /// Core modules for WASI 0.1.
    pub(super) fn p1(tools: &'a sysroot::Rust) -> Self {
        Self { tools, kind: "p1", target: "wasm32-wasip1", programs: "src/bin", select: "--bin" }
    }

    /// Components for WASI 0.2.
    pub(super) fn p2(tools: &'a sysroot::Rust) -> Self {
        Self { kind: "p2", target: "wasm32-wasip2", ..Self::p1(tools) }
    }

    /// Components for WASI 0.3. Rust's `main` would become a command of WASI 0.2, so these are libraries that export
    /// `wasi:cli/run` themselves; cargo builds several libraries in one package when they are called examples.
    pub(super) fn p3(tools: &'a sysroot::Rust) -> Self {
        Self {
            kind: "p3",
            target: "wasm32-wasip2",
            programs: "examples",
            select: "--example",
            ..Self::p1(tools)
        }
    }

    /// Functions of apps: components that export what calls them.
    pub(super) fn app(tools: &'a sysroot::Rust) -> Self {
        Self { kind: "app", ..Self::p3(tools) }
    }

    /// Attacks that are components for WASI 0.2.
    pub(super) fn hostile(tools: &'a sysroot::Rust) -> Self {
        Self { kind: "hostile", programs: "", ..Self::p2(tools) }
    }
}

impl Kind for Rust<'_> {
    fn name(&self) -> &'static str {
        self.kind
    }

    fn programs(&self, sources: &Path) -> Result<Vec<Program>> {
        let names = stems(&super::files(&sources.join(self.programs))?, "rs");
        // Beside attacks in Rust lie others, of which they are not made.
        let is_read = |file: &PathBuf| {
            let extension = file.extension().unwrap_or_default();
            ["rs", "toml", "lock", "wit"].iter().any(|known| extension == *known)
        };
        let files: Vec<PathBuf> = tree(sources)?.into_iter().filter(is_read).collect();
        let key = Key::default().field(&self.tools.version).field(FLAGS).files(&files)?.hex();
        Ok(names.into_iter().map(|name| Program { name, key: key.clone() }).collect())
    }

    fn build(&self, programs: &[&Program], sources: &Path, out: &Path) -> Result<()> {
        let target_dir = root().join("target/guests-build").join(self.kind);
        for Program { name, .. } in programs {
            let mut cargo = self.tools.cargo(FLAGS);
            cargo.current_dir(sources).args(["build", self.select, name]);
            cargo
                .args(["--quiet", "--release", "--locked", "--target", self.target, "--target-dir"])
                .arg(&target_dir);
            process::run(&mut cargo)?;

            let built = target_dir.join(self.target).join("release");
            let built = match self.programs {
                "examples" => built.join("examples").join(format!("{}.wasm", name.replace('-', "_"))),
                _ => built.join(format!("{name}.wasm")),
            };
            let unfinished = out.join(format!("{name}.unfinished"));
            fs::copy(&built, &unfinished)
                .with_context(|| format!("cargo did not make `{}`", built.display()))?;
            fs::rename(unfinished, out.join(format!("{name}.wasm")))?;
        }
        Ok(())
    }
}
