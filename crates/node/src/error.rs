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
    #[error("cannot seal function `{function}`: {reason}")]
    Worker {
        /// The function.
        function: String,
        /// What is known of it.
        reason: String,
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
            _ => None,
        }
    }
}
