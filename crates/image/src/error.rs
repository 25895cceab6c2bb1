//! What can be wrong with a manifest, shown where it is written.

use std::fmt;
use std::ops::Range;

use crate::limits::{MANIFEST_BYTES_MAX, MESSAGE_CHARS_MAX, PROBLEMS_MAX};
use crate::source::{Source, printable};

/// Why an app cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The manifest is too large to be looked at.
    #[error("`{file}` is larger than {MANIFEST_BYTES_MAX} bytes")]
    TooLarge {
        /// The manifest.
        file: String,
    },
    /// The manifest says what cannot be. Each problem with its line; the words `error:` before the first are left out.
    #[error("{0}")]
    Invalid(Problems),
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// What is wrong with one manifest, in the order of its lines.
#[derive(Debug)]
pub struct Problems {
    source: Source,
    problems: Vec<Problem>,
}

impl Problem {
    /// `message` about the bytes of the manifest at `span`.
    pub fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), hint: None }
    }

    /// Adds the next step.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Problems {
    pub(crate) fn new(source: Source, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.span.start);
        Self { source, problems }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().take(PROBLEMS_MAX).enumerate() {
            if index > 0 {
                f.write_str("\n\nerror: ")?;
            }
            f.write_str(&printable(problem.message.chars(), MESSAGE_CHARS_MAX))?;
            write!(f, "\n{}", self.source.excerpt(&problem.span))?;
            if let Some(hint) = &problem.hint {
                write!(f, "\nhint: {}", printable(hint.chars(), MESSAGE_CHARS_MAX))?;
            }
        }
        match self.problems.len().saturating_sub(PROBLEMS_MAX) {
            0 => Ok(()),
            more => write!(f, "\n\nerror: and {more} more like these"),
        }
    }
}
