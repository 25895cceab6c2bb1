//! Counts what an instance holds and refuses what is over its limits.

use std::time::Instant;

use wasmtime::{ResourceLimiter, Trap};

use crate::Limit;
use crate::limits::{INSTANCES_MAX, Limits, TABLE_ELEMENT_BYTES};
use crate::shim::Guests;

/// The data of a [`Store`](wasmtime::Store) that this crate can hold to its limits.
pub trait Metered: Send + 'static {
    /// The meter of this store.
    fn meter(&mut self) -> &mut Meter;
}

/// The running total of one store's memory, over all its memories, tables and garbage-collected heaps.
///
/// A growth past the maximum that the program itself declared is refused as the specification says, and the program
/// goes on; a growth past the instance's limit ends it. What was once counted is not given back, not even when the
/// operating system then refuses the pages: a total that can only be too high cannot be cheated.
#[derive(Debug)]
pub struct Meter {
    bytes: usize,
    bytes_max: usize,
    ends_at: Option<Instant>,
    /// The instances of native code in the store.
    pub(crate) guests: Guests,
}

impl Meter {
    /// A meter that allows what `limits` allow, from now on.
    pub fn new(limits: &Limits) -> Self {
        let ends_at = limits.time_max.and_then(|time| Instant::now().checked_add(time));
        Self { bytes: 0, bytes_max: limits.memory_bytes_max, ends_at, guests: Guests::default() }
    }

    /// When the time is over, if there is a limit.
    pub fn ends_at(&self) -> Option<Instant> {
        self.ends_at
    }

    /// Bytes held now.
    pub fn bytes(&self) -> usize {
        self.bytes.saturating_add(self.guests.table_bytes())
    }

    /// Bytes that may still be held.
    pub(crate) fn bytes_left(&self) -> usize {
        self.bytes_max.saturating_sub(self.bytes).saturating_sub(self.guests.table_bytes())
    }

    /// Whether the time is over.
    pub(crate) fn is_over(&self) -> bool {
        self.ends_at.is_some_and(|end| Instant::now() >= end)
    }

    fn grow(&mut self, bytes: usize, maximum_passed: bool) -> wasmtime::Result<bool> {
        if maximum_passed {
            return Ok(false);
        }
        let total = self.bytes.saturating_add(self.guests.table_bytes()).saturating_add(bytes);
        if total > self.bytes_max {
            return Err(Limit::Memory { bytes_max: self.bytes_max, asked: total }.into());
        }
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(true)
    }
}

impl Metered for Meter {
    fn meter(&mut self) -> &mut Meter {
        self
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if current > 0
            && let Some(answered) = self.guests.answer(maximum)
        {
            // Here native code comes by when it is paused, and with each call of an import.
            return match answered {
                Ok(()) if self.is_over() => Err(Trap::Interrupt.into()),
                answered => answered.map(|()| false),
            };
        }
        self.grow(desired.saturating_sub(current), maximum.is_some_and(|maximum| desired > maximum))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = desired.saturating_sub(current).saturating_mul(TABLE_ELEMENT_BYTES);
        self.grow(bytes, maximum.is_some_and(|maximum| desired > maximum))
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        INSTANCES_MAX
    }

    fn memories(&self) -> usize {
        INSTANCES_MAX
    }
}
