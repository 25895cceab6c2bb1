//! Who waits for whom at a database. Statements without an end stand for slow ones: who waits for one, waits for ever.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use state::limits::{SQL_READERS_MAX, SQL_READS_PER_FUNCTION_MAX};
use state::sql::{Statement, Value};
use state::{Error, SqlLimits};

use super::Database;
use crate::bindings::{Calling, Sql, SqlDone, SqlWork};

const ENDLESS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

fn statement(sql: &str) -> Statement {
    Statement { sql: sql.to_owned(), parameters: Vec::new() }
}

type Done = Calling<Result<SqlDone, Error>>;

fn query(database: &Database, sql: &str) -> Done {
    database.run(SqlWork::Query(statement(sql)))
}

fn execute(database: &Database, sql: &str) -> Done {
    database.run(SqlWork::Execute(statement(sql)))
}

/// Begins a call: it has its turn, or waits for it.
fn begin(call: &mut Done) {
    assert!(Pin::new(call).poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

async fn count(database: &Database) -> i64 {
    match query(database, "SELECT count(*) FROM t").await {
        Ok(SqlDone::Found(rows)) if matches!(rows.rows[0][0], Value::Int(_)) => {
            let Value::Int(count) = rows.rows[0][0] else { unreachable!() };
            count
        }
        other => panic!("{other:?}"),
    }
}

/// Runs `test` with the database as one function has it, whose statements may take `time_max`.
fn with<F: Future<Output = ()>>(time_max: Duration, test: impl FnOnce(Database) -> F) {
    let directory = tempfile::tempdir().unwrap();
    let limits = SqlLimits { time_max, ..SqlLimits::default() };
    let sql = state::Sql::open(&directory.path().join("app.sqlite"), limits).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let database = Database::new(Arc::new(sql));
        execute(&database, "CREATE TABLE t (a)").await.unwrap();
        test(database).await;
    });
}

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn a_long_read_keeps_neither_writes_nor_reads_waiting() {
    with(HOUR, async |database| {
        let mut long = query(&database, ENDLESS);
        begin(&mut long);
        execute(&database, "INSERT INTO t VALUES (1)").await.unwrap();
        assert_eq!(count(&database).await, 1);
        // One that writes is a query too, and finds what the last statement made.
        let made = query(&database, "INSERT INTO t VALUES (last_insert_rowid()) RETURNING a").await.unwrap();
        assert!(matches!(made, SqlDone::Found(rows) if rows.rows == [[Value::Int(1)]]));
        // What nobody waits for ends, or the threads of this runtime would keep it from ending.
        drop(long);
    });
}

#[test]
fn the_reads_of_one_function_leave_room_for_others() {
    with(HOUR, async |database| {
        let other = database.for_another();
        let mut long: Vec<_> = (0..SQL_READERS_MAX).map(|_| query(&database, ENDLESS)).collect();
        long.iter_mut().for_each(begin);
        execute(&other, "INSERT INTO t VALUES (1)").await.unwrap();
        assert_eq!(count(&other).await, 1);
        // Its own wait for it: but not for those that nobody wants any more.
        let mut own = query(&database, "SELECT 1");
        begin(&mut own);
        long.drain(..=SQL_READS_PER_FUNCTION_MAX).for_each(drop);
        drop(long);
        own.await.unwrap();
    });
}

#[test]
fn the_writes_of_functions_take_turns() {
    with(HOUR, async |database| {
        let other = database.for_another();
        let mut long = execute(&database, &format!("INSERT INTO t {ENDLESS}"));
        begin(&mut long);
        let mut next: Vec<_> =
            (0..3).map(|_| execute(&database, &format!("INSERT INTO t {ENDLESS}"))).collect();
        next.iter_mut().for_each(begin);
        let mut others = execute(&other, "INSERT INTO t VALUES (1)");
        begin(&mut others);
        assert_eq!(count(&other).await, 0);
        // After the first comes the other function, not the three that came before it.
        drop(long);
        others.await.unwrap();
        assert_eq!(count(&other).await, 1);
    });
}

#[test]
fn who_waits_too_long_for_a_turn_is_told_so() {
    let time_max = Duration::from_millis(50);
    with(time_max, async |database| {
        // The turn of another function, taken and kept.
        let _turn = database.turn(&database.writes, &database.shared.writes).await.unwrap();
        let late = execute(&database.for_another(), "INSERT INTO t VALUES (1)").await;
        assert!(matches!(late, Err(Error::SqlTime(time)) if time == time_max), "{late:?}");
    });
}
