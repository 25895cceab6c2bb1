//! One file of a store: many read it, one thread writes it, a group of batches in each commit.

use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use redb::{Database, DatabaseError, ReadOnlyTable, ReadableDatabase, TableDefinition};
use tokio::sync::oneshot;

use crate::apply::{Task, check};
use crate::commit::{Queue, Refused};
use crate::limits::{QUEUE_BATCHES_MAX, QUEUE_BYTES_MAX};
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

/// Opens the file, again after it failed.
pub(crate) type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send>;

/// One file, open. Dropped, it finishes what it was given and closes the file.
pub(crate) struct Shelf {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

/// What the readers share with the writer.
pub(crate) struct Shared {
    pub(crate) path: PathBuf,
    pub(crate) queue: Queue<Work>,
    /// What was committed last; `None` while the file could not be opened again after it failed.
    pub(crate) snapshot: RwLock<Option<Arc<Snapshot>>>,
    pub(crate) watches: Watches,
    pub(crate) now: Clock,
}

/// A task, and who waits for it.
pub(crate) struct Work {
    pub(crate) bucket: Bucket,
    pub(crate) task: Task,
    pub(crate) reply: oneshot::Sender<Result<Receipt, Error>>,
}

/// All that was committed at one time.
pub(crate) struct Snapshot {
    rows: ReadOnlyTable<&'static [u8], RowRef<'static>>,
    buckets: ReadOnlyTable<&'static [u8], (u64, u64)>,
}

impl Shelf {
    /// Opens the file at `path`, which is only for errors, with `opener`.
    pub(crate) fn open(path: &Path, opener: Opener, now: Clock) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            queue: Queue::new(QUEUE_BATCHES_MAX, QUEUE_BYTES_MAX),
            snapshot: RwLock::new(None),
            watches: Watches::default(),
            now,
        });
        let writer = Writer::new(Arc::clone(&shared), opener)?;
        let writer = thread::Builder::new()
            .name("state commit".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| Error::Open { path: path.to_owned(), source: Arc::new(source) })?;
        Ok(Self { shared, writer: Some(writer) })
    }

    pub(crate) fn get(&self, bucket: &Bucket, key: &[u8]) -> Result<Option<Entry>, Error> {
        bucket.check_key(key)?;
        let snapshot = self.shared.snapshot()?;
        let found = snapshot.rows.get(bucket.place(key).as_slice()).map_err(self.shared.fault())?;
        Ok(found.and_then(|row| {
            let (version, expires_ms, value) = row.value();
            let live = expires_ms > milliseconds((self.shared.now)());
            live.then(|| Entry { value: value.to_vec(), version })
        }))
    }

    pub(crate) fn page<T>(
        &self,
        bucket: &Bucket,
        range: Range<'_>,
        make: impl Fn(&[u8], RowRef<'_>) -> (T, usize),
    ) -> Result<Page<T>, Error> {
        let snapshot = self.shared.snapshot()?;
        let walk = |from: Bound<&[u8]>, visit: &mut dyn FnMut(&[u8], RowRef<'_>) -> bool| {
            for row in snapshot.rows.range::<&[u8]>((from, Bound::Unbounded))? {
                let (place, row) = row?;
                if !visit(place.value(), row.value()) {
                    break;
                }
            }
            Ok::<(), redb::StorageError>(())
        };
        page(bucket, range, milliseconds((self.shared.now)()), walk, make).map_err(self.shared.fault())
    }

    /// What the bucket holds, if it is in this file.
    pub(crate) fn usage(&self, bucket: &Bucket) -> Result<Option<Usage>, Error> {
        let snapshot = self.shared.snapshot()?;
        let usage = snapshot.buckets.get(&**bucket.prefix()).map_err(self.shared.fault())?;
        Ok(usage.map(|usage| usage.value()).map(|(keys, bytes)| Usage { keys, bytes }))
    }

    pub(crate) fn buckets(&self, app: &str) -> Result<Vec<String>, Error> {
        let app = app_prefix(app);
        let snapshot = self.shared.snapshot()?;
        let mut names = Vec::new();
        for bucket in snapshot.buckets.range(app.as_slice()..).map_err(self.shared.fault())? {
            let (prefix, _) = bucket.map_err(self.shared.fault())?;
            let Some(name) = bucket_name(&app, prefix.value()) else { break };
            names.push(name);
        }
        Ok(names)
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
        match self.shared.queue.push(Work { bucket: bucket.clone(), task, reply }, bytes) {
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

impl Shared {
    fn snapshot(&self) -> Result<Arc<Snapshot>, Error> {
        let snapshot = self.snapshot.read().unwrap_or_else(PoisonError::into_inner);
        snapshot.clone().ok_or_else(|| self.fault()(redb::StorageError::PreviousIo))
    }

    /// Puts why the file could not be opened in our words. A file that is none of ours is `InvalidData` to redb.
    pub(crate) fn unopened(&self, error: DatabaseError) -> Error {
        let path = self.path.clone();
        match error {
            DatabaseError::DatabaseAlreadyOpen => Error::InUse { path },
            DatabaseError::Storage(redb::StorageError::Io(source))
                if !matches!(source.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
            {
                Error::Open { path, source: Arc::new(source) }
            }
            error => Error::Corrupt { path, source: Arc::new(io::Error::other(error)) },
        }
    }

    /// Puts what redb says in our words.
    pub(crate) fn fault<E: Into<redb::Error>>(&self) -> impl Fn(E) -> Error {
        let path = self.path.clone();
        move |error| match error.into() {
            redb::Error::Io(source) => Error::Io { path: path.clone(), source: Arc::new(source) },
            error @ redb::Error::Corrupted(_) => {
                Error::Corrupt { path: path.clone(), source: Arc::new(io::Error::other(error)) }
            }
            error => Error::Io { path: path.clone(), source: Arc::new(io::Error::other(error)) },
        }
    }
}

impl Snapshot {
    pub(crate) fn of(database: &Database) -> Result<Self, redb::Error> {
        let transaction = database.begin_read()?;
        Ok(Self { rows: transaction.open_table(ROWS)?, buckets: transaction.open_table(BUCKETS)? })
    }
}
