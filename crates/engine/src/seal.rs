//! Compiled code at rest. Code is run without any check of what it does, so a file of it is believed only when it
//! carries a seal: a keyed hash that none but the holder of the key could have made.
//!
//! The file is Wasmtime's own object file with a trailer: eight bytes that name the format, then the hash of the
//! purpose and of all that comes before the trailer.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use memmap2::Mmap;

/// Names the format of the trailer; changes with it.
const MAGIC: [u8; 8] = *b"sampan\0\x01";
/// Bytes that the trailer adds to the code.
pub(crate) const TRAILER_BYTES: usize = MAGIC.len() + blake3::OUT_LEN;

/// Bytes that a file may have which is opened whole.
const OPENED_BYTES_MAX: u64 = 4_096;

/// Bytes from which on several processors hash faster. A process starts its threads at the first such hash, for as much
/// time as one processor takes to hash about so many bytes.
const PARALLEL_BYTES_MIN: usize = 1 << 20;

/// The key that makes and checks seals. Whoever has it can make code that will be run.
#[derive(Clone)]
pub struct Seal([u8; blake3::KEY_LEN]);

impl Seal {
    /// A seal with this key, which should be random and readable by its user alone.
    pub fn new(key: [u8; blake3::KEY_LEN]) -> Self {
        Self(key)
    }

    /// Writes sealed `code` at `path`: all of it or, on an error, nothing.
    pub(crate) fn write(&self, path: &Path, purpose: &[u8], code: &[u8]) -> io::Result<()> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let mut file = tempfile::Builder::new()
            .prefix(TEMPORARY_PREFIX)
            .tempfile_in(directory.unwrap_or(Path::new(".")))?;
        file.write_all(code)?;
        file.write_all(&MAGIC)?;
        file.write_all(self.hash(purpose, code).as_bytes())?;
        file.persist(path)?;
        Ok(())
    }

    /// What is in `file`, if it is whole and was written with this key for this purpose. For small files.
    pub(crate) fn open(&self, file: &File, purpose: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        file.take(OPENED_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(self.unsealed(&bytes, purpose).map(<[u8]>::to_vec))
    }

    /// Whether `file` is whole and was written with this key for this purpose.
    pub(crate) fn holds(&self, file: &File, purpose: &[u8]) -> io::Result<bool> {
        // SAFETY: the mapping is only hashed. Were the file changed meanwhile, the hash would be of other bytes.
        let bytes = unsafe { Mmap::map(file)? };
        Ok(self.unsealed(&bytes, purpose).is_some())
    }

    /// What stands before a trailer that holds.
    fn unsealed<'b>(&self, bytes: &'b [u8], purpose: &[u8]) -> Option<&'b [u8]> {
        let (content, trailer) = bytes.split_last_chunk::<TRAILER_BYTES>()?;
        let (magic, hash) = trailer.split_at(MAGIC.len());
        let hash = blake3::Hash::from_slice(hash).ok()?;
        // Comparing two `blake3::Hash`es takes the same time wherever they differ.
        (magic == MAGIC && hash == self.hash(purpose, content)).then_some(content)
    }

    fn hash(&self, purpose: &[u8], code: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&(purpose.len() as u64).to_le_bytes()).update(purpose);
        absorb(&mut hasher, code);
        hasher.finalize()
    }
}

/// Adds `bytes` to a hash, on all processors where that is faster than to start their threads.
pub(crate) fn absorb(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    if bytes.len() < PARALLEL_BYTES_MIN {
        hasher.update(bytes);
    } else {
        hasher.update_rayon(bytes);
    }
}

/// How the names of files that are still being written begin.
pub(crate) const TEMPORARY_PREFIX: &str = ".writing-";
