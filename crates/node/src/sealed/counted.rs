//! How many instances there are in the processes of a function, as these say. It is shown, and nothing depends on it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::words::Instances;

/// As many as are shown.
const WARM_MAX: usize = 1_000_000;

/// All processes of a function together.
#[derive(Default)]
pub(super) struct Counted {
    made: AtomicU64,
    warm: AtomicUsize,
    frozen: AtomicUsize,
}

impl Counted {
    /// Instances that were made.
    pub(super) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// Instances that wait for a call. What processes say may be anything, and is added to what others have.
    pub(super) fn warm(&self) -> usize {
        self.warm.load(Ordering::Relaxed).min(WARM_MAX)
    }

    /// Processes that are frozen, as the node knows by itself.
    pub(super) fn frozen(&self) -> usize {
        self.frozen.load(Ordering::Relaxed)
    }
}

/// One of the processes. Dropped, it has no instances any more.
pub(super) struct Own {
    all: Arc<Counted>,
    told: Mutex<Instances>,
    is_frozen: AtomicBool,
}

impl Own {
    pub(super) fn new(all: Arc<Counted>) -> Self {
        Self { all, told: Mutex::default(), is_frozen: AtomicBool::new(false) }
    }

    /// Counts what the process says now in place of what it said before.
    pub(super) fn count(&self, now: Instances) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        self.all.made.fetch_add(now.made.saturating_sub(told.made), Ordering::Relaxed);
        // Both wrap alike: what is added is taken away again.
        self.all.warm.fetch_add(now.warm.wrapping_sub(told.warm), Ordering::Relaxed);
        *told = now;
    }

    /// Counts whether it is frozen now.
    pub(super) fn freeze(&self, is_frozen: bool) {
        let was_frozen = self.is_frozen.swap(is_frozen, Ordering::Relaxed);
        self.all.frozen.fetch_add(is_frozen.into(), Ordering::Relaxed);
        self.all.frozen.fetch_sub(was_frozen.into(), Ordering::Relaxed);
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let told = *self.told.lock().unwrap_or_else(PoisonError::into_inner);
        self.count(Instances { warm: 0, ..told });
        self.freeze(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_ends_takes_its_warm_instances_along() {
        let all = Arc::new(Counted::default());
        let [one, other] = [(); 2].map(|()| Own::new(Arc::clone(&all)));
        one.count(Instances { made: 3, warm: 2 });
        other.count(Instances { made: 1, warm: 1 });
        one.count(Instances { made: 4, warm: 0 });
        assert_eq!((all.made(), all.warm()), (5, 1));
        // What cannot be meant takes nothing from what the others say.
        one.count(Instances { made: 0, warm: usize::MAX - 1 });
        assert_eq!(all.warm(), WARM_MAX);
        drop(one);
        assert_eq!((all.made(), all.warm()), (5, 1));
        drop(other);
        assert_eq!((all.made(), all.warm()), (5, 0));
    }

    #[test]
    fn a_process_that_ends_is_not_frozen_any_more() {
        let all = Arc::new(Counted::default());
        let [one, other] = [(); 2].map(|()| Own::new(Arc::clone(&all)));
        one.freeze(true);
        other.freeze(true);
        other.freeze(true);
        assert_eq!(all.frozen(), 2);
        other.freeze(false);
        assert_eq!(all.frozen(), 1);
        drop((one, other));
        assert_eq!(all.frozen(), 0);
    }
}
