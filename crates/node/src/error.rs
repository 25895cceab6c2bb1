//! What can keep an app from being served.

use std::path::PathBuf;

/// Why an app is not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The manifest cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The manifest is not what it should be, or names what is not there.
    #[error(transparent)]
    Manifest(#[from] image::Error),
    /// A program cannot be loaded.
    #[error("cannot load function `{function}`")]
    Program {
        /// The function.
        function: String,
        /// Why.
        source: engine::Error,
    },
    /// A program imports what there is not.
    #[error("cannot link function `{function}`")]
    Link {
        /// The function.
        function: String,
        /// Why.
        source: engine::wasmtime::Error,
    },
    /// A program exports nothing that could be called.
    #[error("function `{function}` exports nothing that a route or a call can reach")]
    NoEntry {
        /// The function.
        function: String,
    },
    /// The process of a sealed function does not come to work.
    #[error("cannot seal function `{function}`")]
    Worker {
        /// The function.
        function: String,
        /// What is known of it.
        source: Words,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    State(#[from] state::Error),
    /// The app has no such bucket.
    #[error("`{app}` has no bucket `{bucket}`")]
    NoBucket {
        /// The app.
        app: String,
        /// What was asked for.
        bucket: String,
        /// Those that it has.
        known: Vec<String>,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
}

impl Error {
    /// What its user may do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::State(error) => error.hint().map(str::to_owned),
            Error::NoBucket { known, .. } if known.is_empty() => {
                Some("a manifest declares one with `[buckets.NAME]`".to_owned())
            }
            Error::NoBucket { known, .. } => Some(format!("it has `{}`", known.join("`, `"))),
            Error::NoEntry { .. } => Some(
                "it is to be a command, or to export a handler, as of `wasi:http` or `sampan:chain`"
                    .to_owned(),
            ),
            Error::Worker { source, .. } => source.hint.clone(),
            _ => None,
        }
    }
}

/// What a process said of its end, or what is known of it.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Words {
    text: String,
    #[source]
    cause: Option<Box<Words>>,
    hint: Option<String>,
}

impl Words {
    /// Of a text that may be an error as commands show one, with its causes and a hint.
    pub(crate) fn new(text: &str) -> Self {
        let text = text.strip_prefix("error: ").unwrap_or(text);
        let (text, hint) = match text.split_once("\n\nhint: ") {
            Some((text, hint)) => (text, Some(hint.to_owned())),
            None => (text, None),
        };
        let mut causes = text.rsplit("\n  cause: ");
        let words = |text: &str, cause| Self { text: text.to_owned(), cause, hint: None };
        let last = words(causes.next().unwrap_or_default(), None);
        let all = causes.fold(last, |cause, text| words(text, Some(Box::new(cause))));
        Self { hint, ..all }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_another_process_shows_is_shown_as_its_own_causes() {
        let shown = |text: &str| {
            let words = Words::new(text);
            let (mut all, mut next) = (Vec::new(), Some(&words));
            while let Some(words) = next {
                all.push(words.text.clone());
                next = words.cause.as_deref();
            }
            (all, words.hint)
        };
        let strings = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(shown("it ended"), (strings(&["it ended"]), None));
        assert_eq!(
            shown("error: cannot\n  cause: one: two\n  cause: three\n\nhint: do"),
            (strings(&["cannot", "one: two", "three"]), Some("do".to_owned()))
        );
    }
}
