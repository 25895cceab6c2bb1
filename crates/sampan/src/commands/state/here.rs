//! The buckets of an app that does not run, in their files.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value, json};
use state::{Batch, Bucket, Durability, Embedded, Error, Range, Store, transfer};

use super::{Buckets, EachKey};
use crate::manifest::Found;
use crate::report::Report;

/// A store that this process has opened.
pub(super) struct Here {
    pub(super) found: Found,
    pub(super) store: Embedded,
}

/// Opens the store in this directory.
pub(super) fn open(directory: &Path) -> Result<Embedded, Error> {
    Embedded::open(directory, Arc::new(SystemTime::now))
}

impl Here {
    /// A bucket that has files.
    fn bucket(&self, name: &str) -> Result<Bucket, Report> {
        let bucket = self.declared(name)?;
        if bucket.spec().durability == Durability::Memory {
            let report = Report::usage(format!("bucket `{name}` is in memory, and its app does not run"));
            return Err(report.hint("`sampan serve` serves the app; another durability keeps the bucket"));
        }
        self.store.open(&bucket).map_err(report)?;
        Ok(bucket)
    }

    fn declared(&self, name: &str) -> Result<Bucket, Report> {
        node::bucket(&self.found.manifest, name).map_err(|error| {
            let report = Report::from_error(&error);
            match error.hint() {
                Some(hint) => report.hint(hint),
                None => report,
            }
        })
    }
}

impl Buckets for Here {
    fn list(&self) -> Result<Vec<Value>, Report> {
        let names = self.found.manifest.buckets.keys();
        let describe = |name: &str| {
            let bucket = self.declared(name)?;
            // Nothing was ever written to one that is not there.
            let usage = self.store.usage(&bucket).unwrap_or_default();
            let durability = bucket.spec().durability.to_string();
            Ok(json!({ "bucket": name, "durability": durability, "keys": usage.keys, "bytes": usage.bytes }))
        };
        names.map(|name| describe(name)).collect()
    }

    fn keys(&self, bucket: &str, prefix: &str, each: EachKey<'_>) -> Result<(), Report> {
        let bucket = self.bucket(bucket)?;
        let mut after = None::<Vec<u8>>;
        loop {
            let range = Range { prefix: prefix.as_bytes(), after: after.as_deref(), limit: 0 };
            let page = self.store.keys(&bucket, range).map_err(report)?;
            page.items.into_iter().try_for_each(&mut *each)?;
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    fn get(&self, bucket: &str, key: &str) -> Result<Vec<u8>, Report> {
        let entry = self.store.get(&self.bucket(bucket)?, key.as_bytes()).map_err(report)?;
        let missing = || Report::usage(format!("bucket `{bucket}` has no such key"));
        entry.map(|entry| entry.value).ok_or_else(missing)
    }

    fn put(&self, bucket: &str, key: &str, value: Vec<u8>) -> Result<(), Report> {
        let written = self.store.write(&self.bucket(bucket)?, Batch::default().put(key, value));
        written.wait().map(drop).map_err(report)
    }

    fn remove(&self, bucket: &str, key: &str) -> Result<(), Report> {
        let written = self.store.write(&self.bucket(bucket)?, Batch::default().delete(key));
        written.wait().map(drop).map_err(report)
    }

    fn export(&self, bucket: &str, to: &mut dyn Write) -> Result<(), Report> {
        transfer::export(&self.store, &self.bucket(bucket)?, to).map(drop).map_err(report)
    }

    fn import(&self, bucket: &str, from: Box<dyn Read + Send>) -> Result<u64, Report> {
        transfer::import(&self.store, &self.bucket(bucket)?, from).map_err(report)
    }
}

pub(super) fn report(error: Error) -> Report {
    let report = Report::from_error(&error);
    match error.hint() {
        Some(hint) => report.hint(hint),
        None => report,
    }
}
