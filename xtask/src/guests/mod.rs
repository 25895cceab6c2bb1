//! `cargo xtask guests`: builds the programs under `guests/`, one module here per tool chain.
//!
//! A program is rebuilt when the hash of its sources, flags and tools differs from the one stored beside it in
//! `target/guests/<kind>/`.

pub(crate) mod c;
mod hostile;
pub(crate) mod js;
pub(crate) mod library;
mod rust;

use crate::cache::Key;
use crate::{guests_dir, root, setup};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// A tool chain that makes programs out of one directory of `guests/`.
trait Kind {
    /// The directory's name under `guests/` and `target/guests/`.
    fn name(&self) -> &'static str;

    /// The programs there are, each with the hash of everything that it is made from.
    fn programs(&self, sources: &Path) -> Result<Vec<Program>>;

    /// Builds some of the programs; each must come to lie at `out/<name>.wasm`.
    fn build(&self, programs: &[&Program], sources: &Path, out: &Path) -> Result<()>;
}

/// One program and the hash of what it is made from.
struct Program {
    name: String,
    key: String,
}

/// The kind that is built only where it is named.
pub(crate) const LARGE: &str = "large";

/// Builds the programs of these names or kinds, or all but the large ones.
pub(crate) fn run(names: &[String]) -> Result<()> {
    setup::tools(&[setup::C, setup::RUST])?;
    let rust = crate::sysroot::rust()?;
    let kinds: [Box<dyn Kind>; 9] = [
        Box::new(c::C::plain()?),
        Box::new(c::C::bench()?),
        Box::new(c::C::large()?),
        Box::new(rust::Rust::p1(&rust)),
        Box::new(rust::Rust::p2(&rust)),
        Box::new(rust::Rust::p3(&rust)),
        Box::new(rust::Rust::app(&rust)),
        Box::new(hostile::Hostile { c: c::C::hostile()?, rust: rust::Rust::hostile(&rust) }),
        Box::new(js::Js),
    ];
    let mut known = false;
    for kind in &kinds {
        known |= build(kind.as_ref(), names)?;
    }
    if !known {
        bail!(
            "no program under `guests/` is called `{}`\n\nhint: ls {}",
            names.join(" "),
            root().join("guests").display()
        );
    }
    Ok(())
}

/// Builds what of a kind is named and stale, and deletes programs whose source is gone. Says whether any was named.
fn build(kind: &dyn Kind, names: &[String]) -> Result<bool> {
    let sources = root().join("guests").join(kind.name());
    let out = guests_dir().join(kind.name());
    fs::create_dir_all(&out)?;
    let programs = kind.programs(&sources)?;
    remove_orphans(&out, &programs)?;

    let is_named = |program: &Program| {
        let full = format!("{}/{}", kind.name(), program.name);
        (names.is_empty() && kind.name() != LARGE)
            || names.iter().any(|name| *name == program.name || *name == full || name == kind.name())
    };
    let named = programs.iter().filter(|program| is_named(program));
    let stale: Vec<&Program> = named.clone().filter(|program| !is_fresh(&out, program)).collect();
    if !stale.is_empty() {
        let list: Vec<&str> = stale.iter().map(|program| program.name.as_str()).collect();
        eprintln!("building guests/{}: {}", kind.name(), list.join(" "));
        kind.build(&stale, &sources, &out)
            .with_context(|| format!("cannot build `guests/{}`", kind.name()))?;
        for program in stale {
            fs::write(out.join(format!("{}.key", program.name)), &program.key)?;
        }
    }
    Ok(named.count() > 0)
}

fn is_fresh(out: &Path, program: &Program) -> bool {
    let key = fs::read_to_string(out.join(format!("{}.key", program.name)));
    key.is_ok_and(|key| key == program.key) && out.join(format!("{}.wasm", program.name)).is_file()
}

fn remove_orphans(out: &Path, programs: &[Program]) -> Result<()> {
    for file in files(out)? {
        let stem = file.file_stem().unwrap_or_default();
        if !programs.iter().any(|program| stem == program.name.as_str()) {
            fs::remove_file(file)?;
        }
    }
    Ok(())
}

/// The files right under a directory, sorted.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read `{}`", dir.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// The files of a source tree, sorted, without what package managers and editors leave there.
pub(crate) fn tree(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut all = files(dir)?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let generated = ["target", "node_modules"].iter().any(|dir| name == *dir);
        if entry.file_type()?.is_dir() && !generated {
            all.extend(tree(&entry.path())?);
        }
    }
    all.sort();
    Ok(all)
}

/// The stems of the files with this extension: the names of the programs.
fn stems(files: &[PathBuf], extension: &str) -> Vec<String> {
    let sources = files.iter().filter(|file| file.extension().is_some_and(|found| found == extension));
    sources.filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned())).collect()
}
