//! The trust list: a text of one line for each program or key, with a note.

use std::fmt;
use std::str::FromStr;

use super::key::PublicKey;
use super::{digest_of, hex};
use crate::limits::{TRUST_ENTRIES_MAX, TRUST_LIST_BYTES_MAX, TRUST_NOTE_CHARS_MAX};

/// What is trusted: one program as it is, or all that a key has signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trusted {
    /// The program of this SHA-256.
    Program([u8; 32]),
    /// What this key has signed.
    Key(PublicKey),
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What is trusted.
    pub trusted: Trusted,
    /// What its user wants to remember of it; one line.
    pub note: String,
}

/// Why a text is no list, or a list cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// A line is not of the form that is wanted.
    #[error("line {0} is neither `sha256:…` nor `ed25519:…`, each with 64 hexadecimal digits")]
    Line(usize),
    /// It has more than it may.
    #[error("it has more than {TRUST_ENTRIES_MAX} entries or {TRUST_LIST_BYTES_MAX} bytes")]
    TooLarge,
    /// A note is too long, or not one line of text.
    #[error("a note is one line of at most {TRUST_NOTE_CHARS_MAX} characters")]
    Note,
}

/// Who and what is trusted. Nobody and nothing, at first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustList {
    entries: Vec<Entry>,
}

impl Trusted {
    /// The program of these bytes.
    pub fn program(bytes: &[u8]) -> Self {
        Self::Program(digest_of(bytes))
    }
}

impl fmt::Display for Trusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(digest) => write!(f, "sha256:{}", hex::encode(digest)),
            Self::Key(key) => key.fmt(f),
        }
    }
}

impl FromStr for Trusted {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (kind, digits) = text.split_once(':').ok_or(())?;
        let bytes = hex::decode(digits).ok_or(())?;
        match kind {
            "sha256" => Ok(Self::Program(bytes)),
            "ed25519" => Ok(Self::Key(PublicKey(bytes))),
            _ => Err(()),
        }
    }
}

impl TrustList {
    /// What is on it, in the order in which it was added.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Puts something on it; what was on it gets the new note. False if it was.
    ///
    /// # Errors
    /// When the list is full, or the note is none.
    pub fn add(&mut self, trusted: Trusted, note: &str) -> Result<bool, ListError> {
        if note.chars().count() > TRUST_NOTE_CHARS_MAX || note.chars().any(char::is_control) {
            return Err(ListError::Note);
        }
        let note = note.trim().to_owned();
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.trusted == trusted) {
            entry.note = note;
            return Ok(false);
        }
        if self.entries.len() == TRUST_ENTRIES_MAX {
            return Err(ListError::TooLarge);
        }
        self.entries.push(Entry { trusted, note });
        Ok(true)
    }

    /// Takes something off it; false if it was not on it.
    pub fn remove(&mut self, trusted: &Trusted) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.trusted != *trusted);
        self.entries.len() < before
    }

    pub(super) fn program(&self, digest: &[u8; 32]) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.trusted == Trusted::Program(*digest))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = (&Entry, &PublicKey)> {
        self.entries.iter().filter_map(|entry| match &entry.trusted {
            Trusted::Key(key) => Some((entry, key)),
            Trusted::Program(_) => None,
        })
    }
}

impl fmt::Display for TrustList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Entry { trusted, note } in &self.entries {
            writeln!(f, "{}", format!("{trusted} {note}").trim_end())?;
        }
        Ok(())
    }
}

impl FromStr for TrustList {
    type Err = ListError;

    fn from_str(text: &str) -> Result<Self, ListError> {
        if text.len() > TRUST_LIST_BYTES_MAX {
            return Err(ListError::TooLarge);
        }
        let mut list = Self::default();
        for (index, line) in text.lines().enumerate() {
            let (trusted, note) = line.split_once(' ').unwrap_or((line, ""));
            let trusted = trusted.parse().map_err(|()| ListError::Line(index + 1))?;
            list.add(trusted, note)?;
        }
        Ok(list)
    }
}
