//! What a store is: buckets of keys and values, read at once and written in batches.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::limits::{KEY_BYTES_MAX, NAME_BYTES_MAX, VALUE_BYTES_MAX};
use crate::{Error, Pending, Watch};

/// Buckets of keys and values. Every back-end is one of these; callers hold an `Arc<dyn Store>`.
///
/// A read sees every write that was acknowledged before it, and no write that is not yet as durable as its bucket asks.
/// What has expired is never seen.
pub trait Store: Send + Sync {
    /// Makes the bucket if it is not there. Nothing can be written to one that is not. Blocks, so it is not for a
    /// thread that runs asynchronous tasks.
    ///
    /// # Errors
    /// When the app has too many buckets, the bucket is kept in another durability class, or the store cannot be
    /// written.
    fn open(&self, bucket: &Bucket) -> Result<(), Error>;

    /// The buckets of an app: their names in order.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn buckets(&self, app: &str) -> Result<Vec<String>, Error>;

    /// Removes a bucket and all that is in it, a bounded part with each commit. Blocks, as [`Store::open`]. Removing one that is not there
    /// is no error.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn remove(&self, bucket: &Bucket) -> Result<(), Error>;

    /// The entry under `key`, if there is one.
    ///
    /// # Errors
    /// When the key is none, or the store cannot be read.
    fn get(&self, bucket: &Bucket, key: &[u8]) -> Result<Option<Entry>, Error>;

    /// A page of entries in the order of their keys.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn scan(&self, bucket: &Bucket, range: Range<'_>) -> Result<Page<(Vec<u8>, Entry)>, Error>;

    /// A page of keys in order.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn keys(&self, bucket: &Bucket, range: Range<'_>) -> Result<Page<Vec<u8>>, Error>;

    /// What the bucket holds, with what has expired and was not yet swept away.
    ///
    /// # Errors
    /// When there is no such bucket, or the store cannot be read.
    fn usage(&self, bucket: &Bucket) -> Result<Usage, Error>;

    /// Applies a batch, all of it or nothing. Batches of one bucket are applied in the order in which they are given.
    fn write(&self, bucket: &Bucket, batch: Batch) -> Pending;

    /// Tells of every change from now on.
    ///
    /// # Errors
    /// When too many buckets are watched.
    fn watch(&self, bucket: &Bucket) -> Result<Watch, Error>;
}

/// Tells the time. Expiry goes by it; tests move it.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// What a write survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Durability {
    /// Nothing: it is gone with the process.
    Memory,
    /// The end of the process, however it ends; not a loss of power.
    Os,
    /// A loss of power. It is acknowledged when the disk has it.
    Disk,
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Durability::Memory => "memory",
            Durability::Os => "os",
            Durability::Disk => "disk",
        })
    }
}

/// A bucket as it is asked for. Time to live and quota are not stored: they hold for writes with this value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketSpec {
    /// The app that it belongs to.
    pub app: String,
    /// Its name in the app.
    pub name: String,
    /// What a write to it survives.
    pub durability: Durability,
    /// How long an entry lives after it was written, unless the write says otherwise.
    pub ttl: Option<Duration>,
    /// Bytes that it may hold: keys, values, and [`crate::limits::ENTRY_BYTES`] for each entry.
    pub quota_bytes: Option<u64>,
}

impl BucketSpec {
    /// A bucket whose entries do not expire, without a quota.
    pub fn new(app: impl Into<String>, name: impl Into<String>, durability: Durability) -> Self {
        Self { app: app.into(), name: name.into(), durability, ttl: None, quota_bytes: None }
    }
}

/// A bucket by name. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bucket {
    spec: Arc<BucketSpec>,
    /// What its keys begin with in the store: both names with their lengths before them, so that no two are alike and
    /// none is the beginning of another.
    prefix: Arc<[u8]>,
}

impl Bucket {
    /// What it was asked for as.
    pub fn spec(&self) -> &BucketSpec {
        &self.spec
    }

    /// The bucket that is so named.
    ///
    /// # Errors
    /// When a name is empty, longer than [`NAME_BYTES_MAX`], has control characters, or that of the bucket starts
    /// with a dot: those are this crate's own.
    pub fn new(spec: BucketSpec) -> Result<Self, Error> {
        if reserved(&spec.name) {
            return Err(Error::Name(spec.name));
        }
        Self::reserved(spec)
    }

    /// Any bucket, also one of this crate's own, which start with a dot.
    pub(crate) fn reserved(spec: BucketSpec) -> Result<Self, Error> {
        let mut prefix = Vec::with_capacity(spec.app.len() + spec.name.len() + 2);
        for name in [&spec.app, &spec.name] {
            let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
            if length == 0 || usize::from(length) > NAME_BYTES_MAX || name.chars().any(char::is_control) {
                return Err(Error::Name(name.clone()));
            }
            prefix.push(length);
            prefix.extend_from_slice(name.as_bytes());
        }
        Ok(Self { spec: Arc::new(spec), prefix: prefix.into() })
    }

    /// The bucket in an error, as `app/name`.
    pub(crate) fn label(&self) -> String {
        format!("{}/{}", self.spec.app, self.spec.name)
    }

    pub(crate) fn prefix(&self) -> &Arc<[u8]> {
        &self.prefix
    }

    /// Where `key` is in the store.
    pub(crate) fn place(&self, key: &[u8]) -> Vec<u8> {
        [&self.prefix, key].concat()
    }

    pub(crate) fn check_key(&self, key: &[u8]) -> Result<(), Error> {
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(Error::Key { bucket: self.label(), bytes: key.len() });
        }
        Ok(())
    }

    pub(crate) fn check_value(&self, value: &[u8]) -> Result<(), Error> {
        if value.len() > VALUE_BYTES_MAX {
            return Err(Error::Value { bucket: self.label(), bytes: value.len() });
        }
        Ok(())
    }
}

/// Whether the name is for buckets of this crate alone.
pub(crate) fn reserved(name: &str) -> bool {
    name.starts_with('.')
}

/// What is under a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The value.
    #[serde(with = "crate::octets")]
    pub value: Vec<u8>,
    /// Rises with every write to the store, and is never given twice: what has this version has not changed.
    pub version: u64,
}

/// What a bucket holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// How many keys.
    pub keys: u64,
    /// Bytes of keys, values, and [`crate::limits::ENTRY_BYTES`] for each.
    pub bytes: u64,
}

/// Which part of a bucket to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Range<'a> {
    /// What the keys begin with; empty for all.
    pub prefix: &'a [u8],
    /// Only keys behind this one: [`Page::next`] of the page before.
    pub after: Option<&'a [u8]>,
    /// At most so many, and at most [`crate::limits::PAGE_ENTRIES_MAX`]; 0 is that maximum.
    pub limit: usize,
}

/// A part of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// What was found. May be empty when there is more behind it.
    pub items: Vec<T>,
    /// Where the next page begins, if there is one.
    pub next: Option<Vec<u8>>,
}

/// Operations that are applied all or not at all, in their order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Batch {
    /// The operations.
    pub ops: Vec<Op>,
}

/// One operation of a batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Op {
    /// Sets a key.
    Put {
        /// The key.
        key: Vec<u8>,
        /// Its value.
        #[serde(with = "crate::octets")]
        value: Vec<u8>,
        /// How long it lives; `None` for as long as the bucket says.
        ttl: Option<Duration>,
    },
    /// Removes a key. That it is not there is no error.
    Delete {
        /// The key.
        key: Vec<u8>,
    },
    /// Sets or removes a key if it is as expected; else the batch fails with [`Error::Conflict`].
    Swap {
        /// The key.
        key: Vec<u8>,
        /// What must be there.
        expected: Expected,
        /// The new value; `None` removes the key.
        new: Option<Vec<u8>>,
    },
    /// Leaves a key as it is; the batch fails with [`Error::Conflict`] if it is not as expected.
    Check {
        /// The key.
        key: Vec<u8>,
        /// What must be there.
        expected: Expected,
    },
    /// Adds to a number, which is kept as decimal text; a key that is not there counts as 0. When the entry expires
    /// stays as it is.
    Increment {
        /// The key.
        key: Vec<u8>,
        /// What to add.
        delta: i64,
    },
}

/// What a compare-and-swap expects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expected {
    /// Nothing.
    Absent,
    /// An entry of this version.
    Version(u64),
    /// An entry with this value.
    Value(Vec<u8>),
}

impl Batch {
    /// Also sets `key` to `value`, for as long as the bucket says.
    #[must_use]
    pub fn put(self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.with(Op::Put { key: key.into(), value: value.into(), ttl: None })
    }

    /// Also removes `key`.
    #[must_use]
    pub fn delete(self, key: impl Into<Vec<u8>>) -> Self {
        self.with(Op::Delete { key: key.into() })
    }

    /// Also sets or removes `key` if it is as expected.
    #[must_use]
    pub fn swap(self, key: impl Into<Vec<u8>>, expected: Expected, new: Option<Vec<u8>>) -> Self {
        self.with(Op::Swap { key: key.into(), expected, new })
    }

    /// Also fails unless `key` is as expected.
    #[must_use]
    pub fn check(self, key: impl Into<Vec<u8>>, expected: Expected) -> Self {
        self.with(Op::Check { key: key.into(), expected })
    }

    /// Also adds `delta` to the number under `key`.
    #[must_use]
    pub fn increment(self, key: impl Into<Vec<u8>>, delta: i64) -> Self {
        self.with(Op::Increment { key: key.into(), delta })
    }

    /// Also does `op`.
    #[must_use]
    pub fn with(mut self, op: Op) -> Self {
        self.ops.push(op);
        self
    }
}

/// What a batch did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The version of every entry that it wrote.
    pub version: u64,
    /// The new number of each increment, in their order.
    pub counters: Vec<i64>,
}
