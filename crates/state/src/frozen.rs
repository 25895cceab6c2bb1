//! A file that is read as it is, where it cannot be written: redb has to set right what a write that failed left behind,
//! before it can read. It does so in memory.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

/// Bytes that are kept together.
const PIECE_BYTES: usize = 4 << 10;

/// What is read through `file`, and not written to it.
#[derive(Debug)]
pub(crate) struct Frozen<B> {
    file: B,
    file_bytes: u64,
    written: Mutex<Written>,
}

/// The file as redb would have it.
#[derive(Debug)]
struct Written {
    bytes: u64,
    /// Pieces that differ from the file, by their number.
    pieces: BTreeMap<u64, [u8; PIECE_BYTES]>,
}

impl<B: StorageBackend> Frozen<B> {
    pub(crate) fn new(file: B) -> io::Result<Self> {
        let file_bytes = file.len()?;
        let written = Mutex::new(Written { bytes: file_bytes, pieces: BTreeMap::new() });
        Ok(Self { file, file_bytes, written })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A piece of the file; what is behind its end is zero.
    fn piece(&self, number: u64) -> io::Result<[u8; PIECE_BYTES]> {
        let mut piece = [0; PIECE_BYTES];
        let start = number * PIECE_BYTES as u64;
        let there = self.file_bytes.saturating_sub(start).min(PIECE_BYTES as u64);
        self.file.read(start, &mut piece[..usize::try_from(there).unwrap_or(PIECE_BYTES)])?;
        Ok(piece)
    }
}

/// Splits `bytes` bytes at `offset` where pieces end: the number of each piece, where in it, and where in the bytes.
fn parts(offset: u64, bytes: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = usize::try_from(at % PIECE_BYTES as u64).unwrap_or(0);
        let part = done..bytes.min(done + PIECE_BYTES - within);
        done = part.end;
        (!part.is_empty()).then_some((at / PIECE_BYTES as u64, within, part))
    })
}

impl<B: StorageBackend> StorageBackend for Frozen<B> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written().bytes)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written();
        if offset + out.len() as u64 > written.bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (number, within, part) in parts(offset, out.len()) {
            let piece = written.pieces.get(&number).copied().map_or_else(|| self.piece(number), Ok)?;
            let bytes = part.len();
            out[part].copy_from_slice(&piece[within..within + bytes]);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.written().bytes = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.written();
        for (number, within, part) in parts(offset, data.len()) {
            let mut piece = written.pieces.get(&number).copied().map_or_else(|| self.piece(number), Ok)?;
            piece[within..within + part.len()].copy_from_slice(&data[part]);
            written.pieces.insert(number, piece);
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}
