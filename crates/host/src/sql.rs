//! `sampan:sql`: the SQL database of an app.
//!
//! The database has one call at a time. The others wait for their turn here and not in threads, of which there are few.

use std::sync::{Arc, Mutex, PoisonError};

use state::sql::{Done, Statement};
use wasmtime::component::Linker;

use crate::Host;
use crate::bindings::{Calling, Sql, SqlDone, SqlWork};
use crate::denials::Denial;
use crate::host::{App, AppView};

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        interfaces: "import sampan:sql/database@0.1.0;",
        imports: { default: async },
    });
}

use generated::sampan::sql::database::{self, Changes, Error, Rows, Value};

/// The SQL database of an app, in this process.
#[derive(Clone)]
pub struct Database {
    sql: Arc<state::Sql>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Database {
    /// The database behind `sql`. There must be one for each: it is what calls wait at.
    pub fn new(sql: Arc<state::Sql>) -> Self {
        Self { sql, turn: Arc::default() }
    }

    /// Does `work` in a thread that may block. When nobody waits for it any more, it is cancelled.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&state::Sql) -> Result<T, state::Error> + Send + 'static,
    ) -> Result<T, state::Error> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let waited_for = WaitedFor { sql: Arc::clone(&self.sql), step: Arc::default() };
        let (sql, step) = (Arc::clone(&self.sql), Arc::clone(&waited_for.step));
        let working = tokio::task::spawn_blocking(move || {
            let worked = match begin(&step) {
                true => work(&sql),
                false => Err(state::Error::SqlCancelled),
            };
            *lock(&step) = Step::Ended;
            // Only now: a cancellation must not hit the next.
            drop(turn);
            worked
        });
        let worked = working.await;
        drop(waited_for);
        worked.unwrap_or(Err(state::Error::Closed))
    }
}

impl Sql for Database {
    fn run(&self, work: SqlWork) -> Calling<Result<SqlDone, state::Error>> {
        let this = self.clone();
        Box::pin(async move {
            let run = move |sql: &state::Sql| match work {
                SqlWork::Execute(statement) => {
                    sql.execute(&statement).map(|done| SqlDone::Changed(vec![done]))
                }
                SqlWork::Query(statement) => sql.query(&statement).map(SqlDone::Found),
                SqlWork::Batch(statements) => sql.transaction(&statements).map(SqlDone::Changed),
            };
            this.work(run).await
        })
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Queued,
    Running,
    Ended,
}

/// Work that is cancelled when this is dropped before its end.
struct WaitedFor {
    sql: Arc<state::Sql>,
    step: Arc<Mutex<Step>>,
}

impl Drop for WaitedFor {
    fn drop(&mut self) {
        let mut step = lock(&self.step);
        if *step == Step::Running {
            self.sql.cancel();
        }
        *step = Step::Ended;
    }
}

fn begin(step: &Mutex<Step>) -> bool {
    let mut step = lock(step);
    let queued = *step == Step::Queued;
    if queued {
        *step = Step::Running;
    }
    queued
}

fn lock(step: &Mutex<Step>) -> std::sync::MutexGuard<'_, Step> {
    step.lock().unwrap_or_else(PoisonError::into_inner)
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
