//! Messages between two processes in memory that they share: a ring of words for each direction, which one of them writes
//! and the other reads, and words by which they tell that they are to be woken.
//!
//! Either may be the other's enemy. Whoever reads copies before it looks at anything; how far it has come, each side knows
//! by itself, and what the other says of it is only compared with that.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use engine::sealed::Shared;

use crate::limits::{WORKER_MESSAGE_BYTES_MAX, WORKER_RING_WORDS};

/// Words of memory for both directions.
pub(super) const WORDS: usize = 2 * TO_NODE;

/// Where the direction from the worker to the node begins; the other one begins at 0.
pub(super) const TO_NODE: usize = FIRST + WORKER_RING_WORDS;

// What there is of one direction. Words that are written by turns are apart from each other, so that processors do not wait
// for each other's.
/// How many words were written.
pub(super) const WRITTEN: usize = 0;
/// How many words were read.
pub(super) const READ: usize = 8;
/// Not zero where the reader sleeps.
pub(super) const SLEEPS: usize = 16;
/// Not zero where the writer waits for room.
pub(super) const WAITS: usize = 24;
/// The ring.
pub(super) const FIRST: usize = 32;

/// Words before what a message says: its length in bytes, and its number.
const HEAD_WORDS: usize = 2;

const WORD_BYTES: usize = size_of::<u64>();

/// The other side says what cannot be.
#[derive(Debug)]
pub(super) struct Nonsense;

/// Whose end of the memory it is.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Node,
    Worker,
}

/// Both directions, as one side has them.
pub(super) fn ends(memory: Shared, side: Side) -> (Incoming, Outgoing) {
    let memory = Arc::new(memory);
    let direction = |first| Direction { memory: Arc::clone(&memory), first };
    let (to_worker, to_node) = (direction(0), direction(TO_NODE));
    let (from, to) = match side {
        Side::Node => (to_node, to_worker),
        Side::Worker => (to_worker, to_node),
    };
    (
        Incoming { ring: from, read: 0, begun: None, sleeps: false },
        Outgoing { ring: to, written: 0, waiting: VecDeque::new(), bytes: 0 },
    )
}

struct Direction {
    memory: Arc<Shared>,
    first: usize,
}

impl Direction {
    fn word(&self, index: usize) -> &AtomicU64 {
        &self.memory[self.first + index]
    }

    fn slot(&self, count: u64) -> &AtomicU64 {
        self.word(FIRST + count as usize % WORKER_RING_WORDS)
    }

    /// Whether the other side has said so, which it says once each time.
    fn is_told(&self, word: usize) -> bool {
        // What was written or read before is seen by whoever says so after this.
        fence(Ordering::SeqCst);
        self.word(word).load(Ordering::Relaxed) != 0 && self.word(word).swap(0, Ordering::Relaxed) != 0
    }

    fn tell(&self, word: usize) {
        self.word(word).store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }
}

/// Where messages are read.
pub(super) struct Incoming {
    ring: Direction,
    read: u64,
    begun: Option<Begun>,
    /// Whether this side has said that it sleeps.
    sleeps: bool,
}

/// A message of which not all has come.
struct Begun {
    number: u64,
    length: usize,
    said: Vec<u8>,
}

impl Incoming {
    /// The number of the next message, if it has come so far.
    pub(super) fn number(&mut self) -> Result<Option<u64>, Nonsense> {
        if self.begun.is_none() {
            match self.there()? {
                0 => return Ok(None),
                // A head is written whole.
                there if there < HEAD_WORDS => return Err(Nonsense),
                _ => {}
            }
            let [length, number] =
                [0, 1].map(|word| self.ring.slot(self.read + word).load(Ordering::Relaxed));
            let length = usize::try_from(length).ok().filter(|length| *length <= WORKER_MESSAGE_BYTES_MAX);
            self.begun = Some(Begun { number, length: length.ok_or(Nonsense)?, said: Vec::new() });
            self.has_read(HEAD_WORDS);
        }
        Ok(self.begun.as_ref().map(|message| message.number))
    }

    /// The next message, its number and what it says, if all of it has come. Copies no more than there is now, and takes no
    /// more room than that.
    pub(super) fn receive(&mut self) -> Result<Option<(u64, Vec<u8>)>, Nonsense> {
        self.number()?;
        let there = self.there()?;
        let Some(mut message) = self.begun.take() else { return Ok(None) };
        let wanted = (message.length - message.said.len()).div_ceil(WORD_BYTES);
        let words = wanted.min(there);
        message.said.reserve(words * WORD_BYTES);
        for count in self.read..self.read + words as u64 {
            message.said.extend_from_slice(&self.ring.slot(count).load(Ordering::Relaxed).to_le_bytes());
        }
        self.has_read(words);
        if words < wanted {
            self.begun = Some(message);
            return Ok(None);
        }
        message.said.truncate(message.length);
        Ok(Some((message.number, message.said)))
    }

    fn has_read(&mut self, words: usize) {
        self.read += words as u64;
        self.ring.word(READ).store(self.read, Ordering::Release);
    }

    /// Words that can be read.
    fn there(&self) -> Result<usize, Nonsense> {
        let there = self.ring.word(WRITTEN).load(Ordering::Acquire).wrapping_sub(self.read);
        if there <= WORKER_RING_WORDS as u64 { Ok(there as usize) } else { Err(Nonsense) }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self.there(), Ok(0))
    }

    /// Whether the other side waits for the room that there is now, and is to be woken.
    pub(super) fn is_awaited(&self) -> bool {
        self.ring.is_told(WAITS)
    }

    /// Says that this side sleeps. Whether it can: not where something has come.
    pub(super) fn sleep(&mut self) -> bool {
        self.ring.tell(SLEEPS);
        self.sleeps = true;
        let has_begun = self.begun.as_ref().is_some_and(|message| message.said.len() == message.length);
        let is_empty = self.is_empty() && !has_begun;
        if !is_empty {
            self.wake();
        }
        is_empty
    }

    /// Says that this side does not sleep any more, if it did.
    pub(super) fn wake(&mut self) -> bool {
        let slept = std::mem::take(&mut self.sleeps);
        if slept {
            self.ring.word(SLEEPS).store(0, Ordering::Relaxed);
        }
        slept
    }
}

/// Where messages are written, and wait for room.
pub(super) struct Outgoing {
    ring: Direction,
    written: u64,
    waiting: VecDeque<Message>,
    /// Bytes that wait: also those of messages that say nothing.
    bytes: usize,
}

struct Message {
    number: u64,
    said: Vec<u8>,
    /// Bytes of it that are written; `None` before its head is.
    written: Option<usize>,
}

impl Outgoing {
    /// Adds a message to those that wait.
    pub(super) fn push(&mut self, number: u64, said: Vec<u8>) {
        self.bytes += said.len() + size_of::<Message>();
        self.waiting.push_back(Message { number, said, written: None });
    }

    /// Bytes that wait for room.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Writes what there is room for. Whether the other side sleeps, and is to be woken.
    pub(super) fn write(&mut self) -> Result<bool, Nonsense> {
        let before = self.written;
        while !self.waiting.is_empty() && !self.fill()? {
            self.ring.tell(WAITS);
            if !self.has_room()? {
                break;
            }
        }
        Ok(self.written != before && self.ring.is_told(SLEEPS))
    }

    /// Writes until nothing waits, or there is no room. Whether nothing waits.
    fn fill(&mut self) -> Result<bool, Nonsense> {
        let mut room = self.room()?;
        while let Some(message) = self.waiting.front_mut() {
            let written = match message.written {
                Some(written) => written,
                None if room < HEAD_WORDS => break,
                None => {
                    for word in [message.said.len() as u64, message.number] {
                        self.ring.slot(self.written).store(word, Ordering::Relaxed);
                        self.written += 1;
                    }
                    room -= HEAD_WORDS;
                    0
                }
            };
            let rest = &message.said[written..];
            let words = rest.len().div_ceil(WORD_BYTES).min(room);
            let part = &rest[..rest.len().min(words * WORD_BYTES)];
            for bytes in part.chunks(WORD_BYTES) {
                let mut word = [0; WORD_BYTES];
                word[..bytes.len()].copy_from_slice(bytes);
                self.ring.slot(self.written).store(u64::from_le_bytes(word), Ordering::Relaxed);
                self.written += 1;
            }
            room -= words;
            message.written = Some(written + part.len());
            if part.len() < rest.len() {
                break;
            }
            self.bytes -= message.said.len() + size_of::<Message>();
            self.waiting.pop_front();
        }
        self.ring.word(WRITTEN).store(self.written, Ordering::Release);
        Ok(self.waiting.is_empty())
    }

    /// Words that can be written.
    fn room(&self) -> Result<usize, Nonsense> {
        let unread = self.written.wrapping_sub(self.ring.word(READ).load(Ordering::Acquire));
        usize::try_from(unread).ok().and_then(|unread| WORKER_RING_WORDS.checked_sub(unread)).ok_or(Nonsense)
    }

    fn has_room(&self) -> Result<bool, Nonsense> {
        Ok(self.room()? >= HEAD_WORDS)
    }
}
