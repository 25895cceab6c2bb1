//! Functions under profile `sealed`: each runs in a process of its own, which can do nothing but that.
//!
//! The node starts a worker for each, from its own binary. A worker is two processes: one that is sealed, in which the
//! node's own code runs the one function, and its supervisor, which tells how that ends. The sealed one has some event
//! loops, *lanes*; to each lead a pair of sockets for HTTP/2, and two lines for messages, one of which is for those that
//! cannot do anything else while they wait. What the function says comes back
//! through standard output. A worker that ends, or does not answer, is told of in the function's log, and the next
//! call has a new one.
//!
//! What the function was granted beside WASI stays in the node, which is asked for it: in messages, and in requests
//! over HTTP/2 the other way.

mod asked;
mod failure;
mod line;
mod process;
mod remote;
mod ring;
mod words;
mod worker;

pub(crate) use process::{Apart, Starting};
pub(crate) use words::Task;
pub(crate) use worker::Order;
pub use worker::{Ended, Failed, Within, work};

/// What a worker says on its standard output when it can be asked, before what it can do.
const READY: &str = "ready";

/// Bytes of what a worker is told to run.
const ORDER_BYTES_MAX: u32 = 1 << 20;

/// What a function can do, as far as its app must know beforehand.
#[derive(Clone, Copy)]
pub(crate) struct Abilities {
    pub(crate) is_middleware: bool,
    pub(crate) is_watcher: bool,
}

const MIDDLEWARE: &str = "middleware";
const WATCHER: &str = "watcher";

impl Abilities {
    fn from_words(words: &str) -> Self {
        let says = |word| words.split(' ').any(|said| said == word);
        Self { is_middleware: says(MIDDLEWARE), is_watcher: says(WATCHER) }
    }

    fn words(self) -> String {
        let words = [(self.is_middleware, MIDDLEWARE), (self.is_watcher, WATCHER)];
        words.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect::<Vec<_>>().join(" ")
    }
}
