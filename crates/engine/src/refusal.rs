//! What the cache has in place of code: why there is none, so that nobody tries again in vain.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::limits::REFUSAL_BYTES_MAX;
use crate::{Error, Settings, compiler};

/// What the file begins with.
const CONCURRENT: &[u8] = b"concurrent";
const UNSTOPPABLE: &[u8] = b"unstoppable";
/// Behind it there are the seconds as a number of 32 bits.
const LATE: &[u8] = b"late   ";
/// Behind it there are the seconds, which clang it was, how many bytes of words follow, and these.
const FAILED: &[u8] = b"failed ";

/// Why there is no code of a program.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// See [`Error::Concurrent`].
    Concurrent,
    /// See [`Error::Unstoppable`].
    Unstoppable,
    /// Native code was not made in so many seconds.
    Late(u32),
    /// A clang failed, which might have taken so many seconds.
    Failed { seconds: u32, clang: [u8; 32], words: String },
}

impl Refusal {
    /// What is to be kept of an error; nothing if the next attempt may end otherwise.
    pub(crate) fn of(error: &Error, settings: &Settings) -> Option<Self> {
        match error {
            Error::Concurrent => Some(Self::Concurrent),
            Error::Unstoppable => Some(Self::Unstoppable),
            Error::Late(seconds) => Some(Self::Late(*seconds)),
            Error::Clang(words) => {
                let words = words[..words.floor_char_boundary(REFUSAL_BYTES_MAX)].to_owned();
                let clang = compiler::identity(settings)?;
                Some(Self::Failed { seconds: settings.options.compile_seconds, clang, words })
            }
            _ => None,
        }
    }

    /// Whether the same would come of another attempt: what was made by another clang, or may take longer now, may be made.
    pub(crate) fn stands(&self, settings: &Settings) -> bool {
        let may_take_longer = |seconds: u32| seconds < settings.options.compile_seconds;
        match self {
            Self::Concurrent | Self::Unstoppable => true,
            Self::Late(seconds) => !may_take_longer(*seconds),
            Self::Failed { seconds, clang, .. } => {
                !may_take_longer(*seconds) && compiler::identity(settings) == Some(*clang)
            }
        }
    }

    /// The error that it was.
    pub(crate) fn error(self) -> Error {
        match self {
            Self::Concurrent => Error::Concurrent,
            Self::Unstoppable => Error::Unstoppable,
            Self::Late(seconds) => Error::Late(seconds),
            Self::Failed { words, .. } => Error::Clang(words),
        }
    }

    /// What the file has.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Concurrent => CONCURRENT.to_vec(),
            Self::Unstoppable => UNSTOPPABLE.to_vec(),
            Self::Late(seconds) => [LATE, &seconds.to_le_bytes()].concat(),
            Self::Failed { seconds, clang, words } => {
                let len = words.len() as u32;
                [FAILED, &seconds.to_le_bytes(), clang, &len.to_le_bytes(), words.as_bytes()].concat()
            }
        }
    }

    /// Why a file of the cache, whose seal was found to hold, has no code; nothing if it has.
    pub(crate) fn read(file: &File) -> Option<Self> {
        let mut begin = [0; FAILED.len() + 40 + REFUSAL_BYTES_MAX];
        let len = file.read_at(&mut begin, 0).ok()?;
        let begin = &begin[..len];
        if begin.starts_with(CONCURRENT) {
            return Some(Self::Concurrent);
        }
        if begin.starts_with(UNSTOPPABLE) {
            return Some(Self::Unstoppable);
        }
        if let Some(rest) = begin.strip_prefix(LATE) {
            return Some(Self::Late(number(rest)?.0));
        }
        let (seconds, rest) = number(begin.strip_prefix(FAILED)?)?;
        let (clang, rest) = rest.split_first_chunk()?;
        let (len, rest) = number(rest)?;
        let words = String::from_utf8_lossy(rest.get(..len as usize)?).into_owned();
        Some(Self::Failed { seconds, clang: *clang, words })
    }
}

/// The number that bytes begin with, and the rest.
fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{REFUSAL_BYTES_MAX, Refusal};

    #[test]
    fn what_is_kept_is_read_again_and_code_is_none() {
        let words = "x".repeat(REFUSAL_BYTES_MAX);
        let failed = Refusal::Failed { seconds: 7, clang: [3; 32], words };
        for refusal in [Refusal::Concurrent, Refusal::Unstoppable, Refusal::Late(u32::MAX), failed] {
            let mut file = tempfile::tempfile().unwrap();
            // The trailer of the seal follows.
            file.write_all(&[&refusal.to_bytes()[..], b"sampan\0\x01", &[9; 32]].concat()).unwrap();
            assert_eq!(Refusal::read(&file), Some(refusal));
        }
        for code in [&b""[..], b"\x7fELF\x02\x01", b"sampan native 1\n", b"late   ", b"failed 1234"] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(code).unwrap();
            assert_eq!(Refusal::read(&file), None);
        }
    }
}
