//! Whether a disk has room, which is seen by writing to it: quotas and limits are in no other answer.

use std::fs::remove_file;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use crate::embedded::private;
use crate::limits::PROBE_BYTES;

/// Writes `bytes` bytes and a few more beside the file at `path`, and removes them.
pub(crate) fn probe(path: &Path, bytes: usize) -> io::Result<()> {
    let path = path.with_extension("probe");
    let mut file = private().open(&path)?;
    let pieces = bytes / PROBE_BYTES + 1;
    let written = (0..pieces).try_for_each(|_| file.write_all(&[0; PROBE_BYTES]));
    let removed = remove_file(&path);
    written.and(removed)
}

/// Whether an error says that there is no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}
