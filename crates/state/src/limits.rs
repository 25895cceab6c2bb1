//! What a store may be asked to hold: the named maxima of this crate.

/// Bytes of a key, at least 1.
pub const KEY_BYTES_MAX: usize = 1 << 10;

/// Bytes of a value.
pub const VALUE_BYTES_MAX: usize = 16 << 20;

/// Bytes of the name of an app, and of a bucket.
pub const NAME_BYTES_MAX: usize = 128;

/// Bytes that an entry counts in its bucket beside its key and value: about what it takes on disk besides. Without
/// them, a quota would let a program fill the disk with empty values.
pub const ENTRY_BYTES: u64 = 64;

/// Buckets of one app, in each durability class, with those of its containers: as many as a manifest may name.
pub const BUCKETS_MAX: usize = 2_000;

/// Operations in one batch.
pub const BATCH_OPS_MAX: usize = 4_096;

/// Bytes of the keys and values of one batch. One value of the largest size fits.
pub const BATCH_BYTES_MAX: usize = VALUE_BYTES_MAX + (1 << 20);

/// Batches that wait for one file to be committed; the next is refused.
pub const QUEUE_BATCHES_MAX: usize = 4_096;

/// Bytes of the batches that wait for one file to be committed; the next is refused.
pub const QUEUE_BYTES_MAX: usize = 64 << 20;

/// Entries in one page of a listing.
pub const PAGE_ENTRIES_MAX: usize = 1_000;

/// Bytes of the keys and values in one page of a listing, past which it ends. It has one entry at least.
pub const PAGE_BYTES_MAX: usize = 4 << 20;

/// Entries looked at for one page of a listing; those that have expired are looked at and not listed.
pub const PAGE_VISITS_MAX: usize = 10_000;

/// Expired entries removed with one commit.
pub const SWEEP_MAX: usize = 1_024;

/// Entries removed with one commit when a bucket is removed.
pub const CLEAR_MAX: usize = 1_024;

/// Changes kept for a watch that does not read them; then the oldest are lost, and the watch says so.
pub const WATCH_CHANGES_MAX: usize = 1_024;

/// Buckets that can be watched at once.
pub const WATCHED_BUCKETS_MAX: usize = 4_096;

/// Bytes of the log of a file. When a half is full, all that it holds is written to the file itself: who fills the other one
/// before that is done waits for it.
pub const LOG_BYTES: usize = 256 << 10;

/// Bytes of memory in which a file's pages are kept.
pub const CACHE_BYTES_MAX: usize = 64 << 20;

/// Bytes of one SQL statement.
pub const SQL_STATEMENT_BYTES_MAX: usize = 1 << 20;

/// Columns of a table or a result.
pub const SQL_COLUMNS_MAX: usize = 500;

/// Parameters of one statement.
pub const SQL_PARAMETERS_MAX: usize = 1_000;

/// Prepared statements kept for each database.
pub const SQL_STATEMENTS_CACHED_MAX: usize = 64;

/// Rows of one result, unless another number is given.
pub const SQL_RESULT_ROWS_MAX: usize = 100_000;

/// Bytes of the values of one result, unless another number is given.
pub const SQL_RESULT_BYTES_MAX: usize = 64 << 20;

/// Bytes that the log of a database may have when a transaction begins, which may make it longer by what it writes.
pub const SQL_LOG_BYTES_MAX: u64 = 64 << 20;

/// Connections of a database that only read. Each keeps 2 MB of pages at most.
pub const SQL_READERS_MAX: usize = 16;

/// Of these, what one function may use at once.
pub const SQL_READS_PER_FUNCTION_MAX: usize = 4;

/// Steps of SQLite's machine between two looks at the clock.
pub const SQL_OPS_BETWEEN_CHECKS: i32 = 1_000;

/// Bytes written at a time to see whether a disk has room: more than SQLite writes at once.
pub const PROBE_BYTES: usize = 128 << 10;

/// Bytes of one line of an import: the longest key and value with every byte written as `\u0000`, and the rest of the
/// line.
pub const IMPORT_LINE_BYTES_MAX: u64 = 6 * (KEY_BYTES_MAX + VALUE_BYTES_MAX) as u64 + 64;

/// Bytes and entries after which an import commits. One more entry may be in a batch.
pub const IMPORT_BATCH_BYTES: usize = 1 << 20;
/// See [`IMPORT_BATCH_BYTES`].
pub const IMPORT_BATCH_OPS: usize = 1_000;

/// Bytes of a blob object.
pub const OBJECT_BYTES_MAX: u64 = 1 << 30;

/// Bytes of one chunk of an object.
pub const CHUNK_BYTES: usize = 256 << 10;

/// Chunks of one object on their way to the store at once.
pub const CHUNKS_IN_FLIGHT_MAX: usize = 8;

/// Chunks removed with one commit when an object is removed: as many as 16 MiB.
pub const CHUNKS_CLEARED_MAX: usize = 64;

/// Bytes of the name of a container: its bucket has a longer one.
pub const CONTAINER_BYTES_MAX: usize = NAME_BYTES_MAX - 8;

/// Bytes of the name of an object.
pub const OBJECT_NAME_BYTES_MAX: usize = 768;
