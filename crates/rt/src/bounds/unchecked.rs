//! `unchecked`: nothing is compared, and nothing beyond the memory is its own.

use super::Reservation;

pub(super) fn reservation(bytes_max: usize) -> Option<Reservation> {
    Some(Reservation { bytes_max, bytes: bytes_max })
}
