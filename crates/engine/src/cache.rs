//! The code cache: compiled code in a directory, by program and engine. Safe to share between processes, and to
//! delete at any time.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::seal::{Seal, TEMPORARY_PREFIX, TRAILER_BYTES, absorb};

/// Bytes that a cache holds unless another number is given.
pub const CACHE_BYTES_MAX: u64 = 2 << 30;

/// A file still being written after this long was left behind by a process that died.
const WRITING_MAX: Duration = Duration::from_secs(3_600);

/// How the names of the cache's files end: compiled code, and what large programs hashed to.
const EXTENSION: &str = "code";
/// See [`EXTENSION`].
const STAMP_EXTENSION: &str = "stamp";

/// Bytes from which on a program's hash is remembered: reading and hashing one costs more than looking it up.
const STAMPED_BYTES_MIN: u64 = 1 << 20;

/// A file that was changed less than this before it was read might be changed again with no trace in its times.
const SETTLED: Duration = Duration::from_secs(1);

/// A directory of sealed compiled code, bounded in bytes.
pub struct CodeCache {
    directory: PathBuf,
    seal: Seal,
    bytes_max: u64,
}

/// Names one program's code for one engine.
#[derive(Clone, Copy)]
pub(crate) struct Key(blake3::Hash);

impl Key {
    /// The key of `program` for an engine of this compatibility.
    pub(crate) fn new(compatibility: &[u8; 32], program: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(compatibility);
        absorb(&mut hasher, program);
        Self(hasher.finalize())
    }
}

/// Tells a file from every other, and from itself after any change: the kernel sets the time of the last change, and
/// nobody can set it back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp(blake3::Hash);

impl Stamp {
    /// The stamp of a program's file for an engine of this compatibility. `None` for one that is small, or was changed
    /// a moment ago.
    pub(crate) fn new(compatibility: &[u8; 32], file: &Metadata) -> Option<Self> {
        let (seconds, nanoseconds) = (file.ctime(), file.ctime_nsec());
        let changed = SystemTime::UNIX_EPOCH
            + Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanoseconds).ok()?);
        let settled = SystemTime::now().duration_since(changed).is_ok_and(|age| age > SETTLED);
        if !file.is_file() || file.len() < STAMPED_BYTES_MIN || !settled {
            return None;
        }
        let mut hasher = blake3::Hasher::new_derive_key("sampan 0.1 stamp of a program's file");
        hasher.update(compatibility);
        for number in [file.dev(), file.ino(), file.len()] {
            hasher.update(&number.to_le_bytes());
        }
        for number in [file.mtime(), file.mtime_nsec(), seconds, nanoseconds] {
            hasher.update(&number.to_le_bytes());
        }
        Some(Self(hasher.finalize()))
    }
}

impl CodeCache {
    /// Opens the cache in `directory`, which is made, for its user alone, if it is not there.
    ///
    /// # Errors
    /// When the directory cannot be made, or could be written by somebody else.
    pub fn open(directory: PathBuf, seal: Seal, bytes_max: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        if writable_by_others(&fs::metadata(&directory)?) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "other users can write to it"));
        }
        Ok(Self { directory, seal, bytes_max })
    }

    /// The file with the code for `key`, if there is one and it is sound. One that is not is removed.
    pub(crate) fn get(&self, key: Key) -> Option<(PathBuf, File)> {
        let path = self.path(key);
        let file = open(&path)?;
        if self.seal.holds(&file, key.0.as_bytes()).unwrap_or(false) {
            // Used now: the last to be evicted. Where the time cannot be set, eviction is by age of the file.
            let _ = file.set_modified(SystemTime::now());
            return Some((path, file));
        }
        self.remove(key);
        None
    }

    /// What the file with this stamp hashed to, if that is remembered.
    pub(crate) fn known(&self, stamp: Stamp) -> Option<Key> {
        let file = open(&self.stamp_path(stamp))?;
        let key = self.seal.open(&file, stamp.0.as_bytes()).ok()??;
        // Used now, as the code itself.
        let _ = file.set_modified(SystemTime::now());
        Some(Key(blake3::Hash::from_slice(&key).ok()?))
    }

    /// Remembers what the file with this stamp hashed to.
    pub(crate) fn remember(&self, stamp: Stamp, key: Key) -> io::Result<()> {
        self.seal.write(&self.stamp_path(stamp), stamp.0.as_bytes(), key.0.as_bytes())
    }

    fn stamp_path(&self, stamp: Stamp) -> PathBuf {
        self.directory.join(format!("{}.{STAMP_EXTENSION}", stamp.0.to_hex()))
    }

    /// Keeps `code` for `key`, and makes room for it if need be.
    pub(crate) fn put(&self, key: Key, code: &[u8]) -> io::Result<()> {
        if (code.len() + TRAILER_BYTES) as u64 > self.bytes_max {
            return Ok(());
        }
        self.seal.write(&self.path(key), key.0.as_bytes(), code)?;
        self.evict()
    }

    /// Forgets the code for `key`.
    pub(crate) fn remove(&self, key: Key) {
        // Another process may have removed it first, which is as good.
        let _ = fs::remove_file(self.path(key));
    }

    fn path(&self, key: Key) -> PathBuf {
        self.directory.join(format!("{}.{EXTENSION}", key.0.to_hex()))
    }

    /// Removes the files used longest ago until the rest fits, and what dead processes left half-written.
    fn evict(&self) -> io::Result<()> {
        let now = SystemTime::now();
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            // A file that is gone by now was evicted by another process.
            let Ok(metadata) = entry.metadata() else { continue };
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let path = entry.path();
            // Nothing else in the directory is the cache's to remove.
            let ends = |with: &str| path.extension().is_some_and(|extension| extension == with);
            if ends(EXTENSION) || ends(STAMP_EXTENSION) {
                files.push((used, metadata.len(), path));
            } else if entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX)
                && now.duration_since(used).is_ok_and(|age| age > WRITING_MAX)
            {
                remove_if_there(&path)?;
            }
        }
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, file_bytes, path) in &files {
            if bytes <= self.bytes_max {
                break;
            }
            remove_if_there(path)?;
            bytes -= file_bytes;
        }
        Ok(())
    }
}

/// A file, and nothing that only looks like one: to open a pipe would wait for whoever writes to it.
fn open(path: &Path) -> Option<File> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).ok()?;
    file.metadata().is_ok_and(|metadata| metadata.is_file()).then_some(file)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether anybody but the owner can write.
fn writable_by_others(metadata: &Metadata) -> bool {
    metadata.mode() & 0o022 != 0
}
