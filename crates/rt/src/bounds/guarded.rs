//! `guarded`: whatever a 32-bit index and a 32-bit offset can reach is reserved, so that nothing need be compared.

use super::{ACCESS_BYTES_MAX, Reservation};

/// Index and offset have 32 bits each.
const REACH_BYTES: u64 = 1 << 33;

pub(super) fn reservation(bytes_max: usize) -> Option<Reservation> {
    let reach = usize::try_from(REACH_BYTES).ok()?;
    Some(Reservation { bytes_max: bytes_max.min(reach / 2), bytes: reach.checked_add(ACCESS_BYTES_MAX)? })
}
