//! Functions under profile `sealed`: each runs in a process of its own, which can do nothing but that.
//!
//! The node starts one process from its own binary, the *zygote*, of which the sealed process of each function, its
//! *worker*, is a copy: in it the node's own code runs the one function. The node gives it the program's code, and is told
//! by the kernel how it ends. A worker has some event loops, *lanes*; to each lead a pair of sockets for HTTP/2, and two
//! lines for messages, one of which is for those that cannot do anything else while they wait. What the function says comes back through standard output. A worker that ends, or does not answer, is
//! told of in the function's log, and the next call has a new one.
//!
//! What the function was granted beside WASI stays in the node, which is asked for it: in messages, and in requests
//! over HTTP/2 the other way.

mod asked;
mod counted;
mod failure;
mod idle;
mod line;
mod missed;
mod process;
mod ready;
mod remote;
mod ring;
mod words;
mod worker;
mod zygote;

pub(crate) use process::{Apart, Habits};
pub(crate) use words::Task;
pub(crate) use worker::Order;
pub use worker::{Failed, Within, work};
pub use zygote::Zygote;

/// What a worker says on its standard output when it can be asked, before what it can do.
const READY: &str = "ready";

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
