//! The back-end that keeps everything in memory, and forgets it with the process.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock};

use crate::apply::{Task, check, perform, sweep};
use crate::rows::{Row, RowRef, Rows, app_prefix, bucket_name, key_only, milliseconds, page, whole};
use crate::store::reserved;
use crate::watch::Watches;
use crate::{Batch, Bucket, Clock, Entry, Error, Page, Pending, Range, Receipt, Store, Usage, Watch};

/// Buckets in memory, of any durability class by name.
pub struct Memory {
    maps: RwLock<Maps>,
    watches: Watches,
    now: Clock,
}

impl Memory {
    /// An empty store.
    pub fn new(now: Clock) -> Self {
        Self { maps: RwLock::default(), watches: Watches::default(), now }
    }

    fn perform(&self, bucket: &Bucket, task: Task) -> Result<Receipt, Error> {
        let now_ms = milliseconds((self.now)());
        let mut maps = self.maps.write().unwrap_or_else(PoisonError::into_inner);
        let Ok(_) = sweep(&mut *maps, now_ms);
        maps.version += 1;
        let version = maps.version;
        let Ok(applied) = perform(&mut *maps, bucket, task, now_ms, version);
        let applied = applied?;
        // While the lock is held, so that changes are told in their order.
        self.watches.tell(bucket, applied.keys);
        Ok(applied.receipt)
    }

    fn page<T>(
        &self,
        bucket: &Bucket,
        range: Range<'_>,
        make: impl Fn(&[u8], RowRef<'_>) -> (T, usize),
    ) -> Page<T> {
        let maps = self.maps.read().unwrap_or_else(PoisonError::into_inner);
        let walk = |from: Bound<&[u8]>, visit: &mut dyn FnMut(&[u8], RowRef<'_>) -> bool| {
            for (place, row) in maps.rows.range::<[u8], _>((from, Bound::Unbounded)) {
                if !visit(place, row.as_ref()) {
                    break;
                }
            }
            Ok::<(), Infallible>(())
        };
        let Ok(page) = page(bucket, range, milliseconds((self.now)()), walk, make);
        page
    }
}

impl Store for Memory {
    fn open(&self, bucket: &Bucket) -> Result<(), Error> {
        self.perform(bucket, Task::Create).map(drop)
    }

    fn buckets(&self, app: &str) -> Result<Vec<String>, Error> {
        let maps = self.maps.read().unwrap_or_else(PoisonError::into_inner);
        let app = app_prefix(app);
        let prefixes = maps.usages.range::<[u8], _>((Bound::Included(app.as_slice()), Bound::Unbounded));
        let names = prefixes.map_while(|(prefix, _)| bucket_name(&app, prefix));
        let mut names: Vec<_> = names.filter(|name| !reserved(name)).collect();
        names.sort();
        Ok(names)
    }

    fn remove(&self, bucket: &Bucket) -> Result<(), Error> {
        while self.usage(bucket).is_ok() {
            self.perform(bucket, Task::Clear)?;
        }
        Ok(())
    }

    fn get(&self, bucket: &Bucket, key: &[u8]) -> Result<Option<Entry>, Error> {
        bucket.check_key(key)?;
        let now_ms = milliseconds((self.now)());
        let maps = self.maps.read().unwrap_or_else(PoisonError::into_inner);
        let row = maps.rows.get(&bucket.place(key)).filter(|row| row.expires_ms > now_ms);
        Ok(row.map(|row| Entry { value: row.value.clone(), version: row.version }))
    }

    fn scan(&self, bucket: &Bucket, range: Range<'_>) -> Result<Page<(Vec<u8>, Entry)>, Error> {
        Ok(self.page(bucket, range, whole))
    }

    fn keys(&self, bucket: &Bucket, range: Range<'_>) -> Result<Page<Vec<u8>>, Error> {
        Ok(self.page(bucket, range, key_only))
    }

    fn usage(&self, bucket: &Bucket) -> Result<Usage, Error> {
        let maps = self.maps.read().unwrap_or_else(PoisonError::into_inner);
        let usage = maps.usages.get(&**bucket.prefix());
        usage.copied().ok_or_else(|| Error::NoBucket(bucket.label()))
    }

    fn write(&self, bucket: &Bucket, batch: Batch) -> Pending {
        Pending::done(check(bucket, &batch).and_then(|_| self.perform(bucket, Task::Write(batch))))
    }

    fn watch(&self, bucket: &Bucket) -> Result<Watch, Error> {
        self.watches.watch(bucket)
    }
}

#[derive(Default)]
pub(crate) struct Maps {
    pub(crate) rows: BTreeMap<Vec<u8>, Row>,
    expiries: BTreeSet<(u64, Vec<u8>)>,
    usages: BTreeMap<Vec<u8>, Usage>,
    version: u64,
}

impl Rows for Maps {
    type Fault = Infallible;

    fn row(&self, place: &[u8]) -> Result<Option<Row>, Infallible> {
        Ok(self.rows.get(place).cloned())
    }

    fn set_row(&mut self, place: &[u8], row: Option<&Row>) -> Result<(), Infallible> {
        match row {
            Some(row) => self.rows.insert(place.to_vec(), row.clone()),
            None => self.rows.remove(place),
        };
        Ok(())
    }

    fn places(&self, prefix: &[u8], max: usize) -> Result<Vec<Vec<u8>>, Infallible> {
        let places =
            self.rows.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded)).map(|(place, _)| place);
        Ok(places.take_while(|place| place.starts_with(prefix)).take(max).cloned().collect())
    }

    fn set_expiry(&mut self, expires_ms: u64, place: &[u8], noted: bool) -> Result<(), Infallible> {
        let expiry = (expires_ms, place.to_vec());
        if noted {
            self.expiries.insert(expiry)
        } else {
            self.expiries.remove(&expiry)
        };
        Ok(())
    }

    fn expired(&self, now_ms: u64, max: usize) -> Result<Vec<Vec<u8>>, Infallible> {
        let expired = self.expiries.iter().take_while(|(expires_ms, _)| *expires_ms <= now_ms);
        Ok(expired.take(max).map(|(_, place)| place.clone()).collect())
    }

    fn usage(&self, prefix: &[u8]) -> Result<Option<Usage>, Infallible> {
        Ok(self.usages.get(prefix).copied())
    }

    fn set_usage(&mut self, prefix: &[u8], usage: Option<Usage>) -> Result<(), Infallible> {
        match usage {
            Some(usage) => self.usages.insert(prefix.to_vec(), usage),
            None => self.usages.remove(prefix),
        };
        Ok(())
    }

    fn buckets(&self, app: &[u8]) -> Result<usize, Infallible> {
        let prefixes = self.usages.range::<[u8], _>((Bound::Included(app), Bound::Unbounded));
        Ok(prefixes.take_while(|(prefix, _)| prefix.starts_with(app)).count())
    }
}
