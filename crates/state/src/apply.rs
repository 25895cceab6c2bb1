//! What a task does to the rows of a store: the same for every back-end.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::limits::{BATCH_BYTES_MAX, BATCH_OPS_MAX, BUCKETS_MAX, CLEAR_MAX, ENTRY_BYTES, SWEEP_MAX};
use crate::rows::{NEVER, Row, Rows, prefix_of};
use crate::{Batch, Bucket, Error, Expected, Op, Receipt, Usage};

/// What is to be done to a bucket.
pub(crate) enum Task {
    /// Make it, if it is not there.
    Create,
    /// Apply a batch that was [checked](check).
    Write(Batch),
    /// Remove a bounded number of entries, and the bucket itself when that was all.
    Clear,
}

impl Task {
    /// Whether it can do with the room that there is in the file.
    pub(crate) fn only_removes(&self) -> bool {
        let removes =
            |op: &Op| matches!(op, Op::Delete { .. } | Op::Check { .. } | Op::Swap { new: None, .. });
        match self {
            Task::Create => false,
            Task::Write(batch) => batch.ops.iter().all(removes),
            Task::Clear => true,
        }
    }
}

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(crate) receipt: Receipt,
    /// The keys that were set or removed, and whether there is something under them now.
    pub(crate) keys: Vec<(Vec<u8>, bool)>,
}

/// Bytes of the keys and values of a batch, if all of them are within the limits.
pub(crate) fn check(bucket: &Bucket, batch: &Batch) -> Result<usize, Error> {
    let mut bytes = 0_usize;
    for op in &batch.ops {
        bucket.check_key(op.key())?;
        let value = op.value().unwrap_or_default();
        bucket.check_value(value)?;
        bytes = bytes.saturating_add(op.key().len() + value.len());
        if let Op::Swap { expected: Expected::Value(value), .. }
        | Op::Check { expected: Expected::Value(value), .. } = op
        {
            bytes = bytes.saturating_add(value.len());
        }
    }
    if batch.ops.len() > BATCH_OPS_MAX || bytes > BATCH_BYTES_MAX {
        return Err(Error::Batch { bucket: bucket.label(), ops: batch.ops.len(), bytes });
    }
    Ok(bytes)
}

/// Does a task. A fault leaves the rows half-written: who calls undoes them. An error leaves them as they were.
pub(crate) fn perform<R: Rows>(
    rows: &mut R,
    bucket: &Bucket,
    task: Task,
    now_ms: u64,
    version: u64,
) -> Result<Result<Applied, Error>, R::Fault> {
    match task {
        Task::Create => create(rows, bucket),
        Task::Write(batch) => write(rows, bucket, batch, now_ms, version),
        Task::Clear => clear(rows, bucket),
    }
}

/// Removes a bounded number of entries that have expired, and says how many.
pub(crate) fn sweep<R: Rows>(rows: &mut R, now_ms: u64) -> Result<usize, R::Fault> {
    let places = rows.expired(now_ms, SWEEP_MAX)?;
    for place in &places {
        let prefix = prefix_of(place);
        let usage = rows.usage(prefix)?.unwrap_or_default();
        let usage = remove(rows, prefix, place, usage)?;
        rows.set_usage(prefix, Some(usage))?;
    }
    Ok(places.len())
}

fn create<R: Rows>(rows: &mut R, bucket: &Bucket) -> Result<Result<Applied, Error>, R::Fault> {
    if rows.usage(bucket.prefix())?.is_none() {
        let app = &bucket.spec().app;
        if rows.buckets(&bucket.prefix()[..=app.len()])? >= BUCKETS_MAX {
            return Ok(Err(Error::Buckets { app: app.clone() }));
        }
        rows.set_usage(bucket.prefix(), Some(Usage::default()))?;
    }
    Ok(Ok(Applied::default()))
}

fn clear<R: Rows>(rows: &mut R, bucket: &Bucket) -> Result<Result<Applied, Error>, R::Fault> {
    let prefix = bucket.prefix();
    let Some(mut usage) = rows.usage(prefix)? else { return Ok(Ok(Applied::default())) };
    let places = rows.places(prefix, CLEAR_MAX)?;
    for place in &places {
        usage = remove(rows, prefix, place, usage)?;
    }
    rows.set_usage(prefix, (places.len() == CLEAR_MAX).then_some(usage))?;
    let keys = places.iter().map(|place| (place[prefix.len()..].to_vec(), false)).collect();
    Ok(Ok(Applied { receipt: Receipt::default(), keys }))
}

/// Removes one row, and returns what its bucket holds then.
fn remove<R: Rows>(rows: &mut R, prefix: &[u8], place: &[u8], usage: Usage) -> Result<Usage, R::Fault> {
    let before = rows.row(place)?;
    replace(rows, place, before.as_ref(), None)?;
    Ok(usage.after(place.len() - prefix.len(), before.as_ref(), None))
}

/// What a batch does to one key.
struct Change {
    before: Option<Row>,
    /// `None` while nothing was done to it.
    after: Option<Option<Row>>,
}

impl Change {
    /// What the next operation finds.
    fn current(&self, now_ms: u64) -> Option<&Row> {
        match &self.after {
            Some(after) => after.as_ref(),
            None => self.before.as_ref().filter(|row| row.expires_ms > now_ms),
        }
    }
}

/// Works out the whole batch before it writes a row, so that one that fails has written nothing.
fn write<R: Rows>(
    rows: &mut R,
    bucket: &Bucket,
    batch: Batch,
    now_ms: u64,
    version: u64,
) -> Result<Result<Applied, Error>, R::Fault> {
    let Some(before) = rows.usage(bucket.prefix())? else {
        return Ok(Err(Error::NoBucket(bucket.label())));
    };
    let mut changes = BTreeMap::new();
    let mut counters = Vec::new();
    for (index, op) in batch.ops.into_iter().enumerate() {
        let place = bucket.place(op.key());
        let change = match changes.entry(place) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let before = rows.row(entry.key())?;
                entry.insert(Change { before, after: None })
            }
        };
        let found = change.current(now_ms);
        let expires_ms = |ttl: Option<Duration>| match ttl.or(bucket.spec().ttl) {
            Some(ttl) => now_ms.saturating_add(u64::try_from(ttl.as_millis()).unwrap_or(NEVER)),
            None => NEVER,
        };
        if let Op::Swap { expected, .. } | Op::Check { expected, .. } = &op
            && !expected.meets(found)
        {
            let found = found.map(|row| row.version);
            return Ok(Err(Error::Conflict { bucket: bucket.label(), op: index, found }));
        }
        let after = match op {
            Op::Check { .. } => continue,
            Op::Put { value, ttl, .. } => Some(Row { version, expires_ms: expires_ms(ttl), value }),
            Op::Delete { .. } => None,
            Op::Swap { new, .. } => new.map(|value| Row { version, expires_ms: expires_ms(None), value }),
            Op::Increment { delta, .. } => {
                let Some(number) = add(found, delta) else {
                    return Ok(Err(Error::NotACounter { bucket: bucket.label(), op: index }));
                };
                counters.push(number);
                let expires_ms = found.map_or_else(|| expires_ms(None), |row| row.expires_ms);
                Some(Row { version, expires_ms, value: number.to_string().into_bytes() })
            }
        };
        change.after = Some(after);
    }

    // What was only looked at stays as it is.
    changes.retain(|_, change| change.after.is_some());
    let mut usage = before;
    for (place, change) in &changes {
        let key_bytes = place.len() - bucket.prefix().len();
        usage =
            usage.after(key_bytes, change.before.as_ref(), change.after.as_ref().and_then(Option::as_ref));
    }
    if let Some(quota_bytes) = bucket.spec().quota_bytes
        && usage.bytes > quota_bytes
        && usage.bytes > before.bytes
    {
        return Ok(Err(Error::Quota { bucket: bucket.label(), bytes: usage.bytes, quota_bytes }));
    }
    rows.set_usage(bucket.prefix(), Some(usage))?;
    let mut keys = Vec::with_capacity(changes.len());
    for (place, change) in changes {
        let after = change.after.flatten();
        replace(rows, &place, change.before.as_ref(), after.as_ref())?;
        // To remove what is not there changes nothing.
        if after.is_some() || change.before.is_some_and(|row| row.expires_ms > now_ms) {
            keys.push((place[bucket.prefix().len()..].to_vec(), after.is_some()));
        }
    }
    Ok(Ok(Applied { receipt: Receipt { version, counters }, keys }))
}

fn replace<R: Rows>(
    rows: &mut R,
    place: &[u8],
    before: Option<&Row>,
    after: Option<&Row>,
) -> Result<(), R::Fault> {
    let [was, is] = [before, after].map(|row| row.map_or(NEVER, |row| row.expires_ms));
    if was != is {
        for (expires_ms, noted) in [(was, false), (is, true)] {
            if expires_ms != NEVER {
                rows.set_expiry(expires_ms, place, noted)?;
            }
        }
    }
    if before.is_some() || after.is_some() {
        rows.set_row(place, after)?;
    }
    Ok(())
}

fn add(found: Option<&Row>, delta: i64) -> Option<i64> {
    let number = match found {
        Some(row) => std::str::from_utf8(&row.value).ok()?.parse().ok()?,
        None => 0_i64,
    };
    number.checked_add(delta)
}

impl Op {
    fn key(&self) -> &[u8] {
        match self {
            Op::Put { key, .. }
            | Op::Delete { key }
            | Op::Swap { key, .. }
            | Op::Check { key, .. }
            | Op::Increment { key, .. } => key,
        }
    }

    fn value(&self) -> Option<&[u8]> {
        match self {
            Op::Put { value, .. } => Some(value),
            Op::Swap { new, .. } => new.as_deref(),
            Op::Delete { .. } | Op::Check { .. } | Op::Increment { .. } => None,
        }
    }
}

impl Expected {
    fn meets(&self, found: Option<&Row>) -> bool {
        match (self, found) {
            (Expected::Absent, None) => true,
            (Expected::Version(version), Some(row)) => *version == row.version,
            (Expected::Value(value), Some(row)) => *value == row.value,
            _ => false,
        }
    }
}

impl Usage {
    /// What a bucket holds after the row under a key was replaced.
    fn after(self, key_bytes: usize, before: Option<&Row>, after: Option<&Row>) -> Self {
        let bytes =
            |row: Option<&Row>| row.map_or(0, |row| ENTRY_BYTES + key_bytes as u64 + row.value.len() as u64);
        let one = |row: Option<&Row>| u64::from(row.is_some());
        Self {
            keys: (self.keys + one(after)).saturating_sub(one(before)),
            bytes: (self.bytes + bytes(after)).saturating_sub(bytes(before)),
        }
    }
}
