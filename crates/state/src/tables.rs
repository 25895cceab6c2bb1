//! The tables of a file.

use redb::{Database, ReadOnlyTable, ReadableDatabase, TableDefinition};

use crate::layer::Layer;
use crate::log::Salt;
use crate::rows::RowRef;

/// Rows by place: version, when it expires, value.
const ROWS: TableDefinition<'_, &[u8], RowRef<'static>> = TableDefinition::new("rows");
/// Places by when their rows expire.
const EXPIRIES: TableDefinition<'_, (u64, &[u8]), ()> = TableDefinition::new("expiries");
/// Keys and bytes of each bucket, by prefix.
const BUCKETS: TableDefinition<'_, &[u8], (u64, u64)> = TableDefinition::new("buckets");
/// The last version that was given; of a store without one, nothing was ever written.
const VERSION: TableDefinition<'_, (), u64> = TableDefinition::new("version");
/// What the records of the log bear that come after this file; nothing where none do.
const LOG: TableDefinition<'_, (), Salt> = TableDefinition::new("log");

/// All that was in the file at one time.
pub(crate) struct Snapshot {
    pub(crate) rows: ReadOnlyTable<&'static [u8], RowRef<'static>>,
    pub(crate) expiries: ReadOnlyTable<(u64, &'static [u8]), ()>,
    pub(crate) buckets: ReadOnlyTable<&'static [u8], (u64, u64)>,
    pub(crate) version: u64,
    pub(crate) salt: Option<Salt>,
}

impl Snapshot {
    pub(crate) fn of(database: &Database) -> Result<Self, redb::Error> {
        let transaction = database.begin_read()?;
        Ok(Self {
            rows: transaction.open_table(ROWS)?,
            expiries: transaction.open_table(EXPIRIES)?,
            buckets: transaction.open_table(BUCKETS)?,
            version: transaction.open_table(VERSION)?.get(())?.map_or(0, |version| version.value()),
            salt: transaction.open_table(LOG)?.get(())?.map(|salt| salt.value()),
        })
    }
}

/// Makes the tables of a new file, so that readers find them.
pub(crate) fn prepare(database: &Database) -> Result<(), redb::Error> {
    if database.begin_read()?.open_table(LOG).is_ok() {
        return Ok(());
    }
    let transaction = database.begin_write()?;
    {
        transaction.open_table(ROWS)?;
        transaction.open_table(EXPIRIES)?;
        transaction.open_table(BUCKETS)?;
        transaction.open_table(VERSION)?;
        transaction.open_table(LOG)?;
    }
    Ok(transaction.commit()?)
}

/// Puts layers into the tables, one over the other, with the last version that was given, and the salt of the log that
/// comes after.
pub(crate) fn store<'l>(
    database: &Database,
    layers: impl Iterator<Item = &'l Layer> + Clone,
    version: u64,
    salt: Option<Salt>,
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut rows = transaction.open_table(ROWS)?;
        for (place, row) in layers.clone().flat_map(|layer| &layer.rows) {
            match row {
                Some(row) => rows.insert(place.as_slice(), row.as_ref())?,
                None => rows.remove(place.as_slice())?,
            };
        }
        let mut expiries = transaction.open_table(EXPIRIES)?;
        for ((expires_ms, place), noted) in layers.clone().flat_map(|layer| &layer.expiries) {
            let expiry = (*expires_ms, place.as_slice());
            if *noted {
                expiries.insert(expiry, ())?;
            } else {
                expiries.remove(expiry)?;
            }
        }
        let mut buckets = transaction.open_table(BUCKETS)?;
        for (prefix, usage) in layers.clone().flat_map(|layer| &layer.usages) {
            match usage {
                Some(usage) => buckets.insert(prefix.as_slice(), (usage.keys, usage.bytes))?,
                None => buckets.remove(prefix.as_slice())?,
            };
        }
        transaction.open_table(VERSION)?.insert((), version)?;
        let mut log = transaction.open_table(LOG)?;
        match salt {
            Some(salt) => log.insert((), salt)?,
            None => log.remove(())?,
        };
    }
    Ok(transaction.commit()?)
}
