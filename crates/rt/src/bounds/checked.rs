//! `checked`: code compares each access with the length, so that nothing beyond is reserved.

use super::Reservation;

pub(super) fn reservation(bytes_max: usize) -> Option<Reservation> {
    Some(Reservation { bytes_max, bytes: bytes_max })
}
