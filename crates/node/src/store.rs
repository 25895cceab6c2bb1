//! The store of an instance, which gives its memory back where nobody has to wait for that.

use std::ops::{Deref, DerefMut};

use engine::Metered;
use engine::wasmtime::Store;
use host::Host;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::limits::{DROP_APART_BYTES_MIN, DROPS_APART_MAX};

/// Everything that belongs to one instance. To give tens of megabytes back to the system takes ten milliseconds and more,
/// in which a thread that runs functions would run none; so another one does it.
pub(crate) struct InstanceStore(Option<Store<Host>>);

static DROPS: Semaphore = Semaphore::const_new(DROPS_APART_MAX);

impl InstanceStore {
    pub(crate) fn new(store: Store<Host>) -> Self {
        Self(Some(store))
    }

    /// For those who drop it themselves.
    pub(crate) fn into_inner(mut self) -> Store<Host> {
        self.0.take().expect(PRESENT)
    }
}

/// Only the last use takes it.
const PRESENT: &str = "it is there until it is dropped";

impl Deref for InstanceStore {
    type Target = Store<Host>;

    fn deref(&self) -> &Store<Host> {
        self.0.as_ref().expect(PRESENT)
    }
}

impl DerefMut for InstanceStore {
    fn deref_mut(&mut self) -> &mut Store<Host> {
        self.0.as_mut().expect(PRESENT)
    }
}

impl Drop for InstanceStore {
    fn drop(&mut self) {
        let Some(mut store) = self.0.take() else { return };
        let is_large = store.data_mut().meter().bytes() >= DROP_APART_BYTES_MIN;
        // Where many wait for their end already, the thread that made one more may as well wait.
        if is_large && let (Ok(runtime), Ok(room)) = (Handle::try_current(), DROPS.try_acquire()) {
            runtime.spawn_blocking(move || {
                drop(store);
                drop(room);
            });
        }
    }
}
