//! A store for one instance, and what makes its calls give way to others.

use engine::Interruptible;
use engine::wasmtime::{self, UpdateDeadline};
use host::{Host, Stdio};
use tokio::task::yield_now;

use crate::function::{Function, Settings};
use crate::limits::SLICE_TICKS;
use crate::store::InstanceStore;

/// A store for one instance.
pub(crate) struct Guest {
    pub(crate) store: InstanceStore,
    /// What its calls must be [watched] with.
    pub(crate) interruptible: Option<Interruptible>,
}

impl Function {
    /// A store for one instance, which lets others run when its time slice is over.
    pub(crate) async fn guest(&self) -> wasmtime::Result<Guest> {
        let Settings { grants, limits, .. } = &self.settings;
        self.guest_with(Host::new(&[], Stdio::Log, grants, limits)?).await
    }

    /// The same, with a host of its own.
    pub(crate) async fn guest_with(&self, host: Host) -> wasmtime::Result<Guest> {
        let mut store = self.store_with(host);
        let interruptible = match &self.interrupts {
            Some(interrupts) => Some(interrupts.arm(&mut store).await?),
            None => None,
        };
        Ok(Guest { store, interruptible })
    }

    /// The store alone, of a function that looks at the clock itself.
    pub(crate) fn store(&self) -> wasmtime::Result<InstanceStore> {
        let Settings { grants, limits, .. } = &self.settings;
        Ok(self.store_with(Host::new(&[], Stdio::Log, grants, limits)?))
    }

    fn store_with(&self, host: Host) -> InstanceStore {
        let mut store = self.engine.store(host);
        if self.engine.settings().has_epochs() {
            store.set_epoch_deadline(SLICE_TICKS);
            // Others' turns, and what has come for them from outside, go before the next slice.
            store.epoch_deadline_callback(|_| {
                Ok(UpdateDeadline::YieldCustom(SLICE_TICKS, Box::pin(yield_now())))
            });
        }
        self.stats.instance();
        InstanceStore::new(store)
    }
}

/// Runs calls of a guest. They should be pinned where they are: what is passed on by value is copied, whole.
pub(crate) async fn watched<F: Future>(interruptible: &Option<Interruptible>, calls: F) -> F::Output {
    match interruptible {
        Some(interruptible) => interruptible.watch(calls).await,
        None => calls.await,
    }
}
