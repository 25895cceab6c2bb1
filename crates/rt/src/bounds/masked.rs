//! `masked`: a power of two is reserved, and code masks each address with it.

use super::{ACCESS_BYTES_MAX, Reservation};
use crate::abi::MemoryType;

/// Without a declared maximum, a memory may grow to this.
const BYTES_MAX_DEFAULT: u64 = 1 << 32;

/// The last address of the power of two that the declared maximum needs.
pub(super) const fn mask(memory: &MemoryType) -> u64 {
    let bytes = match (memory.pages_max as u64).checked_shl(memory.page_bytes_log2 as u32) {
        Some(bytes) if bytes >> memory.page_bytes_log2 == memory.pages_max as u64 => bytes,
        _ => BYTES_MAX_DEFAULT,
    };
    let bytes = if bytes > BYTES_MAX_DEFAULT { BYTES_MAX_DEFAULT } else { bytes };
    if bytes == 0 { 0 } else { bytes.next_power_of_two() - 1 }
}

pub(super) fn reservation(memory: &MemoryType, bytes_max: usize) -> Option<Reservation> {
    let reach = usize::try_from(mask(memory)).ok()?;
    let bytes = reach.checked_add(1 + ACCESS_BYTES_MAX)?;
    Some(Reservation { bytes_max: bytes_max.min(reach.saturating_add(1)), bytes })
}
