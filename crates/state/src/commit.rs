//! The queue in front of a group commit: many push, one takes all that has come, so that one commit pays for them all.
//!
//! It is checked under every interleaving of its threads by `tests/commit_model.rs`, which compiles this file with
//! other locks: `crate::sync` is all that it may lean on.

use crate::sync::{Condvar, Mutex, PoisonError};

/// A bounded queue. An item weighs something (its bytes); items and weight are bounded.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
    items_max: usize,
    weight_max: usize,
}

/// Why an item was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The queue is full.
    Full,
    /// The queue was closed.
    Closed,
}

struct State<T> {
    items: Vec<T>,
    weight: usize,
    closed: bool,
}

impl<T> Queue<T> {
    pub(crate) fn new(items_max: usize, weight_max: usize) -> Self {
        let state = Mutex::new(State { items: Vec::new(), weight: 0, closed: false });
        Self { state, arrived: Condvar::new(), items_max, weight_max }
    }

    /// Puts `item` at the end. A single item may weigh more than the bound, so that it can be taken in at all.
    pub(crate) fn push(&self, item: T, weight: usize) -> Result<(), Refused> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Err(Refused::Closed);
        }
        let heavy = state.weight.saturating_add(weight) > self.weight_max;
        if state.items.len() >= self.items_max || (heavy && !state.items.is_empty()) {
            return Err(Refused::Full);
        }
        state.items.push(item);
        state.weight += weight;
        // The taker sleeps only when there is nothing, so only the first item has to wake it.
        if state.items.len() == 1 {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Waits until there is something, and takes all of it in order. `None` when the queue is closed and empty.
    pub(crate) fn take(&self) -> Option<Vec<T>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.items.is_empty() {
            if state.closed {
                return None;
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.weight = 0;
        Some(std::mem::take(&mut state.items))
    }

    /// Takes nothing in from now on. What was taken in can still be taken out.
    pub(crate) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.arrived.notify_one();
    }
}
