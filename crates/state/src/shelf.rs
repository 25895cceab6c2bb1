//! One file of a store: many read it, one thread writes it, a group of batches in each commit.

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use crate::apply::{Task, check};
use crate::commit::{Queue, Refused};
use crate::limits::{QUEUE_BATCHES_MAX, QUEUE_BYTES_MAX};
use crate::opened::{Opened, Place};
use crate::rows::{RowRef, app_prefix, bucket_name, milliseconds, page};
use crate::watch::Watches;
use crate::writer::Writer;
use crate::{Batch, Bucket, Clock, Entry, Error, Page, Pending, Range, Receipt, Usage};

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
        let entry = self.shared.file.read(
            |layer| layer.row_at(&place),
            |view| {
                view.row(&place, |(version, expires_ms, value)| {
                    (expires_ms > now_ms).then(|| Entry { value: value.to_vec(), version })
                })
            },
        );
        Ok(entry?.flatten())
    }

    pub(crate) fn page<T>(
        &self,
        bucket: &Bucket,
        range: Range<'_>,
        make: impl Fn(&[u8], RowRef<'_>) -> (T, usize),
    ) -> Result<Page<T>, Error> {
        let now_ms = milliseconds((self.shared.now)());
        let prefix = bucket.place(range.prefix);
        self.shared.file.read(
            |layer| layer.rows_at(&prefix),
            |view| {
                let walk = |from: Bound<&[u8]>, visit: &mut dyn FnMut(&[u8], RowRef<'_>) -> bool| {
                    view.walk(from, visit)
                };
                page(bucket, range, now_ms, walk, &make)
            },
        )
    }

    /// What the bucket holds, if it is in this file.
    pub(crate) fn usage(&self, bucket: &Bucket) -> Result<Option<Usage>, Error> {
        let prefix = bucket.prefix();
        self.shared.file.read(|layer| layer.usages_at(prefix), |view| view.usage(prefix))
    }

    pub(crate) fn buckets(&self, app: &str) -> Result<Vec<String>, Error> {
        let app = app_prefix(app);
        let mut prefixes = self.shared.file.read(|layer| layer.usages_at(&app), |view| view.buckets(&app))?;
        prefixes.sort_unstable();
        Ok(prefixes.iter().filter_map(|prefix| bucket_name(&app, prefix)).collect())
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
