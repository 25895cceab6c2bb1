//! Linear memories: how they begin, grow, and are filled and copied in pieces.

use core::ptr;

use crate::abi::{MemoryType, NO_MAX};
use crate::bounds;
use crate::store::Store;
use crate::trap::Trap;

/// Between two pieces of this many bytes an interruption is looked for.
const PIECE_BYTES: usize = 64 << 10;

/// A linear memory. It never moves: its address space is reserved when it is made.
#[repr(C)]
#[derive(Debug)]
pub struct Memory {
    // Native code reads the first three.
    base: *mut u8,
    bytes: usize,
    mask: usize,
    bytes_max: usize,
    pages_max: usize,
    page_bytes_log2: usize,
    index_bits: usize,
    reserved_bytes: usize,
}

impl Memory {
    /// A memory of the declared minimum; `None` if that exceeds the store's limits or what the platform has.
    pub fn new(store: &mut Store, of: &MemoryType) -> Option<Self> {
        let reservation = bounds::reservation(of, store.limits.memory_bytes_max)?;
        let base = store.platform.reserve(reservation.bytes);
        if base.is_null() {
            return None;
        }
        let mut memory = Self {
            base,
            bytes: 0,
            mask: bounds::mask(of).unwrap_or(0) as usize,
            bytes_max: reservation.bytes_max,
            pages_max: of.pages_max,
            page_bytes_log2: of.page_bytes_log2,
            index_bits: of.index_bits,
            reserved_bytes: reservation.bytes,
        };
        if memory.grow(store, of.pages_min as u64).is_none() {
            memory.release(store);
            return None;
        }
        Some(memory)
    }

    /// A memory that somebody else has: `reserved_bytes` from `base` are set aside for it, as [`bounds::reservation`] asks
    /// for. It has its minimum accessible, grows by what the store's platform commits, and is never released.
    pub fn lent(base: *mut u8, reserved_bytes: usize, of: &MemoryType) -> Self {
        Self {
            base,
            bytes: of.pages_min << of.page_bytes_log2,
            mask: bounds::mask(of).unwrap_or(0) as usize,
            bytes_max: reserved_bytes,
            pages_max: of.pages_max,
            page_bytes_log2: of.page_bytes_log2,
            index_bits: of.index_bits,
            reserved_bytes,
        }
    }

    /// Says how many pages whoever lends it has made accessible by now.
    pub const fn set_pages(&mut self, pages: u64) {
        self.bytes = (pages as usize) << self.page_bytes_log2;
    }

    /// Gives its address space and its share of the store's limits back.
    pub fn release(&mut self, store: &mut Store) {
        store.limits.memory_bytes_max += self.bytes;
        // SAFETY: it was reserved by `new`; nobody may use a released memory.
        unsafe { store.platform.release(self.base, self.reserved_bytes) };
        (self.bytes, self.bytes_max, self.reserved_bytes) = (0, 0, 0);
    }

    /// The pages there were before, or `None` if it cannot grow so far.
    pub fn grow(&mut self, store: &mut Store, pages: u64) -> Option<u64> {
        let before = self.pages();
        let more = usize::try_from(pages).ok()?.checked_mul(1 << self.page_bytes_log2)?;
        let bytes = self.bytes.checked_add(more)?;
        let too_many = self.pages_max != NO_MAX && (bytes >> self.page_bytes_log2) > self.pages_max;
        if too_many || bytes > self.bytes_max || more > store.limits.memory_bytes_max {
            return None;
        }
        // SAFETY: the range lies between the length and the end of the reservation.
        if more > 0 && !unsafe { store.platform.commit(self.base.add(self.bytes), more) } {
            return None;
        }
        store.limits.memory_bytes_max -= more;
        self.bytes = bytes;
        Some(before)
    }

    /// How many pages it has.
    pub const fn pages(&self) -> u64 {
        (self.bytes >> self.page_bytes_log2) as u64
    }

    /// The bytes of a page are two to the power of this.
    pub const fn page_bytes_log2(&self) -> usize {
        self.page_bytes_log2
    }

    /// Its bytes. A guest may change them whenever it runs.
    pub const fn data(&self) -> *mut [u8] {
        ptr::slice_from_raw_parts_mut(self.base, self.bytes)
    }

    /// Whether an import of this type may be this memory.
    pub(crate) const fn matches(&self, of: &MemoryType) -> bool {
        self.page_bytes_log2 == of.page_bytes_log2
            && self.index_bits == of.index_bits
            && self.bytes >> self.page_bytes_log2 >= of.pages_min
            && (of.pages_max == NO_MAX || (self.pages_max != NO_MAX && self.pages_max <= of.pages_max))
    }

    pub(crate) const fn base(&self) -> *mut u8 {
        self.base
    }

    /// Whether an address is in what is set aside for it, which are whole pages.
    #[cfg(feature = "linux")]
    pub(crate) fn reserves(&self, address: usize) -> bool {
        let bytes = self.reserved_bytes.next_multiple_of(bounds::BEHIND_MASK_BYTES as usize);
        address.wrapping_sub(self.base as usize) < bytes
    }

    /// Where `count` bytes from `at` begin, if the memory has them.
    fn range(&self, at: u64, count: u64) -> Result<*mut u8, Trap> {
        match at.checked_add(count) {
            // SAFETY: the offset lies within the memory.
            Some(end) if end <= self.bytes as u64 => Ok(unsafe { self.base.add(at as usize) }),
            _ => Err(Trap::MemoryOutOfBounds),
        }
    }
}

/// `memory.fill`.
pub(crate) fn fill(store: &Store, memory: &Memory, to: u64, byte: u8, count: u64) -> Result<(), Trap> {
    let to = memory.range(to, count)?;
    pieces(store, count as usize, false, |at, bytes| {
        // SAFETY: the piece lies in the range that was looked up.
        unsafe { ptr::write_bytes(to.add(at), byte, bytes) };
    })
}

/// `memory.copy`, within one memory or between two.
pub(crate) fn copy(
    store: &Store,
    (target, to): (&Memory, u64),
    (source, from): (&Memory, u64),
    count: u64,
) -> Result<(), Trap> {
    let (to, from) = (target.range(to, count)?, source.range(from, count)?);
    // What moves up is moved from its end, so that no piece is written before it was read.
    pieces(store, count as usize, to.cast_const() > from.cast_const(), |at, bytes| {
        // SAFETY: both pieces lie in the ranges that were looked up; they may overlap.
        unsafe { ptr::copy(from.add(at), to.add(at), bytes) };
    })
}

/// `memory.init`.
pub(crate) fn init(
    store: &Store,
    (target, to): (&Memory, u64),
    (segment, from): (&[u8], u32),
    count: u32,
) -> Result<(), Trap> {
    let to = target.range(to, count.into())?;
    let from = segment.get(from as usize..).and_then(|rest| rest.get(..count as usize));
    let from = from.ok_or(Trap::MemoryOutOfBounds)?;
    pieces(store, from.len(), false, |at, bytes| {
        // SAFETY: the piece lies in the range that was looked up; a segment is not part of a memory.
        unsafe { ptr::copy_nonoverlapping(from[at..].as_ptr(), to.add(at), bytes) };
    })
}

/// Does `work(at, bytes)` for all pieces of a range, from its start or its end.
fn pieces(
    store: &Store,
    bytes: usize,
    backwards: bool,
    mut work: impl FnMut(usize, usize),
) -> Result<(), Trap> {
    let mut done = 0;
    while done < bytes {
        if store.is_interrupted() {
            return Err(Trap::Interrupted);
        }
        let piece = PIECE_BYTES.min(bytes - done);
        work(if backwards { bytes - done - piece } else { done }, piece);
        done += piece;
    }
    Ok(())
}
