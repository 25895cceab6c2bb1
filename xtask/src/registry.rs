//! Packages from npm, PyPI and cargo's registry, fetched with the registries' own clients (installed at need) and unpacked into the cache.

use crate::{cache, process, setup};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Registry {
    Npm,
    Pypi,
    Cargo,
}

/// The unpacked package: an npm package's files lie under `package/`, a wheel's at the top, a crate's under `vendor/`
/// and its name.
pub(crate) fn fetch(registry: Registry, package: &str, version: &str) -> Result<PathBuf> {
    let flat = package.trim_start_matches('@').replace('/', "-");
    let key = format!("{registry:?}-{flat}-{version}").to_lowercase();
    cache::entry(&key, |dir| {
        eprintln!("fetching {package} {version}");
        let unpacked = match registry {
            Registry::Npm => setup::tools(&[setup::NPM]).and_then(|()| unpack_npm(dir, package, version)),
            Registry::Pypi => setup::tools(&[setup::PIP]).and_then(|()| unpack_wheel(dir, package, version)),
            Registry::Cargo => unpack_crate(dir, package, version),
        };
        unpacked.with_context(|| format!("cannot fetch `{package}` {version}"))
    })
}

fn unpack_npm(dir: &Path, package: &str, version: &str) -> Result<()> {
    let spec = format!("{package}@{version}");
    process::run(Command::new("npm").current_dir(dir).args(["pack", "--silent", &spec]))?;
    let archive = only_file(dir)?;
    process::run(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(dir))?;
    Ok(fs::remove_file(archive)?)
}

/// Of a crate that is not compiled, but has sources of C.
fn unpack_crate(dir: &Path, package: &str, version: &str) -> Result<()> {
    let manifest = format!(
        "[workspace]\n[package]\nname = \"sources\"\nedition = \"2024\"\n[lib]\npath = \"lib.rs\"\n\
         [dependencies]\n{package} = \"={version}\"\n"
    );
    fs::write(dir.join("Cargo.toml"), manifest)?;
    fs::write(dir.join("lib.rs"), "")?;
    process::run(
        process::cargo().current_dir(dir).args(["vendor", "--quiet"]).stdout(std::process::Stdio::null()),
    )
}

fn unpack_wheel(dir: &Path, package: &str, version: &str) -> Result<()> {
    let spec = format!("{package}=={version}");
    let options = ["--quiet", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--dest"];
    process::run(Command::new("python3").args(["-m", "pip", "download"]).args(options).arg(dir).arg(&spec))?;
    let archive = only_file(dir)?;
    process::run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&archive).arg(dir))?;
    Ok(fs::remove_file(archive)?)
}

fn only_file(dir: &Path) -> Result<PathBuf> {
    let entry = fs::read_dir(dir)?.next().context("the registry's client left no archive")?;
    Ok(entry?.path())
}
