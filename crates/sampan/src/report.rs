//! How this command speaks: data on standard output, everything else on standard error, errors in one form.

use std::error::Error;
use std::fmt::{self, Display};
use std::io::{ErrorKind, IsTerminal, Write, stderr, stdout};
use std::process::exit;

use crate::table::printable;

/// The program failed, trapped, or reached a limit.
pub(crate) const FAILED: i32 = 1;
/// The command was used wrongly, or the program could not be begun.
pub(crate) const USAGE: i32 = 2;

/// One error, as a person sees it: what failed, why, and what to do next.
#[derive(Debug)]
pub(crate) struct Report {
    code: i32,
    error: String,
    causes: Vec<String>,
    notes: Vec<String>,
    hint: Option<String>,
}

impl Report {
    /// Something that the user can set right: exit code 2.
    pub(crate) fn usage(error: impl Display) -> Self {
        Self {
            code: USAGE,
            error: harmless(&error.to_string()),
            causes: Vec::new(),
            notes: Vec::new(),
            hint: None,
        }
    }

    /// Something that went wrong while a program ran: exit code 1.
    pub(crate) fn failure(error: impl Display) -> Self {
        Self { code: FAILED, ..Self::usage(error) }
    }

    /// An error of a library, with the causes that it names.
    pub(crate) fn from_error(error: &dyn Error) -> Self {
        Self::usage(error).causes_of(error)
    }

    /// Adds the chain of causes behind `error`.
    pub(crate) fn causes_of(mut self, error: &dyn Error) -> Self {
        let mut source = error.source();
        while let Some(cause) = source {
            self = self.cause(cause);
            source = cause.source();
        }
        self
    }

    /// Adds why.
    pub(crate) fn cause(mut self, cause: impl Display) -> Self {
        self.causes.push(harmless(&plain(&cause.to_string())));
        self
    }

    /// Adds a line of detail, `label: text`.
    pub(crate) fn note(mut self, note: impl Display) -> Self {
        self.notes.push(printable(&plain(&note.to_string())));
        self
    }

    /// Sets the next step.
    pub(crate) fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(harmless(&hint.to_string()));
        self
    }

    /// Prints the report and ends the process.
    pub(crate) fn print_and_exit(self) -> ! {
        // Nobody is left to tell that standard error is closed.
        let _ = stderr().write_all(self.to_string().as_bytes());
        exit(self.code)
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", label("error:", "1;31"), self.error)?;
        for cause in &self.causes {
            // A cause of several lines, such as a parser's excerpt, keeps its shape.
            writeln!(f, "  cause: {}", cause.trim_end().replace('\n', "\n         "))?;
        }
        for note in &self.notes {
            writeln!(f, "  {note}")?;
        }
        match &self.hint {
            Some(hint) => writeln!(f, "\n{} {hint}", label("hint:", "1;36")),
            None => Ok(()),
        }
    }
}

/// Prints data on standard output. A reader that has seen enough ends this process, quietly.
pub(crate) fn print(data: &[u8]) -> Result<(), Report> {
    let mut stdout = stdout().lock();
    match stdout.write_all(data).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit(0),
        Err(error) => Err(Report::failure("cannot write to standard output").cause(error)),
        Ok(()) => Ok(()),
    }
}

/// A cause or note in the style of all: in lower case, and without the number of the system's error and what follows it.
fn plain(text: &str) -> String {
    let text = text.split(" (os error ").next().unwrap_or_default();
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => {
            first.to_lowercase().chain([second]).chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

/// Several lines without what would move a terminal's cursor otherwise: programs choose many of the names in them.
fn harmless(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// A label in colour, where standard error is a terminal and its user did not object.
fn label(text: &str, colour: &str) -> String {
    let objects = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    if stderr().is_terminal() && !objects && !dumb {
        format!("\x1b[{colour}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
