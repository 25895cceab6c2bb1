//! One file of a store: many read it, one thread writes it, a group of batches in each commit.

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use redb::TableDefinition;
use tokio::sync::oneshot;

use crate::apply::{Task, check};
use crate::commit::{Queue, Refused};
use crate::limits::{QUEUE_BATCHES_MAX, QUEUE_BYTES_MAX};
use crate::opened::{Opened, Place};
use crate::rows::{RowRef, app_prefix, bucket_name, milliseconds, page};
use crate::watch::Watches;
use crate::writer::Writer;
use crate::{Batch, Bucket, Clock, Entry, Error, Page, Pending, Range, Receipt, Usage};

/// Rows by place: version, when it expires, value.
pub(crate) const ROWS: TableDefinition<'_, &[u8], RowRef<'static>> = TableDefinition::new("rows");
/// Places by when their rows expire.
pub(crate) const EXPIRIES: TableDefinition<'_, (u64, &[u8]), ()> = TableDefinition::new("expiries");
/// Keys and bytes of each bucket, by prefix.
pub(crate) const BUCKETS: TableDefinition<'_, &[u8], (u64, u64)> = TableDefinition::new("buckets");
/// The last version that was given; of a store without one, nothing was ever written.
pub(crate) const VERSION: TableDefinition<'_, (), u64> = TableDefinition::new("version");

/// One file, open. Dropped, it finishes what it was given and closes the file.
pub(crate) struct Shelf {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

/// What the readers share with the writer.
pub(crate) struct Shared {
    pub(crate) file: Opened,
    pub(crate) queue: Queue<Work>,
    pub(crate) watches: Watches,
    pub(crate) now: Clock,
}

/// A task, and who waits for it.
pub(crate) struct Work {
    pub(crate) bucket: Bucket,
    pub(crate) task: Task,
    pub(crate) bytes: usize,
    pub(crate) reply: oneshot::Sender<Result<Receipt, Error>>,
}

impl Shelf {
    /// Opens the file at `path`, which is only for errors, in its place.
    pub(crate) fn open(path: &Path, place: Box<dyn Place>, now: Clock) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            file: Opened::new(path, place)?,
            queue: Queue::new(QUEUE_BATCHES_MAX, QUEUE_BYTES_MAX),
            watches: Watches::default(),
            now,
        });
        let writer = Writer(Arc::clone(&shared));
        let writer = thread::Builder::new()
            .name("state commit".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| Error::Open { path: path.to_owned(), source: Arc::new(source) })?;
        Ok(Self { shared, writer: Some(writer) })
    }

    pub(crate) fn get(&self, bucket: &Bucket, key: &[u8]) -> Result<Option<Entry>, Error> {
        bucket.check_key(key)?;
        let (place, now_ms) = (bucket.place(key), milliseconds((self.shared.now)()));
        self.shared.file.read(|snapshot| {
            let found = snapshot.rows.get(place.as_slice())?;
            Ok(found.and_then(|row| {
                let (version, expires_ms, value) = row.value();
                (expires_ms > now_ms).then(|| Entry { value: value.to_vec(), version })
            }))
        })
    }

    pub(crate) fn page<T>(
        &self,
        bucket: &Bucket,
        range: Range<'_>,
        make: impl Fn(&[u8], RowRef<'_>) -> (T, usize),
    ) -> Result<Page<T>, Error> {
        let now_ms = milliseconds((self.shared.now)());
        self.shared.file.read(|snapshot| {
            let walk = |from: Bound<&[u8]>, visit: &mut dyn FnMut(&[u8], RowRef<'_>) -> bool| {
                for row in snapshot.rows.range::<&[u8]>((from, Bound::Unbounded))? {
                    let (place, row) = row?;
                    if !visit(place.value(), row.value()) {
                        break;
                    }
                }
                Ok(())
            };
            page(bucket, range, now_ms, walk, &make)
        })
    }

    /// What the bucket holds, if it is in this file.
    pub(crate) fn usage(&self, bucket: &Bucket) -> Result<Option<Usage>, Error> {
        self.shared.file.read(|snapshot| {
            let usage = snapshot.buckets.get(&**bucket.prefix())?;
            Ok(usage.map(|usage| usage.value()).map(|(keys, bytes)| Usage { keys, bytes }))
        })
    }

    pub(crate) fn buckets(&self, app: &str) -> Result<Vec<String>, Error> {
        let app = app_prefix(app);
        self.shared.file.read(|snapshot| {
            let mut names = Vec::new();
            for bucket in snapshot.buckets.range(app.as_slice()..)? {
                let Some(name) = bucket_name(&app, bucket?.0.value()) else { break };
                names.push(name);
            }
            Ok(names)
        })
    }

    pub(crate) fn write(&self, bucket: &Bucket, batch: Batch) -> Pending {
        match check(bucket, &batch) {
            Ok(bytes) => self.submit(bucket, Task::Write(batch), bytes),
            Err(error) => Pending::done(Err(error)),
        }
    }

    /// Puts a task into the queue; it weighs `bytes`.
    pub(crate) fn submit(&self, bucket: &Bucket, task: Task, bytes: usize) -> Pending {
        let (reply, receiver) = oneshot::channel();
        match self.shared.queue.push(Work { bucket: bucket.clone(), task, bytes, reply }, bytes) {
            Ok(()) => Pending::waiting(receiver),
            Err(Refused::Full) => Pending::done(Err(Error::Busy)),
            Err(Refused::Closed) => Pending::done(Err(Error::Closed)),
        }
    }

    pub(crate) fn watches(&self) -> &Watches {
        &self.shared.watches
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(writer) = self.writer.take() {
            // Had it panicked, everybody who waited was told already.
            let _ = writer.join();
        }
    }
}
