//! What is made or fetched once per machine: directories named by their content or version.
//!
//! An entry is made in a temporary sibling and renamed into place, under a lock file, so that it is either whole or
//! absent and several runs at once make it once. The whole cache is safe to delete.

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The cache's directory: `$SAMPAN_XTASK_CACHE`, else `$XDG_CACHE_HOME/sampan-xtask`, else `~/.cache/sampan-xtask`.
pub(crate) fn dir() -> Result<PathBuf> {
    let from = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    from("SAMPAN_XTASK_CACHE")
        .or_else(|| from("XDG_CACHE_HOME").map(|dir| dir.join("sampan-xtask")))
        .or_else(|| from("HOME").map(|dir| dir.join(".cache/sampan-xtask")))
        .context("no place for the cache: set SAMPAN_XTASK_CACHE to a directory")
}

/// The entry called `key`, which `make` fills when it is not there yet.
pub(crate) fn entry(key: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    entry_in(&dir()?, key, make)
}

fn entry_in(dir: &Path, key: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let entry = dir.join(key);
    if entry.exists() {
        return Ok(entry);
    }
    fs::create_dir_all(dir).with_context(|| format!("cannot make the cache `{}`", dir.display()))?;
    let lock = File::create(dir.join(format!(".{key}.lock")))?;
    lock.lock().with_context(|| format!("cannot lock the cache entry `{}`", entry.display()))?;
    if entry.exists() {
        return Ok(entry);
    }
    let unfinished = dir.join(format!(".{key}.unfinished"));
    remove(&unfinished)?;
    fs::create_dir(&unfinished)?;
    make(&unfinished)?;
    fs::rename(&unfinished, &entry)?;
    Ok(entry)
}

/// Deletes a directory that may not be there.
pub(crate) fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove `{}`", dir.display()))
        }
        _ => Ok(()),
    }
}

/// A SHA-256 over several strings and files.
#[derive(Default)]
pub(crate) struct Key(Sha256);

impl Key {
    /// Adds one field; fields never run into each other.
    pub(crate) fn field(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.update((bytes.as_ref().len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds the names and contents of files.
    pub(crate) fn files(mut self, files: &[PathBuf]) -> Result<Self> {
        for file in files {
            let bytes = fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
            self = self.field(file.as_os_str().as_encoded_bytes()).field(bytes);
        }
        Ok(self)
    }

    pub(crate) fn hex(self) -> String {
        hex(&self.0.finalize())
    }
}

/// The SHA-256 of some bytes, as lower-case hex.
pub(crate) fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_made_once_and_a_failed_one_leaves_nothing() {
        let dir = std::env::temp_dir().join(format!("sampan-xtask-cache-{}", std::process::id()));
        assert!(entry_in(&dir, "a", |at| Ok(fs::write(at.join("half"), "")?).and(bail())).is_err());
        assert!(!dir.join("a").exists());

        let whole = entry_in(&dir, "a", |at| Ok(fs::write(at.join("whole"), "")?)).expect("made");
        assert!(whole.join("whole").exists() && !whole.join("half").exists());
        entry_in(&dir, "a", |_| bail()).expect("is there already");
        remove(&dir).expect("removed");
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let key = |fields: &[&str]| fields.iter().fold(Key::default(), |key, field| key.field(field)).hex();
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_eq!(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    fn bail() -> Result<()> {
        anyhow::bail!("cannot be made")
    }
}
