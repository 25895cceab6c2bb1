//! A program at the end of this very program's file: what `sampan build` makes an executable of, and how it begins.
//!
//! Behind the file of `sampan` come the code, the flags of `run`, each ended by a zero, and 32 bytes: how long these two are, and
//! the words by which they are known.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const MAGIC: &[u8; 16] = b"sampan appended\n";
const TRAILER_BYTES: u64 = 32;

/// What there is at the end of this program's file.
pub(crate) struct Appended {
    /// What `Engine::code` gave.
    pub(crate) code: Vec<u8>,
    /// Flags of `run`.
    pub(crate) flags: Vec<String>,
}

/// Where the parts lie.
struct Place {
    file: File,
    begin: u64,
    code_bytes: usize,
    flags_bytes: usize,
}

/// What is appended to this program, if anything is.
///
/// # Errors
/// When what is there cannot be read, or is not whole.
pub(crate) fn find() -> io::Result<Option<Appended>> {
    let Some(Place { file, begin, code_bytes, flags_bytes }) = place()? else { return Ok(None) };
    let (mut code, mut flags) = (vec![0; code_bytes], vec![0; flags_bytes]);
    file.read_exact_at(&mut code, begin)?;
    file.read_exact_at(&mut flags, begin + code_bytes as u64)?;
    let flags = String::from_utf8(flags).map_err(|_| broken())?;
    let flags = flags.split_terminator('\0').map(str::to_owned).collect();
    Ok(Some(Appended { code, flags }))
}

fn place() -> io::Result<Option<Place>> {
    // Where there is no `/proc`, there are no executables either.
    let Ok(file) = File::open("/proc/self/exe") else { return Ok(None) };
    let mut trailer = [0; TRAILER_BYTES as usize];
    let Some(end) = file.metadata()?.len().checked_sub(TRAILER_BYTES) else { return Ok(None) };
    file.read_exact_at(&mut trailer, end)?;
    let (numbers, magic) = trailer.split_at(16);
    if magic != MAGIC {
        return Ok(None);
    }
    let number = |at: usize| u64::from_le_bytes(numbers[at..at + 8].try_into().expect("eight bytes"));
    let (code, flags) = (number(0), number(8));
    let begin = code.checked_add(flags).and_then(|bytes| end.checked_sub(bytes)).ok_or_else(broken)?;
    Ok(Some(Place { file, begin, code_bytes: code as usize, flags_bytes: flags as usize }))
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what is appended to it is not whole")
}

/// This program's file without what is appended.
pub(crate) fn without() -> io::Result<Vec<u8>> {
    let mut bytes = std::fs::read("/proc/self/exe")?;
    if let Some(place) = place()? {
        bytes.truncate(usize::try_from(place.begin).map_err(|_| broken())?);
    }
    Ok(bytes)
}

/// The file with code and flags appended.
pub(crate) fn append(mut file: Vec<u8>, code: &[u8], flags: &[String]) -> Vec<u8> {
    let flags: String = flags.iter().map(|flag| format!("{flag}\0")).collect();
    let numbers = [code.len() as u64, flags.len() as u64].map(u64::to_le_bytes).concat();
    [code, flags.as_bytes(), &numbers, MAGIC].iter().for_each(|part| file.extend_from_slice(part));
    file
}
