//! One SQLite database of an app, which takes statements from hostile programs.
//!
//! A [`Sql`] is a connection to it: the writer, of which a process has one, or a [reader](Sql::reader), of which it may
//! have several. SQLite's log of what was written lets them work beside each other: who reads sees what was committed
//! when it began. Calls block, and each connection runs one at a time. Each is a transaction of its own;
//! [`Sql::transaction`] makes one of several.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, OpenFlags, ToSql};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::embedded::private;
use crate::limits::{
    SQL_LOG_BYTES_MAX, SQL_OPS_BETWEEN_CHECKS, SQL_RESULT_BYTES_MAX, SQL_RESULT_ROWS_MAX,
    SQL_STATEMENTS_CACHED_MAX, VALUE_BYTES_MAX,
};
use crate::room::probe;

mod guard;

/// What a database may take up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlLimits {
    /// Bytes of the database file.
    pub bytes_max: u64,
    /// Bytes of one text, blob or row.
    pub value_bytes_max: usize,
    /// How long one statement, or one transaction, may take. As long may it wait for its turn before.
    pub time_max: Duration,
    /// Rows of one result.
    pub rows_max: usize,
    /// Bytes of the values of one result.
    pub result_bytes_max: usize,
}

impl Default for SqlLimits {
    fn default() -> Self {
        Self {
            bytes_max: 1 << 30,
            value_bytes_max: VALUE_BYTES_MAX,
            time_max: Duration::from_secs(5),
            rows_max: SQL_RESULT_ROWS_MAX,
            result_bytes_max: SQL_RESULT_BYTES_MAX,
        }
    }
}

/// What SQLite says where its authorizer denies a function.
const FUNCTION_DENIED: &str = "not authorized to use function";

/// A value of a row or a parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// Nothing.
    Null,
    /// A 64-bit integer.
    Int(i64),
    /// A 64-bit float.
    Real(f64),
    /// A text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// A statement and its parameters, the first of which is `?1`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Statement {
    /// One statement.
    pub sql: String,
    /// As many as it has.
    pub parameters: Vec<Value>,
}

/// What a statement did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Rows that it inserted, updated or deleted.
    pub rows_affected: u64,
    /// The row id that was given last in this database.
    pub last_rowid: i64,
}

/// What a statement found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rows {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows, each with a value per column.
    pub rows: Vec<Vec<Value>>,
}

/// A connection to an open database.
pub struct Sql {
    connection: Mutex<Connection>,
    is_reader: bool,
    path: PathBuf,
    limits: SqlLimits,
    /// While this crate's own statements are prepared.
    ours: Arc<AtomicBool>,
    deadline: Arc<Mutex<Option<Instant>>>,
    is_cancelled: Arc<AtomicBool>,
    interrupt: rusqlite::InterruptHandle,
}

impl Sql {
    /// Opens the database at `path`, which is made if it is not there.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the file is no database; [`Error::Open`] when it cannot be made or opened.
    pub fn open(path: &Path, limits: SqlLimits) -> Result<Self, Error> {
        let failed = |source| Error::Open { path: path.to_owned(), source: Arc::new(source) };
        // SQLite would take a relative path that starts with `file:` for a URI, and make a file that others can read.
        let path = std::path::absolute(path).map_err(failed)?;
        drop(private().open(&path).map_err(failed)?);
        Self::connect(path, limits, false)
    }

    /// Another connection to the same database, which only reads: it refuses all else with [`Error::SqlWrites`].
    ///
    /// # Errors
    /// As [`Sql::open`].
    pub fn reader(&self) -> Result<Self, Error> {
        Self::connect(self.path.clone(), self.limits.clone(), true)
    }

    /// What it may take up.
    pub fn limits(&self) -> &SqlLimits {
        &self.limits
    }

    fn connect(path: PathBuf, limits: SqlLimits, is_reader: bool) -> Result<Self, Error> {
        let access = match is_reader {
            true => OpenFlags::SQLITE_OPEN_READ_ONLY,
            false => OpenFlags::SQLITE_OPEN_READ_WRITE,
        };
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(&path, flags).map_err(|error| translate(&path, error))?;
        Self::set_up(opened, &path, limits, is_reader).map_err(|error| translate(&path, error))
    }

    fn set_up(
        mut connection: Connection,
        path: &Path,
        limits: SqlLimits,
        is_reader: bool,
    ) -> rusqlite::Result<Self> {
        connection.busy_timeout(limits.time_max)?;
        connection.set_prepared_statement_cache_capacity(SQL_STATEMENTS_CACHED_MAX);
        connection.pragma_update(None, "foreign_keys", true)?;
        if !is_reader {
            connection.pragma_update(None, "journal_mode", "wal")?;
            connection.pragma_update(None, "synchronous", "full")?;
            let page_bytes: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
            let pages_max = i64::try_from(limits.bytes_max).unwrap_or(i64::MAX) / page_bytes.max(1);
            let pages_max = pages_max.clamp(1, i64::from(u32::MAX - 1));
            connection.pragma_update(None, "max_page_count", pages_max)?;
            connection.pragma_update(None, "journal_size_limit", 1 << 20)?;
        }

        let ours = Arc::new(AtomicBool::new(false));
        guard::put(&mut connection, &limits, is_reader, Arc::clone(&ours))?;
        let deadline = Arc::new(Mutex::new(None::<Instant>));
        let watched = Arc::clone(&deadline);
        let is_cancelled = Arc::new(AtomicBool::new(false));
        let cancelled = Arc::clone(&is_cancelled);
        connection.progress_handler(
            SQL_OPS_BETWEEN_CHECKS,
            Some(move || {
                let deadline = *watched.lock().unwrap_or_else(PoisonError::into_inner);
                deadline
                    .is_some_and(|deadline| cancelled.load(Ordering::Relaxed) || Instant::now() >= deadline)
            }),
        )?;
        let interrupt = connection.get_interrupt_handle();
        Ok(Self {
            connection: Mutex::new(connection),
            is_reader,
            path: path.to_owned(),
            limits,
            ours,
            deadline,
            is_cancelled,
            interrupt,
        })
    }

    /// Runs a statement that returns no rows.
    ///
    /// # Errors
    /// When it is not valid, not allowed, fails, or reaches a limit. Then it changed nothing.
    pub fn execute(&self, statement: &Statement) -> Result<Done, Error> {
        self.writing(|connection| run(connection, statement).map(|affected| done(connection, affected)))
    }

    /// Runs a statement and returns its rows.
    ///
    /// # Errors
    /// As [`Sql::execute`], and when there are more rows or bytes than a result may have.
    pub fn query(&self, statement: &Statement) -> Result<Rows, Error> {
        let found = match self.is_reader {
            true => {
                let found = self.limited(|connection| {
                    if !prepare(connection, statement)?.readonly() {
                        return Ok(Err(Error::SqlWrites));
                    }
                    self.collect(connection, statement).map(Ok)
                });
                // What a function tells that only the writer's connection knows, the writer is asked.
                found.map_err(|error| match error {
                    Error::Sql(why) if why.contains(FUNCTION_DENIED) => Error::SqlWrites,
                    error => error,
                })??
            }
            false => self.writing(|connection| {
                if prepare(connection, statement)?.readonly() {
                    return self.collect(connection, statement);
                }
                // A statement that writes and has too many rows to return must not have written.
                self.atomically(connection, |connection| self.collect(connection, statement))
            })?,
        };
        found.ok_or(Error::SqlResult {
            rows_max: self.limits.rows_max,
            bytes_max: self.limits.result_bytes_max,
        })
    }

    /// Runs statements that return no rows, all of them or none.
    ///
    /// # Errors
    /// As [`Sql::execute`]. Then none of them changed anything.
    pub fn transaction(&self, statements: &[Statement]) -> Result<Vec<Done>, Error> {
        let dones = self.writing(|connection| {
            self.atomically(connection, |connection| {
                let run = |statement| run(connection, statement).map(|affected| done(connection, affected));
                statements.iter().map(run).collect::<Result<Vec<_>, _>>().map(Some)
            })
        })?;
        Ok(dones.unwrap_or_default())
    }

    /// Ends the call that runs now, on whichever thread, and each that is made before [`Sql::resume`].
    pub fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
        self.interrupt.interrupt();
    }

    /// Lets calls run again.
    pub fn resume(&self) {
        self.is_cancelled.store(false, Ordering::Relaxed);
    }

    /// Runs `work` with a deadline, on the connection that may write.
    fn writing<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        if self.is_reader {
            return Err(Error::SqlWrites);
        }
        match self.limited(|connection| self.shorten(connection)?.then(|| work(connection)).transpose())? {
            Some(worked) => Ok(worked),
            None => Err(Error::SqlTime(self.limits.time_max)),
        }
    }

    /// Sees that the log is no longer than it may be. As long as anybody reads, it only grows; so if it is too long, this
    /// waits for those who read from it, while others read from the database itself. False if that took too long.
    fn shorten(&self, connection: &Connection) -> rusqlite::Result<bool> {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        if std::fs::metadata(log).map_or(0, |log| log.len()) <= SQL_LOG_BYTES_MAX {
            return Ok(true);
        }
        let is_busy = |row: &rusqlite::Row<'_>| row.get(0);
        let is_busy: bool =
            self.ours(|| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], is_busy))?;
        Ok(!is_busy)
    }

    /// Runs `work` with a deadline.
    fn limited<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        let deadline = Instant::now() + self.limits.time_max;
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let set = |deadline| *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = deadline;
        set(Some(deadline));
        let result = work(&connection);
        set(None);
        result.map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) if Instant::now() >= deadline => {
                Error::SqlTime(self.limits.time_max)
            }
            Some(ErrorCode::OperationInterrupted) => Error::SqlCancelled,
            // SQLite calls a full disk and a database that may not grow by one name.
            Some(ErrorCode::DiskFull) => match probe(&self.path, 0) {
                Ok(()) => Error::SqlFull { bytes_max: self.limits.bytes_max },
                Err(source) => Error::Io { path: self.path.clone(), source: Arc::new(source) },
            },
            _ => translate(&self.path, error),
        })
    }

    /// Runs `work` in a transaction, which is undone if it fails or returns nothing.
    fn atomically<T>(
        &self,
        connection: &Connection,
        work: impl FnOnce(&Connection) -> rusqlite::Result<Option<T>>,
    ) -> rusqlite::Result<Option<T>> {
        self.own(connection, "BEGIN IMMEDIATE")?;
        let result = work(connection).and_then(|result| {
            if result.is_some() {
                self.own(connection, "COMMIT")?;
            }
            Ok(result)
        });
        // Some failures have undone it already.
        if !connection.is_autocommit() {
            *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = None;
            self.own(connection, "ROLLBACK")?;
        }
        result
    }

    fn own(&self, connection: &Connection, sql: &str) -> rusqlite::Result<()> {
        self.ours(|| connection.execute_batch(sql))
    }

    /// Runs a statement of this crate.
    fn ours<T>(&self, work: impl FnOnce() -> T) -> T {
        self.ours.store(true, Ordering::Relaxed);
        let worked = work();
        self.ours.store(false, Ordering::Relaxed);
        worked
    }

    /// The rows of a statement; `None` when there are too many.
    fn collect(&self, connection: &Connection, statement: &Statement) -> rusqlite::Result<Option<Rows>> {
        let mut prepared = prepare(connection, statement)?;
        let columns: Vec<_> = prepared.column_names().map(str::to_owned).collect();
        let mut found = Rows { columns, rows: Vec::new() };
        let mut bytes = 0;
        let mut rows = prepared.raw_query();
        while let Some(row) = rows.next()? {
            let mut values = Vec::with_capacity(found.columns.len());
            for column in 0..found.columns.len() {
                let value = row.get_ref(column)?;
                bytes += size_of::<Value>() + value.as_bytes_or_null().ok().flatten().map_or(0, <[u8]>::len);
                if bytes > self.limits.result_bytes_max {
                    return Ok(None);
                }
                values.push(Value::from(value));
            }
            if found.rows.len() == self.limits.rows_max {
                return Ok(None);
            }
            found.rows.push(values);
        }
        Ok(Some(found))
    }
}

/// Prepares a statement, or takes it from the cache, and binds its parameters.
fn prepare<'c>(connection: &'c Connection, statement: &Statement) -> rusqlite::Result<CachedStatement<'c>> {
    let mut prepared = connection.prepare_cached(&statement.sql)?;
    let (needed, given) = (prepared.parameter_count(), statement.parameters.len());
    if needed != given {
        return Err(rusqlite::Error::InvalidParameterCount(given, needed));
    }
    for (index, value) in statement.parameters.iter().enumerate() {
        prepared.raw_bind_parameter(index + 1, value)?;
    }
    Ok(prepared)
}

fn run(connection: &Connection, statement: &Statement) -> rusqlite::Result<usize> {
    prepare(connection, statement)?.raw_execute()
}

fn done(connection: &Connection, affected: usize) -> Done {
    Done { rows_affected: affected as u64, last_rowid: connection.last_insert_rowid() }
}

/// Puts what SQLite says in our words.
fn translate(path: &Path, error: rusqlite::Error) -> Error {
    let io = |error| Arc::new(std::io::Error::other(error));
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            Error::Corrupt { path: path.to_owned(), source: io(error) }
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            Error::Open { path: path.to_owned(), source: io(error) }
        }
        Some(ErrorCode::SystemIoFailure) => Error::Io { path: path.to_owned(), source: io(error) },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Busy,
        Some(ErrorCode::AuthorizationForStatementDenied) => Error::SqlDenied(error.to_string()),
        _ => Error::Sql(error.to_string()),
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(value) => ValueRef::Integer(*value),
            Value::Real(value) => ValueRef::Real(*value),
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
            Value::Blob(value) => ValueRef::Blob(value),
        }))
    }
}

impl From<ValueRef<'_>> for Value {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(value) => Value::Int(value),
            ValueRef::Real(value) => Value::Real(value),
            // SQLite keeps whatever bytes it is given as text.
            ValueRef::Text(value) => Value::Text(String::from_utf8_lossy(value).into_owned()),
            ValueRef::Blob(value) => Value::Blob(value.to_owned()),
        }
    }
}
