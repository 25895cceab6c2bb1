//! What a program asked for and was not granted, kept so that its end can be explained.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::bindings::{Level, Log};
use crate::limits::DENIALS_MAX;

/// One thing that a program asked for and was not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// Any directory at all: none is granted. Most components look for one when they start, whether they then open
    /// a file or not.
    Directory,
    /// To send to an address.
    Connect(SocketAddr),
    /// To look up a name.
    LookUp(String),
    /// To receive on an address.
    Listen(SocketAddr),
    /// To send an HTTP request to an authority.
    Http(String),
    /// To call a function of its app.
    Call(String),
    /// To open a bucket of its app.
    Bucket(String),
    /// To open a container of objects of its app.
    Container(String),
    /// To use the SQL database of its app.
    Sql,
}

impl Denial {
    /// The grant that would have allowed it, as it is written on the command line.
    pub fn grant(&self) -> String {
        match self {
            Denial::Directory => "--dir HOST[:GUEST]".to_owned(),
            Denial::Connect(address) => format!("--net {address}"),
            Denial::LookUp(name) => format!("--net {name}:PORT"),
            Denial::Listen(address) => format!("--listen {address}"),
            Denial::Http(authority) => format!("--http={authority}"),
            Denial::Call(name) => format!("calls = [\"{name}\"]"),
            Denial::Bucket(name) => format!("buckets = [\"{name}\"]"),
            Denial::Container(name) => format!("blobs = [\"{name}\"]"),
            Denial::Sql => "sql = true".to_owned(),
        }
    }

    /// The grant of a manifest that would have allowed it; `None` where there is none, or it was hardly meant.
    fn declaration(&self) -> Option<String> {
        Some(match self {
            Denial::Directory | Denial::Listen(_) => return None,
            Denial::Connect(address) => format!("net = [\"{address}\"]"),
            Denial::LookUp(name) => format!("net = [\"{name}:PORT\"]"),
            Denial::Http(authority) => format!("http = [\"{authority}\"]"),
            denial => denial.grant(),
        })
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Denial::Directory => f.write_str("it was granted no directory for its files"),
            Denial::Connect(address) => write!(f, "it was denied to send to {address}"),
            Denial::LookUp(name) => write!(f, "it was denied to look up `{name}`"),
            Denial::Listen(address) => write!(f, "it was denied to receive on {address}"),
            Denial::Http(authority) => write!(f, "it was denied an HTTP request to `{authority}`"),
            Denial::Call(name) => write!(f, "it was denied to call `{name}`"),
            Denial::Bucket(name) => write!(f, "it was denied the bucket `{name}`"),
            Denial::Container(name) => write!(f, "it was denied the container `{name}`"),
            Denial::Sql => f.write_str("it was denied the SQL database"),
        }
    }
}

/// The denials of one program, in order, each once; a program that tries without end is not remembered without end.
#[derive(Clone, Default)]
pub struct Denials {
    list: Arc<Mutex<Vec<Denial>>>,
    log: Option<Arc<dyn Log>>,
}

impl Denials {
    /// Those of a function are told to its log, too.
    pub(crate) fn new(log: Option<Arc<dyn Log>>) -> Self {
        Self { list: Arc::default(), log }
    }

    /// Remembers one.
    pub(crate) fn record(&self, denial: Denial) {
        let mut denials = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if denials.len() < DENIALS_MAX && !denials.contains(&denial) {
            if let (Some(log), Some(grant)) = (&self.log, denial.declaration()) {
                log.line(Level::Warn, &format!("{denial}; `{grant}` grants it"));
            }
            denials.push(denial);
        }
    }

    /// All that are remembered, in order; [`Denial::Directory`] last, for it is the least certain reason to fail.
    pub fn list(&self) -> Vec<Denial> {
        let mut denials = self.list.lock().unwrap_or_else(PoisonError::into_inner).clone();
        denials.sort_by_key(|denial| *denial == Denial::Directory);
        denials
    }
}
