//! The log of a file: what was changed since the file itself was last synced, so that to make a change durable costs one
//! write in one place, not one for each page that it touches.
//!
//! It is a file of fixed size with two halves. Each is written from its start; records follow each other. When a half is
//! full, the log goes on in the other, while the file that it belongs to is synced with all that the first one has. The
//! file has a salt, and says by it which records come after it: those that bear it, and then those that bear the one that
//! is made of it. Nobody makes up a record who does not know it: not a program whose values are written, and not what is left of
//! earlier records.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use redb::StorageBackend;
use sha2::{Digest, Sha256};

use crate::layer::Layer;

/// What the records of a half begin with. The first is random.
pub(crate) type Salt = [u8; 16];

/// The salt of what comes after.
pub(crate) fn next(salt: &Salt) -> Salt {
    let mut next = *salt;
    next.copy_from_slice(&Sha256::digest(salt)[..salt.len()]);
    next
}

/// Records begin at multiples of this many bytes.
const ALIGN: usize = 64;

/// Salt, bytes of the changes, and the versions before and after.
const HEADER_BYTES: usize = size_of::<Salt>() + 3 * size_of::<u64>();

const DIGEST_BYTES: usize = 32;

/// The part of a half that is spared, so that something can be removed while the file cannot be written.
const SPARED_PART: usize = 16;

/// Bytes that are written at once when a log is made: what is written at once, the kernel keeps in one piece if it can, and
/// then it walks all of that for each record.
const PAGE_BYTES: usize = 4 << 10;

/// The path of the log of a file.
pub(crate) fn beside(path: &Path) -> PathBuf {
    path.with_extension("log")
}

/// What one transaction did.
pub(crate) struct Record {
    /// The last version that was given before, and with it.
    pub(crate) before: u64,
    pub(crate) version: u64,
    pub(crate) layer: Layer,
}

/// Where the next record comes, and what it bears.
#[derive(Clone, Copy)]
pub(crate) struct Position {
    half: usize,
    salt: Salt,
    end: usize,
}

impl Position {
    /// Where a log begins.
    pub(crate) fn first(salt: Salt) -> Self {
        Self { half: 0, salt, end: 0 }
    }

    pub(crate) fn salt(&self) -> Salt {
        self.salt
    }
}

/// A log that is written.
pub(crate) struct Log {
    file: Box<dyn StorageBackend>,
    half_bytes: usize,
    position: Position,
}

impl Log {
    /// A log of so many bytes in `file`, which is made as long, so that all that fits has its place on the disk.
    pub(crate) fn new(file: Box<dyn StorageBackend>, bytes: usize) -> io::Result<Self> {
        if file.len()? < bytes as u64 {
            file.set_len(bytes as u64)?;
            let mut pages = (0..bytes as u64).step_by(PAGE_BYTES);
            let written = pages.try_for_each(|start| file.write(start, &[0; PAGE_BYTES]));
            written.and_then(|()| file.sync_data()).inspect_err(|_| {
                // Left long, it would be taken for one that has its place.
                let _ = file.set_len(0);
            })?;
        }
        Ok(Self { file, half_bytes: bytes / 2, position: Position::first(Salt::default()) })
    }

    /// Goes on where a log was read to. That may not all be on the disk.
    pub(crate) fn go_on(&mut self, position: Position) -> io::Result<()> {
        self.position = position;
        self.file.sync_data()
    }

    /// What the records bear that come next.
    pub(crate) fn salt(&self) -> Salt {
        self.position.salt
    }

    /// Goes on in the other half, whose records bear this salt. What was in it must be in the file.
    pub(crate) fn turn(&mut self, salt: Salt) {
        self.position = Position { half: 1 - self.position.half, salt, end: 0 };
    }

    /// Makes a record durable. `false` when this half has no room for it: its last part is spared for what `only_removes`.
    pub(crate) fn append(&mut self, record: &Record, only_removes: bool) -> io::Result<bool> {
        let Position { half, salt, end } = self.position;
        let spared = if only_removes { 0 } else { self.half_bytes / SPARED_PART };
        let room = self.half_bytes.saturating_sub(end + spared);
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
        bytes.extend_from_slice(&salt);
        for number in [changes.len() as u64, record.before, record.version] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&changes);
        let digest = Sha256::digest(&bytes);
        bytes.extend_from_slice(&digest);
        self.file.write((half * self.half_bytes + end) as u64, &bytes)?;
        self.file.sync_data()?;
        self.position.end += length;
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
    let [length, before, version] = *numbers else { return None };
    let length = usize::try_from(u64::from_le_bytes(length)).ok()?;
    let (changes, rest) = rest.split_at_checked(length)?;
    let (digest, _) = rest.split_at_checked(DIGEST_BYTES)?;
    if *digest != *Sha256::digest(&bytes[..HEADER_BYTES + length]) {
        return None;
    }
    let [before, version] = [before, version].map(u64::from_le_bytes);
    Some((Record { before, version, layer: postcard::from_bytes(changes).ok()? }, record_bytes(length)))
}

/// The records of a log of so many bytes that come after a file with this salt and version, in their order, and where the
/// next one comes.
///
/// # Errors
/// [`ErrorKind::InvalidData`] when a record is damaged or missing that others follow: only the last can be one that
/// was being written.
pub(crate) fn read(
    file: &dyn StorageBackend,
    bytes: usize,
    salt: Salt,
    version: u64,
) -> io::Result<(Vec<Record>, Position)> {
    let damaged = |what| io::Error::new(ErrorKind::InvalidData, what);
    if file.len()? < bytes as u64 {
        return Err(damaged("it is cut off"));
    }
    let half_bytes = bytes / 2;
    let mut bytes = vec![0; bytes];
    file.read(0, &mut bytes)?;
    let halves = [&bytes[..half_bytes], &bytes[half_bytes..]];
    let any = |bytes: &[u8], from: usize, salt: &Salt| {
        (from..bytes.len()).step_by(ALIGN).any(|start| record(&bytes[start..], salt).is_some())
    };
    let first = usize::from(any(halves[1], 0, &salt));
    let (mut records, mut last) = (Vec::<Record>::new(), version);
    let mut position = Position { half: first, salt, end: 0 };
    for (half, salt) in [(first, salt), (1 - first, next(&salt))] {
        let (bytes, mut end) = (halves[half], 0);
        while let Some((record, length)) = record(bytes.get(end..).unwrap_or_default(), &salt) {
            if record.before != last {
                return Err(damaged("a part of it is missing"));
            }
            last = record.version;
            records.push(record);
            end += length;
            position = Position { half, salt, end };
        }
        if any(bytes, end, &salt) {
            return Err(damaged("a part in its middle is damaged"));
        }
    }
    Ok((records, position))
}
