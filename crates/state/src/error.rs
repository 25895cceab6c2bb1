//! What can go wrong when something is remembered.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::room::is_full;

/// Why the store did not do what it was asked. What is for the operator of this machine only is not written down.
#[derive(Clone, Debug, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Error {
    /// The name of an app or bucket is empty, too long, or not for programs to use.
    #[error(
        "`{0}` is no name for an app or a bucket: 1 to {max} bytes, no control characters, no leading dot",
        max = limits::NAME_BYTES_MAX
    )]
    Name(String),
    /// A key is empty or too long.
    #[error("a key in bucket `{bucket}` is {bytes} bytes: 1 to {max} are allowed", max = limits::KEY_BYTES_MAX)]
    Key {
        /// The bucket, as `app/name`.
        bucket: String,
        /// How long the key is.
        bytes: usize,
    },
    /// A value is too long.
    #[error("a value in bucket `{bucket}` is {bytes} bytes: at most {max} are allowed", max = limits::VALUE_BYTES_MAX)]
    Value {
        /// The bucket, as `app/name`.
        bucket: String,
        /// How long the value is.
        bytes: usize,
    },
    /// A batch has too many operations or bytes.
    #[error(
        "a batch for bucket `{bucket}` has {ops} operations and {bytes} bytes: at most {} and {} are allowed",
        limits::BATCH_OPS_MAX,
        limits::BATCH_BYTES_MAX
    )]
    Batch {
        /// The bucket, as `app/name`.
        bucket: String,
        /// Its operations.
        ops: usize,
        /// The bytes of its keys and values.
        bytes: usize,
    },
    /// The bucket would hold more than its quota. Nothing of the batch was applied.
    #[error("bucket `{bucket}` would hold {bytes} bytes: its quota is {quota_bytes}")]
    Quota {
        /// The bucket, as `app/name`.
        bucket: String,
        /// What it would hold.
        bytes: u64,
        /// What it may hold.
        quota_bytes: u64,
    },
    /// The app has as many buckets as it may have.
    #[error("app `{app}` has {} buckets, and may not have more", limits::BUCKETS_MAX)]
    Buckets {
        /// The app.
        app: String,
    },
    /// There is no such bucket, or no longer.
    #[error("there is no bucket `{0}`")]
    NoBucket(String),
    /// The bucket is kept in another durability class.
    #[error("bucket `{bucket}` is kept as `{kept}`, and cannot be opened as `{asked}`")]
    Durability {
        /// The bucket, as `app/name`.
        bucket: String,
        /// How it is kept.
        kept: crate::Durability,
        /// How it was to be opened.
        asked: crate::Durability,
    },
    /// A compare-and-swap found something else. Nothing of the batch was applied.
    #[error("operation {op} on bucket `{bucket}` expected another version or value than it found")]
    Conflict {
        /// The bucket, as `app/name`.
        bucket: String,
        /// Which operation of the batch, from 0.
        op: usize,
        /// The version that was found; `None` where there is no entry.
        found: Option<u64>,
    },
    /// An increment found what is not a decimal number, or would leave the 64 bits of one. Nothing was applied.
    #[error(
        "operation {op} on bucket `{bucket}` cannot count: the value is no 64-bit decimal number, or would leave its range"
    )]
    NotACounter {
        /// The bucket, as `app/name`.
        bucket: String,
        /// Which operation of the batch, from 0.
        op: usize,
    },
    /// More writes wait than the queue holds. Nothing was applied; it can be tried again.
    #[error("the store is busy: as many writes wait as may wait")]
    Busy,
    /// The store was closed, or its thread is gone. A write that waited may have been applied or not.
    #[error("the store is closed")]
    Closed,
    /// A watch did not keep up.
    #[error("the watch missed {missed} changes")]
    Lagged {
        /// How many.
        missed: u64,
    },
    /// The store itself failed, elsewhere: what a program may know of it.
    #[error("{0}")]
    Fault(String),
    /// The name of a container or an object is empty or too long.
    #[error(
        "`{0}` is no name for a container or an object: 1 to {container} bytes for one, to {object} for the other",
        container = limits::CONTAINER_BYTES_MAX,
        object = limits::OBJECT_NAME_BYTES_MAX
    )]
    BlobName(String),
    /// There is no such container, or no longer.
    #[error("there is no container `{0}`")]
    NoContainer(String),
    /// There is no such object, or it was replaced or removed while it was read.
    #[error("there is no object `{0}`, or no longer")]
    NoObject(String),
    /// An object becomes too large.
    #[error("an object may have at most {} bytes", limits::OBJECT_BYTES_MAX)]
    Object,
    /// A line of an import is not what an export writes.
    #[error("line {0} is no entry: a JSON object with `key` or `key_base64`, and `value` or `value_base64`")]
    Line(u64),
    /// A statement is not valid, or failed. It changed nothing.
    #[error("the statement failed: {0}")]
    Sql(String),
    /// A statement would do what programs may not: reach other files, change how the database works, or leave something
    /// on the connection.
    #[error("the statement is not allowed: {0}")]
    SqlDenied(String),
    /// A statement or transaction took too long. It changed nothing.
    #[error("the statement took longer than {0:?}")]
    SqlTime(std::time::Duration),
    /// A statement was cancelled. It changed nothing.
    #[error("the statement was cancelled")]
    SqlCancelled,
    /// A result has more than it may have.
    #[error("the result has more than {rows_max} rows or {bytes_max} bytes")]
    SqlResult {
        /// Rows that it may have.
        rows_max: usize,
        /// Bytes that its values may have.
        bytes_max: usize,
    },
    /// The database is as large as it may be. The statement changed nothing.
    #[error("the database has no room: it may have {bytes_max} bytes")]
    SqlFull {
        /// Bytes that it may have.
        bytes_max: u64,
    },
    /// A statement writes, and the connection only reads.
    #[error("the statement writes, and this connection only reads")]
    SqlWrites,
    // What is not written down comes last: others are known by their place.
    /// Another process has the store open.
    #[serde(skip)]
    #[error("the store `{}` is in use by another process", path.display())]
    InUse {
        /// The directory of the store.
        path: PathBuf,
    },
    /// The file is damaged, or was not written by a store. It was left as it is.
    #[serde(skip)]
    #[error("the store file `{}` is damaged", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Arc<io::Error>,
    },
    /// The directory or file could not be opened or made.
    #[serde(skip)]
    #[error("cannot open the store `{}`", path.display())]
    Open {
        /// The directory or file.
        path: PathBuf,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// Reading or writing the file failed. A batch that fails with this was applied whole or not at all; most often
    /// not, but only reading can tell.
    #[error("cannot read or write the store file `{}`", path.display())]
    #[serde(skip)]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// The other side of an export or import failed.
    #[serde(skip)]
    #[error("cannot go on with the export or import")]
    Transfer(#[source] Arc<io::Error>),
}

impl Error {
    pub(crate) fn transfer(source: io::Error) -> Self {
        Error::Transfer(Arc::new(source))
    }

    /// What a program may know where the store itself failed: nothing of the machine, which is for the operator. `None`
    /// for an error that is of the program's own making.
    pub fn fault(&self) -> Option<&'static str> {
        Some(match self {
            Error::Open { source, .. } | Error::Io { source, .. } => match is_full(source) {
                true => "the disk is full",
                false => "the store cannot be read or written",
            },
            Error::Corrupt { .. } => "the store is damaged",
            Error::InUse { .. } => "the store is in use",
            _ => return None,
        })
    }

    /// What its user may do about it.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Error::Quota { .. } => "delete keys, or give the bucket a larger quota",
            Error::Buckets { .. } => "remove a bucket, or keep several kinds of keys in one under prefixes",
            Error::Durability { .. } => {
                "keep its durability, or export the bucket, remove it, and import it again"
            }
            Error::Busy => "wait for earlier writes before making more",
            Error::InUse { .. } => "stop the other process, or give this one another directory",
            Error::Corrupt { .. } => {
                "move the file away and restore a copy of it, or go on without what it held"
            }
            Error::Open { .. } => "see that the directory is there and that it can be written to",
            Error::Io { .. } => "see that the disk is there and has room; the store goes on when it has",
            Error::SqlDenied(_) => {
                "use several statements in one call for a transaction, and no ATTACH, VACUUM or PRAGMA"
            }
            Error::SqlResult { .. } => "ask for less with LIMIT",
            Error::SqlFull { .. } => "delete rows, or give the database more room",
            _ => return None,
        })
    }
}
