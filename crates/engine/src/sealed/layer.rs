//! The list of layers, and what became of each.

use std::fmt;
use std::io;

/// Something that stands between a sealed process and the rest of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// What it is called.
    pub name: String,
    /// What became of it.
    pub state: State,
}

/// What became of a [`Layer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is there; with what there is to say of it.
    Held(String),
    /// It is not there, because something was granted that goes through it.
    Granted(String),
    /// The kernel refused it, and other layers hold what it promises: why, and which.
    Replaced(String),
    /// The kernel refused it: why.
    Refused(String),
}

impl Layer {
    pub(super) fn new(name: &str, state: State) -> Self {
        Self { name: name.to_owned(), state }
    }

    /// A layer that is there unless setting it up failed.
    pub(super) fn from_result<T>(name: &str, result: io::Result<T>) -> Self {
        let state = match result {
            Ok(_) => State::Held(String::new()),
            Err(error) => State::Refused(plain(&error)),
        };
        Self::new(name, state)
    }

    /// Whether the kernel refused it, and nothing takes its place.
    pub fn is_refused(&self) -> bool {
        matches!(self.state, State::Refused(_))
    }
}

/// What the system said, without its number.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error ").next().unwrap_or_default().to_owned()
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, detail) = match &self.state {
            State::Held(detail) => ("held", detail),
            State::Granted(detail) => ("granted away", detail),
            State::Replaced(detail) => ("replaced", detail),
            State::Refused(detail) => ("refused", detail),
        };
        match detail.as_str() {
            "" => write!(f, "{}: {state}", self.name),
            detail => write!(f, "{}: {state}: {detail}", self.name),
        }
    }
}

/// The layers as one message: a line for each.
pub(super) fn to_bytes(layers: &[Layer]) -> Vec<u8> {
    let line = |layer: &Layer| {
        let (kind, detail) = match &layer.state {
            State::Held(detail) => ('h', detail),
            State::Granted(detail) => ('g', detail),
            State::Replaced(detail) => ('r', detail),
            State::Refused(detail) => ('x', detail),
        };
        format!("{kind}{}\t{}\n", layer.name, detail.replace(['\n', '\t'], " "))
    };
    layers.iter().map(line).collect::<String>().into_bytes()
}

/// See [`to_bytes`].
pub(super) fn from_bytes(bytes: &[u8]) -> Option<Vec<Layer>> {
    let layer = |line: &str| {
        let (name, detail) = line.get(1..)?.split_once('\t')?;
        let detail = detail.to_owned();
        let state = match line.as_bytes()[0] {
            b'h' => State::Held(detail),
            b'g' => State::Granted(detail),
            b'r' => State::Replaced(detail),
            b'x' => State::Refused(detail),
            _ => return None,
        };
        Some(Layer::new(name, state))
    };
    std::str::from_utf8(bytes).ok()?.lines().map(layer).collect()
}
