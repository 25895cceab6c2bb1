//! `sampan:sql`: the SQL database of an app.
//!
//! A database has one writer and several readers. Calls wait for their turn here and not in threads, of which there are
//! few: in the order in which they come, and those of one function behind each other, so that functions take turns.

use std::sync::{Arc, Mutex, PoisonError};

use state::limits::{SQL_READERS_MAX, SQL_READS_PER_FUNCTION_MAX};
use state::sql::{Done, Statement};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::Linker;

use crate::Host;
use crate::bindings::{Calling, Sql, SqlDone, SqlWork};
use crate::denials::Denial;
use crate::host::{App, AppView};

#[cfg(test)]
mod tests;

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        interfaces: "import sampan:sql/database@0.1.0;",
        imports: { default: async },
    });
}

use generated::sampan::sql::database::{self, Changes, Error, Rows, Value};

/// The SQL database of an app, in this process, as one of its functions has it.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
}

/// The connections of a database. There must be one for each: it is what calls wait at.
struct Shared {
    writer: Arc<state::Sql>,
    /// Those that nobody uses now. They are made when they are needed.
    readers: Mutex<Vec<Arc<state::Sql>>>,
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
}

/// Leave to use one connection, which ends when this is dropped.
type Turn = [OwnedSemaphorePermit; 2];

/// What a call does on a connection.
type Work = dyn Fn(&state::Sql) -> Result<SqlDone, state::Error> + Send + Sync;

impl Database {
    /// The database behind `writer`.
    pub fn new(writer: Arc<state::Sql>) -> Self {
        let readers = Mutex::default();
        let reads = Arc::new(Semaphore::new(SQL_READERS_MAX));
        Self::of(Arc::new(Shared { writer, readers, reads, writes: Arc::new(Semaphore::new(1)) }))
    }

    /// The same database for another function.
    pub fn for_another(&self) -> Self {
        Self::of(Arc::clone(&self.shared))
    }

    fn of(shared: Arc<Shared>) -> Self {
        let reads = Arc::new(Semaphore::new(SQL_READS_PER_FUNCTION_MAX));
        Self { shared, reads, writes: Arc::new(Semaphore::new(1)) }
    }

    /// Waits for a turn: of this function, and then of all.
    async fn turn(&self, own: &Arc<Semaphore>, all: &Arc<Semaphore>) -> Result<Turn, state::Error> {
        let time_max = self.shared.writer.limits().time_max;
        let turn = async {
            let own = Arc::clone(own).acquire_owned().await.map_err(|_| state::Error::Closed)?;
            let all = Arc::clone(all).acquire_owned().await.map_err(|_| state::Error::Closed)?;
            Ok([own, all])
        };
        tokio::time::timeout(time_max, turn).await.unwrap_or(Err(state::Error::SqlTime(time_max)))
    }

    /// Does `work` on a reader.
    async fn read(&self, work: Arc<Work>) -> Result<SqlDone, state::Error> {
        let turn = self.turn(&self.reads, &self.shared.reads).await?;
        let shared = Arc::clone(&self.shared);
        let lend = move || {
            let idle = lock(&shared.readers).pop();
            idle.map_or_else(|| shared.writer.reader().map(Arc::new), Ok)
        };
        let shared = Arc::clone(&self.shared);
        let take_back = move |reader| {
            lock(&shared.readers).push(reader);
            drop(turn);
        };
        done(lend, work, take_back).await
    }

    /// Does `work` on the writer.
    async fn write(&self, work: Arc<Work>) -> Result<SqlDone, state::Error> {
        let turn = self.turn(&self.writes, &self.shared.writes).await?;
        let writer = Arc::clone(&self.shared.writer);
        done(|| Ok(writer), work, |_| drop(turn)).await
    }
}

/// Does `work` on a connection that `lend` gives, in a thread that may block. When nobody waits for it any more, it is
/// cancelled.
async fn done(
    lend: impl FnOnce() -> Result<Arc<state::Sql>, state::Error> + Send + 'static,
    work: Arc<Work>,
    take_back: impl FnOnce(Arc<state::Sql>) + Send + 'static,
) -> Result<SqlDone, state::Error> {
    let waited_for = WaitedFor::default();
    let step = Arc::clone(&waited_for.0);
    let working = tokio::task::spawn_blocking(move || {
        let sql = lend()?;
        let worked = match begin(&step, &sql) {
            true => work(&sql),
            false => Err(state::Error::SqlCancelled),
        };
        *lock(&step) = Step::Ended;
        // Only now: a cancellation must not hit the next.
        take_back(sql);
        worked
    });
    let worked = working.await;
    drop(waited_for);
    worked.unwrap_or(Err(state::Error::Closed))
}

impl Sql for Database {
    fn run(&self, work: SqlWork) -> Calling<Result<SqlDone, state::Error>> {
        let this = self.clone();
        Box::pin(async move {
            match work {
                SqlWork::Query(statement) => {
                    let query: Arc<Work> = Arc::new(move |sql| sql.query(&statement).map(SqlDone::Found));
                    match this.read(Arc::clone(&query)).await {
                        // What a reader may not do, the writer may.
                        Err(state::Error::SqlWrites | state::Error::SqlDenied(_)) => this.write(query).await,
                        found => found,
                    }
                }
                SqlWork::Execute(statement) => {
                    let execute = move |sql: &state::Sql| {
                        sql.execute(&statement).map(|done| SqlDone::Changed(vec![done]))
                    };
                    this.write(Arc::new(execute)).await
                }
                SqlWork::Batch(statements) => {
                    let batch = move |sql: &state::Sql| sql.transaction(&statements).map(SqlDone::Changed);
                    this.write(Arc::new(batch)).await
                }
            }
        })
    }
}

#[derive(Default)]
enum Step {
    #[default]
    Queued,
    Running(Arc<state::Sql>),
    Ended,
}

/// Work that is cancelled when this is dropped before its end.
#[derive(Default)]
struct WaitedFor(Arc<Mutex<Step>>);

impl Drop for WaitedFor {
    fn drop(&mut self) {
        let mut step = lock(&self.0);
        if let Step::Running(sql) = &*step {
            sql.cancel();
        }
        *step = Step::Ended;
    }
}

fn begin(step: &Mutex<Step>, sql: &Arc<state::Sql>) -> bool {
    let mut step = lock(step);
    let is_queued = matches!(*step, Step::Queued);
    if is_queued {
        sql.resume();
        *step = Step::Running(Arc::clone(sql));
    }
    is_queued
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl From<Value> for state::sql::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Integer(value) => Self::Int(value),
            Value::Real(value) => Self::Real(value),
            Value::Text(value) => Self::Text(value),
            Value::Blob(value) => Self::Blob(value),
        }
    }
}

impl From<state::sql::Value> for Value {
    fn from(value: state::sql::Value) -> Self {
        use state::sql::Value as State;
        match value {
            State::Null => Self::Null,
            State::Int(value) => Self::Integer(value),
            State::Real(value) => Self::Real(value),
            State::Text(value) => Self::Text(value),
            State::Blob(value) => Self::Blob(value),
        }
    }
}

fn statement((sql, parameters): (String, Vec<Value>)) -> Statement {
    Statement { sql, parameters: parameters.into_iter().map(Into::into).collect() }
}

fn changes(done: Done) -> Changes {
    Changes { rows: done.rows_affected, last_insert_rowid: done.last_rowid }
}

impl AppView<'_> {
    /// Does `work` on the database.
    async fn work(&mut self, work: SqlWork) -> Result<SqlDone, Error> {
        use state::Error as State;
        let Some(sql) = self.bindings.and_then(|bindings| bindings.sql.as_ref()) else {
            self.denials.record(Denial::Sql);
            return Err(Error::Denied);
        };
        sql.run(work).await.map_err(|error| match error {
            State::Sql(why) if why.contains("constraint failed") => Error::Constraint(why),
            State::Sql(why) => Error::Invalid(why),
            State::SqlDenied(_) => Error::Invalid(error.to_string()),
            State::SqlResult { .. } | State::SqlFull { .. } => Error::Full(error.to_string()),
            State::SqlTime(_) | State::SqlCancelled => Error::Late,
            error => Error::Other(self.told(&error)),
        })
    }

    /// The same, for work that finds nothing.
    async fn change(&mut self, work: SqlWork) -> Result<Vec<Changes>, Error> {
        match self.work(work).await? {
            SqlDone::Changed(done) => Ok(done.into_iter().map(changes).collect()),
            SqlDone::Found(_) => Ok(Vec::new()),
        }
    }
}

impl database::Host for AppView<'_> {
    async fn execute(&mut self, sql: String, parameters: Vec<Value>) -> Result<Changes, Error> {
        let mut done = self.change(SqlWork::Execute(statement((sql, parameters)))).await?;
        done.pop().ok_or_else(|| Error::Other("nothing was done".to_owned()))
    }

    async fn query(&mut self, sql: String, parameters: Vec<Value>) -> Result<Rows, Error> {
        let SqlDone::Found(found) = self.work(SqlWork::Query(statement((sql, parameters)))).await? else {
            return Err(Error::Other("nothing was looked for".to_owned()));
        };
        let row = |row: Vec<_>| row.into_iter().map(Value::from).collect();
        Ok(Rows { columns: found.columns, rows: found.rows.into_iter().map(row).collect() })
    }

    async fn batch(&mut self, statements: Vec<(String, Vec<Value>)>) -> Result<Vec<Changes>, Error> {
        self.change(SqlWork::Batch(statements.into_iter().map(statement).collect())).await
    }
}

pub(crate) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    database::add_to_linker::<_, App>(linker, Host::app)
}
