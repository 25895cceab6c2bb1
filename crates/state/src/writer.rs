//! The thread that writes a file: it takes all that waits, applies it in one transaction, commits, and then tells
//! everybody.

use std::sync::Arc;

use redb::{Database, ReadableDatabase, ReadableTable, StorageError, Table, WriteTransaction};

use crate::apply::{Applied, Task, perform, sweep};
use crate::rows::{Row, RowRef, Rows, milliseconds};
use crate::shelf::{BUCKETS, EXPIRIES, ROWS, Shared, VERSION, Work};
use crate::{Bucket, Error, Usage};

/// The one who writes a file.
pub(crate) struct Writer(pub(crate) Arc<Shared>);

impl Writer {
    /// Works until the queue is closed and empty.
    pub(crate) fn run(self) {
        while let Some(group) = self.0.queue.take() {
            self.commit(group);
        }
    }

    fn commit(&self, mut group: Vec<Work>) {
        let bytes = group.iter().map(|work| work.bytes).sum();
        if let Err(error) = self.0.file.check_room(bytes) {
            let (removing, adding): (Vec<_>, _) =
                group.into_iter().partition(|work| work.task.only_removes());
            for work in adding {
                let _ = work.reply.send(Err(error.clone()));
            }
            if removing.is_empty() {
                return;
            }
            group = removing;
        }
        let mut waiting = Vec::with_capacity(group.len());
        let mut tasks = Vec::with_capacity(group.len());
        for Work { bucket, task, reply, .. } in group {
            waiting.push((bucket.clone(), reply));
            tasks.push((bucket, task));
        }
        let now_ms = milliseconds((self.0.now)());
        match self.0.file.write(|database| transact(database, tasks, now_ms)) {
            Ok(outcomes) => {
                for ((bucket, reply), outcome) in waiting.into_iter().zip(outcomes) {
                    let receipt = outcome.map(|applied| {
                        self.0.watches.tell(&bucket, applied.keys);
                        applied.receipt
                    });
                    // Who no longer waits does not want to know.
                    let _ = reply.send(receipt);
                }
            }
            Err(error) => {
                for (_, reply) in waiting {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }
}

impl Drop for Writer {
    /// Also when it panics: nobody may be left waiting for a thread that is gone.
    fn drop(&mut self) {
        self.0.queue.close();
        while self.0.queue.take().is_some() {}
    }
}

/// Makes the tables of a new file, so that readers find them.
pub(crate) fn prepare(database: &Database) -> Result<(), redb::Error> {
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
