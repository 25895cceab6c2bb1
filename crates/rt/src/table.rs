//! Tables of references.

use core::ffi::c_void;
use core::ptr;

use crate::abi::{NO_MAX, TableType};
use crate::store::Store;
use crate::trap::Trap;

/// Between two pieces of this many elements an interruption is looked for.
const PIECE_LEN: usize = 8 << 10;

/// A table. Like a memory it never moves.
#[repr(C)]
#[derive(Debug)]
pub struct Table {
    // Native code reads the first two.
    base: *mut *mut c_void,
    len: usize,
    len_max: usize,
    reserved_bytes: usize,
}

impl Table {
    /// A table of the declared minimum, all null; `None` if that exceeds the store's limits or what the platform has.
    pub fn new(store: &mut Store, of: &TableType) -> Option<Self> {
        let room = of.len_max.min(store.limits.table_elements_max).max(of.len_min);
        let reserved_bytes = room.max(1).checked_mul(size_of::<usize>())?;
        if of.len_min > store.limits.table_elements_max {
            return None;
        }
        let base = store.platform.reserve(reserved_bytes);
        if base.is_null() {
            return None;
        }
        let mut table = Self { base: base.cast(), len: 0, len_max: of.len_max, reserved_bytes };
        if table.grow(store, of.len_min as u64, ptr::null_mut()).is_none() {
            table.release(store);
            return None;
        }
        Some(table)
    }

    /// Gives its address space and its share of the store's limits back.
    pub fn release(&mut self, store: &mut Store) {
        store.limits.table_elements_max += self.len;
        // SAFETY: it was reserved by `new`; nobody may use a released table.
        unsafe { store.platform.release(self.base.cast(), self.reserved_bytes) };
        (self.len, self.reserved_bytes) = (0, 0);
    }

    /// How many elements it has.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// An element, if there is one of that index.
    pub fn get(&self, index: u64) -> Option<*mut c_void> {
        // SAFETY: the range has one element.
        self.range(index, 1).ok().map(|element| unsafe { *element })
    }

    /// Sets an element; false if there is none of that index.
    pub fn set(&mut self, index: u64, value: *mut c_void) -> bool {
        let element = self.range(index, 1);
        // SAFETY: the range has one element.
        element.map(|element| unsafe { *element = value }).is_ok()
    }

    /// The elements there were before, or `None` if it cannot grow so far.
    pub fn grow(&mut self, store: &mut Store, more: u64, value: *mut c_void) -> Option<u64> {
        let before = self.len;
        let more = usize::try_from(more).ok()?;
        let len = before.checked_add(more)?;
        let room = self.reserved_bytes / size_of::<usize>();
        let too_many = self.len_max != NO_MAX && len > self.len_max;
        if too_many || len > room || more > store.limits.table_elements_max {
            return None;
        }
        let bytes = more * size_of::<usize>();
        // SAFETY: the range lies between the length and the end of the reservation.
        if more > 0 && !unsafe { store.platform.commit(self.base.add(before).cast(), bytes) } {
            return None;
        }
        store.limits.table_elements_max -= more;
        self.len = len;
        if !value.is_null() {
            (before..len).for_each(|index| {
                self.set(index as u64, value);
            });
        }
        Some(before as u64)
    }

    /// Whether an import of this type may be this table, their elements being alike.
    pub(crate) const fn matches(&self, of: &TableType) -> bool {
        self.len >= of.len_min
            && (of.len_max == NO_MAX || (self.len_max != NO_MAX && self.len_max <= of.len_max))
    }

    pub(crate) const fn base(&self) -> *mut *mut c_void {
        self.base
    }

    /// Where `count` elements from `at` begin, if the table has them.
    fn range(&self, at: u64, count: u64) -> Result<*mut *mut c_void, Trap> {
        match at.checked_add(count) {
            // SAFETY: the offset lies within the table.
            Some(end) if end <= self.len as u64 => Ok(unsafe { self.base.add(at as usize) }),
            _ => Err(Trap::TableOutOfBounds),
        }
    }
}

/// `table.fill`.
pub(crate) fn fill(
    store: &Store,
    table: &Table,
    to: u64,
    value: *mut c_void,
    count: u64,
) -> Result<(), Trap> {
    let to = table.range(to, count)?;
    (0..count as usize).try_for_each(|index| {
        look(store, index)?;
        // SAFETY: the element lies in the range that was looked up.
        unsafe { *to.add(index) = value };
        Ok(())
    })
}

/// `table.copy`, within one table or between two.
pub(crate) fn copy(
    store: &Store,
    (target, to): (&Table, u64),
    (source, from): (&Table, u64),
    count: u64,
) -> Result<(), Trap> {
    let (to, from, count) = (target.range(to, count)?, source.range(from, count)?, count as usize);
    let backwards = to.cast_const() > from.cast_const();
    (0..count).try_for_each(|done| {
        look(store, done)?;
        let index = if backwards { count - 1 - done } else { done };
        // SAFETY: both elements lie in the ranges that were looked up.
        unsafe { *to.add(index) = *from.add(index) };
        Ok(())
    })
}

/// `table.init` with what `value` makes of the items of a segment.
pub(crate) fn init(
    store: &Store,
    (target, to): (&Table, u64),
    (segment, from): (&[i32], u32),
    count: u32,
    value: impl Fn(i32) -> *mut c_void,
) -> Result<(), Trap> {
    let to = target.range(to, count.into())?;
    let from = segment.get(from as usize..).and_then(|rest| rest.get(..count as usize));
    let from = from.ok_or(Trap::TableOutOfBounds)?;
    from.iter().enumerate().try_for_each(|(index, item)| {
        look(store, index)?;
        // SAFETY: the element lies in the range that was looked up.
        unsafe { *to.add(index) = value(*item) };
        Ok(())
    })
}

/// Looks for an interruption once per piece.
fn look(store: &Store, index: usize) -> Result<(), Trap> {
    match index.is_multiple_of(PIECE_LEN) && store.is_interrupted() {
        true => Err(Trap::Interrupted),
        false => Ok(()),
    }
}
