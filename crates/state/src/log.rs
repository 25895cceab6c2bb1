//! The log of a file: what was changed since the file itself was last synced, so that to make a change durable costs one
//! write in one place, not one for each page that it touches.
//!
//! It is a file of fixed size, written from its start; each record follows the one before. When it is full, the file
//! that it belongs to is synced with a new salt in it, which ends all records at once, and the log begins again. No record
//! is taken for one that does not bear the salt: not what is left of an earlier log, nor what a program wrote as a value.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use redb::StorageBackend;
use sha2::{Digest, Sha256};

use crate::layer::Layer;

/// What the records of a log begin with. Random, so that nobody can make one who cannot read the file.
pub(crate) type Salt = [u8; 16];

/// Records begin at multiples of this many bytes.
const ALIGN: usize = 64;

/// Salt, bytes of the changes, and version.
const HEADER_BYTES: usize = size_of::<Salt>() + 2 * size_of::<u64>();

const DIGEST_BYTES: usize = 32;

/// The part of a log that is spared, so that something can be removed while the file cannot be written.
const SPARED_PART: usize = 16;

/// The path of the log of a file.
pub(crate) fn beside(path: &Path) -> PathBuf {
    path.with_extension("log")
}

/// What one transaction did.
pub(crate) struct Record {
    /// The last version that was given.
    pub(crate) version: u64,
    pub(crate) layer: Layer,
}

/// A log that is written.
pub(crate) struct Log {
    file: Box<dyn StorageBackend>,
    bytes: usize,
    salt: Salt,
    end: usize,
}

impl Log {
    /// A log of so many bytes in `file`, which is made as long, so that all that fits has its place on the disk.
    pub(crate) fn new(file: Box<dyn StorageBackend>, bytes: usize) -> io::Result<Self> {
        if file.len()? < bytes as u64 {
            file.set_len(bytes as u64)?;
            file.write(0, &vec![0; bytes]).and_then(|()| file.sync_data()).inspect_err(|_| {
                // Left long, it would be taken for one that has its place.
                let _ = file.set_len(0);
            })?;
        }
        Ok(Self { file, bytes, salt: Salt::default(), end: 0 })
    }

    /// Goes on with what was read from it. That may not all be on the disk.
    pub(crate) fn go_on(&mut self, salt: Salt, end: usize) -> io::Result<()> {
        (self.salt, self.end) = (salt, end);
        self.file.sync_data()
    }

    /// Begins again, unless it has this salt: the file that it belongs to has it, and all that was in the log.
    pub(crate) fn begin(&mut self, salt: Salt) {
        if self.salt != salt {
            (self.salt, self.end) = (salt, 0);
        }
    }

    /// Makes a record durable. `false` when there is no room for it: the last part of the log is spared for what
    /// `only_removes`.
    pub(crate) fn append(&mut self, record: &Record, only_removes: bool) -> io::Result<bool> {
        let spared = if only_removes { 0 } else { self.bytes / SPARED_PART };
        let room = self.bytes.saturating_sub(self.end + spared);
        // Values that do not fit need not be copied.
        if record.layer.rows.values().flatten().map(|row| row.value.len()).sum::<usize>() > room {
            return Ok(false);
        }
        let changes = postcard::to_allocvec(&record.layer).map_err(io::Error::other)?;
        let length = record_bytes(changes.len());
        if length > room {
            return Ok(false);
        }
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(&self.salt);
        for number in [changes.len() as u64, record.version] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&changes);
        let digest = Sha256::digest(&bytes);
        bytes.extend_from_slice(&digest);
        self.file.write(self.end as u64, &bytes)?;
        self.file.sync_data()?;
        self.end += length;
        Ok(true)
    }
}

/// Bytes of a record with so many bytes of changes, and of what is behind it before the next.
fn record_bytes(changes_bytes: usize) -> usize {
    (HEADER_BYTES + changes_bytes + DIGEST_BYTES).next_multiple_of(ALIGN)
}

/// The record at the start of `bytes` and the bytes that it takes, if there is a whole one with this salt.
fn record(bytes: &[u8], salt: &Salt) -> Option<(Record, usize)> {
    let (header, rest) = bytes.split_at_checked(HEADER_BYTES)?;
    let numbers = header.strip_prefix(salt)?.as_chunks().0;
    let [length, version] = *numbers else { return None };
    let length = usize::try_from(u64::from_le_bytes(length)).ok()?;
    let (changes, rest) = rest.split_at_checked(length)?;
    let (digest, _) = rest.split_at_checked(DIGEST_BYTES)?;
    if *digest != *Sha256::digest(&bytes[..HEADER_BYTES + length]) {
        return None;
    }
    let (version, layer) = (u64::from_le_bytes(version), postcard::from_bytes(changes).ok()?);
    Some((Record { version, layer }, record_bytes(length)))
}

/// The records of a log of so many bytes that bear this salt, in their order, and where they end.
///
/// # Errors
/// [`ErrorKind::InvalidData`] when a record is damaged that others follow: only the last can be one that was being
/// written.
pub(crate) fn read(
    file: &dyn StorageBackend,
    log_bytes: usize,
    salt: &Salt,
) -> io::Result<(Vec<Record>, usize)> {
    let damaged = |what| io::Error::new(ErrorKind::InvalidData, what);
    if file.len()? < log_bytes as u64 {
        return Err(damaged("it is cut off"));
    }
    let mut bytes = vec![0; log_bytes];
    file.read(0, &mut bytes)?;
    let (mut records, mut start) = (Vec::new(), 0);
    while let Some((record, length)) = record(bytes.get(start..).unwrap_or_default(), salt) {
        records.push(record);
        start += length;
    }
    let mut behind = (start..bytes.len()).step_by(ALIGN);
    if behind.any(|start| record(&bytes[start..], salt).is_some()) {
        return Err(damaged("a part in its middle is damaged"));
    }
    Ok((records, start))
}
