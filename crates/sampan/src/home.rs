//! What this command keeps between runs: the key of its seals, the code cache, and which nodes run.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use engine::{CACHE_BYTES_MAX, CodeCache, Seal};
use etcetera::{BaseStrategy, choose_base_strategy};

const KEY_BYTES: usize = 32;

/// The user's seal. Its key is made at the first use.
///
/// # Errors
/// When there is no home directory, or the key cannot be read, written or kept secret there.
pub(crate) fn seal() -> io::Result<Seal> {
    let path = data_directory()?.join("seal.key");
    let key = match read_key(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_key(&path)?;
            read_key(&path)?
        }
        key => key?,
    };
    Ok(Seal::new(key))
}

/// Where this user's own files are: made if it is not there.
///
/// # Errors
/// When there is no home directory, or it cannot be made in it.
pub(crate) fn data_directory() -> io::Result<PathBuf> {
    let directory = base()?.data_dir().join("sampan");
    DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
    Ok(directory)
}

/// The user's code cache.
///
/// # Errors
/// As [`seal`], and those of the cache's directory.
pub(crate) fn cache() -> io::Result<CodeCache> {
    CodeCache::open(cache_directory()?, seal()?, CACHE_BYTES_MAX)
}

/// Where the code cache is.
pub(crate) fn cache_directory() -> io::Result<PathBuf> {
    Ok(base()?.cache_dir().join("sampan").join("code"))
}

/// Where the nodes that run are registered: a directory that is only this user's.
///
/// # Errors
/// When there is no place for it, it cannot be made, or others can reach it.
pub(crate) fn nodes() -> io::Result<PathBuf> {
    let base = base()?;
    let runtime = base.runtime_dir().filter(|directory| directory.is_dir());
    let directory = runtime.unwrap_or_else(|| base.data_dir()).join("sampan").join("nodes");
    DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
    if fs::metadata(&directory)?.mode() & 0o077 != 0 {
        let advice =
            format!("other users can reach `{}`; remove it and a new one is made", directory.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, advice));
    }
    Ok(directory)
}

fn base() -> io::Result<impl BaseStrategy> {
    choose_base_strategy().map_err(|_| io::Error::new(io::ErrorKind::NotFound, "no home directory"))
}

fn read_key(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let mut file = File::open(path)?;
    if file.metadata()?.mode() & 0o077 != 0 {
        let advice = format!("other users can reach `{}`; remove it and a new one is made", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, advice));
    }
    let mut key = [0; KEY_BYTES];
    file.read_exact(&mut key)?;
    Ok(key)
}

/// Makes a key that appears whole or not at all; when two processes make one at once, one of the two remains.
fn make_key(path: &Path) -> io::Result<()> {
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    let mine = path.with_extension(std::process::id().to_string());
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&mine)?;
    file.write_all(&key)?;
    let linked = fs::hard_link(&mine, path);
    fs::remove_file(&mine)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
