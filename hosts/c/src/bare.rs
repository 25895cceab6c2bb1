//! Machines without an operating system: memory that the product gives, and nothing that could interrupt.

use rt::{Bare, Platform};

/// As much as there is.
pub(crate) const MEMORY_BYTES_MAX: usize = usize::MAX;
pub(crate) const STACK_BYTES_MAX: usize = 8 << 10;

/// The room itself, from its start.
pub(crate) unsafe fn platform(room: *mut u8, room_bytes: usize) -> Option<&'static dyn Platform> {
    let unaligned = (room as usize).next_multiple_of(size_of::<Aligned>()) - room as usize;
    let taken = unaligned + size_of::<Aligned>();
    let left = room_bytes.checked_sub(taken)?;
    if room.is_null() {
        return None;
    }
    // SAFETY: the product gives the room to the instance alone, for as long as that lives.
    unsafe {
        let at: *mut Aligned = room.add(unaligned).cast();
        at.write(Aligned(Bare::new(room.add(taken), left)));
        Some(&(*at).0)
    }
}

/// What lies behind it is aligned as it is.
#[repr(align(16))]
struct Aligned(Bare);

/// There are no threads.
pub(crate) struct Running(());

impl Running {
    pub(crate) const fn new() -> Self {
        Self(())
    }

    pub(crate) fn enter(&self) -> usize {
        0
    }

    pub(crate) fn leave(&self, _: usize) {}

    pub(crate) fn look(&self) -> bool {
        false
    }
}

pub(crate) fn abort() -> ! {
    loop {
        core::hint::spin_loop();
    }
}
