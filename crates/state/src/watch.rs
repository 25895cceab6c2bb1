//! Tells of changes to a bucket.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::limits::{WATCH_CHANGES_MAX, WATCHED_BUCKETS_MAX};
use crate::{Bucket, Error};

/// A key that was set or removed. That an entry expired is not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: Arc<[u8]>,
    /// Whether there is an entry now; else it was removed.
    pub present: bool,
}

/// Tells of the changes of one bucket, each after it can be read, in their order.
pub struct Watch(broadcast::Receiver<Change>);

impl Watch {
    /// Waits for the next change.
    ///
    /// # Errors
    /// [`Error::Lagged`] when changes were missed, and it goes on with the oldest that is kept; [`Error::Closed`] when
    /// the store or the bucket is gone.
    pub async fn next(&mut self) -> Result<Change, Error> {
        self.0.recv().await.map_err(|error| match error {
            RecvError::Lagged(missed) => Error::Lagged { missed },
            RecvError::Closed => Error::Closed,
        })
    }

    /// The next change, if there is one.
    ///
    /// # Errors
    /// As [`Watch::next`].
    pub fn try_next(&mut self) -> Result<Option<Change>, Error> {
        match self.0.try_recv() {
            Ok(change) => Ok(Some(change)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Lagged(missed)) => Err(Error::Lagged { missed }),
            Err(TryRecvError::Closed) => Err(Error::Closed),
        }
    }
}

/// Everybody who watches, by the prefix of the bucket.
#[derive(Default)]
pub(crate) struct Watches(Mutex<HashMap<Arc<[u8]>, broadcast::Sender<Change>>>);

impl Watches {
    pub(crate) fn watch(&self, bucket: &Bucket) -> Result<Watch, Error> {
        let mut senders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = senders.get(bucket.prefix()) {
            return Ok(Watch(sender.subscribe()));
        }
        senders.retain(|_, sender| sender.receiver_count() > 0);
        if senders.len() >= WATCHED_BUCKETS_MAX {
            return Err(Error::Busy);
        }
        let (sender, receiver) = broadcast::channel(WATCH_CHANGES_MAX);
        senders.insert(Arc::clone(bucket.prefix()), sender);
        Ok(Watch(receiver))
    }

    pub(crate) fn tell(&self, bucket: &Bucket, keys: Vec<(Vec<u8>, bool)>) {
        let senders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sender) = senders.get(bucket.prefix()) else { return };
        for (key, present) in keys {
            // Nobody may be listening any more, which is no error.
            let _ = sender.send(Change { key: key.into(), present });
        }
    }
}
