//! The thread that writes a file: it takes all that waits, applies it in one transaction, commits, and then tells
//! everybody.

use std::sync::{Arc, PoisonError};

use redb::{Database, ReadableDatabase, ReadableTable, StorageError, Table, WriteTransaction};

use crate::apply::{Applied, Task, perform, sweep};
use crate::rows::{Row, RowRef, Rows, milliseconds};
use crate::shelf::{BUCKETS, EXPIRIES, Opener, ROWS, Shared, Snapshot, VERSION, Work};
use crate::{Bucket, Error, Usage};

/// The one who writes a file.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    opener: Opener,
    /// `None` after a failure: redb refuses a file that failed once, until it is opened again.
    database: Option<Database>,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, opener: Opener) -> Result<Self, Error> {
        let mut writer = Self { shared, opener, database: None };
        writer.open()?;
        Ok(writer)
    }

    /// Works until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        while let Some(group) = self.shared.queue.take() {
            self.commit(group);
        }
    }

    fn commit(&mut self, group: Vec<Work>) {
        let mut waiting = Vec::with_capacity(group.len());
        let mut tasks = Vec::with_capacity(group.len());
        for Work { bucket, task, reply } in group {
            waiting.push((bucket.clone(), reply));
            tasks.push((bucket, task));
        }
        match self.apply(tasks) {
            Ok(outcomes) => {
                for ((bucket, reply), outcome) in waiting.into_iter().zip(outcomes) {
                    let receipt = outcome.map(|applied| {
                        self.shared.watches.tell(&bucket, applied.keys);
                        applied.receipt
                    });
                    // Who no longer waits does not want to know.
                    let _ = reply.send(receipt);
                }
            }
            Err(error) => {
                // Readers let go of the file first: it is closed when nobody holds it.
                self.publish(None);
                self.database = None;
                // Where this fails too, the next group tries again.
                let _ = self.open();
                for (_, reply) in waiting {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }

    /// Applies the tasks in one transaction, and makes what was committed visible.
    fn apply(&mut self, tasks: Vec<(Bucket, Task)>) -> Result<Vec<Result<Applied, Error>>, Error> {
        self.open()?;
        let Some(database) = &self.database else { return Err(Error::Closed) };
        let now_ms = milliseconds((self.shared.now)());
        let committed =
            transact(database, tasks, now_ms).and_then(|outcomes| Ok((outcomes, Snapshot::of(database)?)));
        let (outcomes, snapshot) = committed.map_err(self.shared.fault())?;
        self.publish(Some(snapshot));
        Ok(outcomes)
    }

    /// Opens the file, unless it is open and well.
    fn open(&mut self) -> Result<(), Error> {
        if self.database.is_none() {
            let database = (self.opener)().map_err(|error| self.shared.unopened(error))?;
            prepare(&database).map_err(self.shared.fault())?;
            self.publish(Some(Snapshot::of(&database).map_err(self.shared.fault())?));
            self.database = Some(database);
        }
        Ok(())
    }

    fn publish(&self, snapshot: Option<Snapshot>) {
        *self.shared.snapshot.write().unwrap_or_else(PoisonError::into_inner) = snapshot.map(Arc::new);
    }
}

impl Drop for Writer {
    /// Also when it panics: nobody may be left waiting for a thread that is gone.
    fn drop(&mut self) {
        self.shared.queue.close();
        while self.shared.queue.take().is_some() {}
        self.publish(None);
    }
}

/// Makes the tables of a new file, so that readers find them.
fn prepare(database: &Database) -> Result<(), redb::Error> {
    let reading = database.begin_read()?;
    if reading.open_table(VERSION).is_ok() {
        return Ok(());
    }
    let transaction = database.begin_write()?;
    {
        transaction.open_table(VERSION)?;
        Tables::open(&transaction)?;
    }
    Ok(transaction.commit()?)
}

fn transact(
    database: &Database,
    tasks: Vec<(Bucket, Task)>,
    now_ms: u64,
) -> Result<Vec<Result<Applied, Error>>, redb::Error> {
    let transaction = database.begin_write()?;
    let mut outcomes = Vec::with_capacity(tasks.len());
    let changed = {
        let mut versions = transaction.open_table(VERSION)?;
        let mut tables = Tables::open(&transaction)?;
        let mut version = versions.get(())?.map_or(0, |version| version.value());
        let mut changed = sweep(&mut tables, now_ms)? > 0;
        for (bucket, task) in tasks {
            version += 1;
            let outcome = perform(&mut tables, &bucket, task, now_ms, version)?;
            changed |= outcome.is_ok();
            outcomes.push(outcome);
        }
        versions.insert((), version)?;
        changed
    };
    if changed {
        transaction.commit()?;
    } else {
        transaction.abort()?;
    }
    Ok(outcomes)
}

/// The tables of the file in a transaction.
struct Tables<'t> {
    rows: Table<'t, &'static [u8], RowRef<'static>>,
    expiries: Table<'t, (u64, &'static [u8]), ()>,
    buckets: Table<'t, &'static [u8], (u64, u64)>,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            rows: transaction.open_table(ROWS)?,
            expiries: transaction.open_table(EXPIRIES)?,
            buckets: transaction.open_table(BUCKETS)?,
        })
    }
}

impl Rows for Tables<'_> {
    type Fault = StorageError;

    fn row(&self, place: &[u8]) -> Result<Option<Row>, StorageError> {
        let row = self.rows.get(place)?;
        Ok(row.map(|row| {
            let (version, expires_ms, value) = row.value();
            Row { version, expires_ms, value: value.to_vec() }
        }))
    }

    fn set_row(&mut self, place: &[u8], row: Option<&Row>) -> Result<(), StorageError> {
        match row {
            Some(row) => self.rows.insert(place, (row.version, row.expires_ms, row.value.as_slice()))?,
            None => self.rows.remove(place)?,
        };
        Ok(())
    }

    fn places(&self, prefix: &[u8], max: usize) -> Result<Vec<Vec<u8>>, StorageError> {
        let mut places = Vec::new();
        for row in self.rows.range(prefix..)?.take(max) {
            let (place, _) = row?;
            if !place.value().starts_with(prefix) {
                break;
            }
            places.push(place.value().to_vec());
        }
        Ok(places)
    }

    fn set_expiry(&mut self, expires_ms: u64, place: &[u8], noted: bool) -> Result<(), StorageError> {
        if noted {
            self.expiries.insert((expires_ms, place), ())?;
        } else {
            self.expiries.remove((expires_ms, place))?;
        }
        Ok(())
    }

    fn expired(&self, now_ms: u64, max: usize) -> Result<Vec<Vec<u8>>, StorageError> {
        let expired = self.expiries.range(..(now_ms.saturating_add(1), [].as_slice()))?;
        expired.take(max).map(|expiry| Ok(expiry?.0.value().1.to_vec())).collect()
    }

    fn usage(&self, prefix: &[u8]) -> Result<Option<Usage>, StorageError> {
        let usage = self.buckets.get(prefix)?.map(|usage| usage.value());
        Ok(usage.map(|(keys, bytes)| Usage { keys, bytes }))
    }

    fn set_usage(&mut self, prefix: &[u8], usage: Option<Usage>) -> Result<(), StorageError> {
        match usage {
            Some(usage) => self.buckets.insert(prefix, (usage.keys, usage.bytes))?,
            None => self.buckets.remove(prefix)?,
        };
        Ok(())
    }

    fn buckets(&self, app: &[u8]) -> Result<usize, StorageError> {
        let mut count = 0;
        for bucket in self.buckets.range(app..)? {
            if !bucket?.0.value().starts_with(app) {
                break;
            }
            count += 1;
        }
        Ok(count)
    }
}
