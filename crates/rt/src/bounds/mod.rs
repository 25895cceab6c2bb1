//! What keeps accesses inside a memory: one policy, one file, each with the same few functions. `aot::bounds` has the
//! other half, the code of an access.

mod checked;
mod guarded;
mod masked;
mod unchecked;

use crate::abi::MemoryType;

/// What keeps accesses inside a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Policy {
    /// Pages without access around the memory: a stray access faults.
    Guarded = 0,
    /// Each access is compared with the length.
    Checked = 1,
    /// Addresses wrap at a power of two: a stray access goes astray inside the memory's own room.
    Masked = 2,
    /// Nothing does. Only for programs that are trusted.
    Unchecked = 3,
}

impl Policy {
    /// All of them, the default first.
    pub const ALL: [Self; 4] = [Self::Guarded, Self::Checked, Self::Masked, Self::Unchecked];

    /// The word that names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Guarded => "guarded",
            Self::Checked => "checked",
            Self::Masked => "masked",
            Self::Unchecked => "unchecked",
        }
    }
}

/// The address space of a memory.
#[derive(Clone, Copy, Debug)]
pub struct Reservation {
    /// What the memory may grow to, in bytes.
    pub bytes_max: usize,
    /// The whole, with what only stands guard.
    pub bytes: usize,
}

/// So many bytes behind what addresses are masked with are reserved and never accessible, where there are pages and the
/// memory counts in 64 KiB: whatever reaches over the end has a page of its own, and pages are no smaller.
pub const BEHIND_MASK_BYTES: u64 = 4 << 10;

/// What an access may reach beyond the last address it is allowed to begin at.
const ACCESS_BYTES_MAX: usize = 16;

/// The address space for a memory that may not exceed `bytes_max`; `None` if the target has not as much.
pub fn reservation(memory: &MemoryType, bytes_max: usize) -> Option<Reservation> {
    let page_bytes = 1_usize.checked_shl(memory.page_bytes_log2 as u32)?;
    let bytes_max = memory.pages_max.saturating_mul(page_bytes).min(bytes_max).min(reach(memory, page_bytes));
    let bytes_min = memory.pages_min.checked_mul(page_bytes)?;
    let bytes_max = (bytes_max / page_bytes * page_bytes).max(bytes_min);
    match memory.policy {
        Policy::Guarded => guarded::reservation(bytes_max),
        Policy::Checked => checked::reservation(bytes_max),
        Policy::Masked => masked::reservation(memory, bytes_max),
        Policy::Unchecked => unchecked::reservation(bytes_max),
    }
}

/// What indices of the memory can reach, in whole pages of which there are as many as an index can count.
fn reach(memory: &MemoryType, page_bytes: usize) -> usize {
    let pages = if memory.page_bytes_log2 == 0 { u32::MAX as usize } else { (1 << 31) / (page_bytes / 2) };
    match memory.index_bits {
        32 => pages.saturating_mul(page_bytes),
        _ => usize::MAX,
    }
}

/// What addresses of a memory are masked with, which code has as a constant: `None` if the policy has no mask.
pub const fn mask(memory: &MemoryType) -> Option<u64> {
    match memory.policy {
        Policy::Masked => Some(masked::mask(memory)),
        _ => None,
    }
}
