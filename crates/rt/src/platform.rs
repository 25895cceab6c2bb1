//! What `rt` needs from whatever it runs on.

use crate::store::{Activation, Stopped};

/// Pages, and who is told of faults. One value serves all stores.
pub trait Platform: Sync {
    /// Address space for `bytes`, none of it accessible yet; aligned to the largest page. Null if there is none.
    fn reserve(&self, bytes: usize) -> *mut u8;

    /// Makes `bytes` from `start` readable and writable; they are zero. False if there is no memory.
    ///
    /// # Safety
    /// The range lies in what `reserve` gave, and nobody uses it yet.
    unsafe fn commit(&self, start: *mut u8, bytes: usize) -> bool;

    /// Gives a reservation back.
    ///
    /// # Safety
    /// `reserve` gave `start` for `bytes`, and nobody uses it any more.
    unsafe fn release(&self, start: *mut u8, bytes: usize);

    /// Says which activation the faults of this thread belong to from now on (null: none), and returns which it was.
    fn activate(&self, activation: *mut Activation) -> *mut Activation;

    /// Is told where native code was stopped by a trap, before its frames are given up; maybe by a handler of signals.
    fn stopped(&self, _: &Stopped) {}
}
