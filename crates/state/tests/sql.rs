//! What hostile statements may and may not do to a database.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use state::limits::SQL_LOG_BYTES_MAX;
use state::sql::{Rows, Statement, Value};
use state::{Error, Sql, SqlLimits};

fn statement(sql: &str) -> Statement {
    Statement { sql: sql.into(), parameters: vec![] }
}

fn open(directory: &Path, limits: SqlLimits) -> Sql {
    let sql = Sql::open(&directory.join("app.db"), limits).unwrap();
    sql.execute(&statement("CREATE TABLE t (a INTEGER PRIMARY KEY, b)")).unwrap();
    sql
}

fn count(sql: &Sql) -> Value {
    sql.query(&statement("SELECT count(*) FROM t")).unwrap().rows.remove(0).remove(0)
}

#[test]
fn values_of_every_type_come_back_also_after_opening_again() {
    let directory = tempfile::tempdir().unwrap();
    let sql = open(directory.path(), SqlLimits::default());
    let values = [
        Value::Null,
        Value::Int(i64::MIN),
        Value::Real(0.5),
        Value::Text("g\u{fc}n".into()),
        Value::Blob(vec![0, 255]),
    ];
    for (n, value) in values.iter().enumerate() {
        let parameters = vec![value.clone()];
        let done =
            sql.execute(&Statement { sql: "INSERT INTO t (b) VALUES (?1)".into(), parameters }).unwrap();
        assert_eq!((done.rows_affected, done.last_rowid), (1, n as i64 + 1));
    }
    drop(sql);
    let sql = Sql::open(&directory.path().join("app.db"), SqlLimits::default()).unwrap();
    let rows = values.into_iter().map(|value| vec![value]).collect();
    assert_eq!(
        sql.query(&statement("SELECT b FROM t ORDER BY a")).unwrap(),
        Rows { columns: vec!["b".into()], rows }
    );
}

#[test]
fn a_transaction_is_whole_or_nothing_and_leaves_the_connection_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let sql = open(directory.path(), SqlLimits::default());
    let insert = statement("INSERT INTO t VALUES (1, 'x')");
    assert!(matches!(sql.transaction(&[insert.clone(), insert.clone()]), Err(Error::Sql(_))));
    assert_eq!(count(&sql), Value::Int(0));
    sql.transaction(&[insert, statement("INSERT INTO t VALUES (2, 'y')")]).unwrap();
    assert_eq!(count(&sql), Value::Int(2));
    let returned = sql.query(&statement("DELETE FROM t RETURNING b")).unwrap();
    assert_eq!(returned.rows.len(), 2);
    assert_eq!(count(&sql), Value::Int(0));
}

#[test]
fn what_programs_may_not_do_is_denied_and_does_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let outside = directory.path().join("outside.db");
    let sql = open(directory.path(), SqlLimits::default());
    let file = outside.display();
    for hostile in [
        &format!("ATTACH '{file}' AS x"),
        &format!("VACUUM INTO '{file}'"),
        "VACUUM",
        "DETACH main",
        "SELECT load_extension('x')",
        "BEGIN",
        "COMMIT",
        "SAVEPOINT s",
        "CREATE TEMP TABLE x (a)",
        "CREATE TEMP VIEW x AS SELECT 1",
        "CREATE VIRTUAL TABLE x USING dbstat",
        "PRAGMA writable_schema = 1",
        "PRAGMA WRITABLE_SCHEMA",
        "PRAGMA journal_mode = delete",
        "PRAGMA temp_store_directory = '/'",
        "PRAGMA max_page_count = 1000000",
        "PRAGMA page_size = 512",
        "PRAGMA foreign_keys = off",
        "PRAGMA hard_heap_limit = 1",
        "PRAGMA cache_size = 1000000000",
        "PRAGMA mmap_size = 1000000000",
        "PRAGMA wal_checkpoint(truncate)",
        "SELECT * FROM pragma_compile_options",
        "UPDATE sqlite_schema SET sql = 'x'",
        "DELETE FROM sqlite_master",
        "SELECT 1; SELECT 2",
        "",
    ] {
        for result in [sql.execute(&statement(hostile)).map(drop), sql.query(&statement(hostile)).map(drop)] {
            assert!(matches!(result, Err(Error::SqlDenied(_) | Error::Sql(_))), "{hostile}: {result:?}");
        }
    }
    assert!(!outside.exists());
    for harmless in ["PRAGMA table_info(t)", "PRAGMA page_count", "SELECT json_extract('[1]', '$[0]')"] {
        sql.query(&statement(harmless)).unwrap();
    }
    sql.execute(&statement("CREATE VIRTUAL TABLE words USING fts5(text)")).unwrap();
    sql.execute(&statement("INSERT INTO words VALUES ('one sampan')")).unwrap();
    assert_eq!(sql.query(&statement("SELECT * FROM words('sampan')")).unwrap().rows.len(), 1);
}

const ENDLESS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

#[test]
fn a_statement_without_end_is_ended_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let time_max = Duration::from_millis(50);
    let sql = open(directory.path(), SqlLimits { time_max, ..SqlLimits::default() });
    assert!(matches!(sql.query(&statement(ENDLESS)), Err(Error::SqlTime(time)) if time == time_max));
    let batch =
        [statement("INSERT INTO t VALUES (1, 1)"), statement(&format!("INSERT INTO t (b) {ENDLESS}"))];
    assert!(matches!(sql.transaction(&batch), Err(Error::SqlTime(_))));
    assert_eq!(count(&sql), Value::Int(0));
}

#[test]
fn a_statement_can_be_cancelled() {
    let directory = tempfile::tempdir().unwrap();
    let sql =
        open(directory.path(), SqlLimits { time_max: Duration::from_secs(3_600), ..SqlLimits::default() });
    std::thread::scope(|scope| {
        // Whether it has begun or not.
        let running = scope.spawn(|| sql.query(&statement(ENDLESS)));
        sql.cancel();
        assert!(matches!(running.join().unwrap(), Err(Error::SqlCancelled)));
    });
    sql.resume();
    assert_eq!(count(&sql), Value::Int(0));
}

#[test]
fn a_reader_only_reads() {
    let directory = tempfile::tempdir().unwrap();
    let sql = open(directory.path(), SqlLimits::default());
    let reader = sql.reader().unwrap();
    let insert = statement("INSERT INTO t VALUES (1, 'x') RETURNING a");
    assert!(matches!(reader.query(&insert), Err(Error::SqlWrites)));
    assert!(matches!(reader.execute(&insert), Err(Error::SqlWrites)));
    assert!(matches!(reader.transaction(std::slice::from_ref(&insert)), Err(Error::SqlWrites)));
    for hostile in ["PRAGMA query_only = off", "PRAGMA wal_checkpoint"] {
        assert!(matches!(reader.query(&statement(hostile)), Err(Error::SqlDenied(_))), "{hostile}");
    }
    for of_writer in ["SELECT last_insert_rowid()", "SELECT changes()"] {
        assert!(matches!(reader.query(&statement(of_writer)), Err(Error::SqlWrites)), "{of_writer}");
    }
    assert_eq!(count(&reader), Value::Int(0));
    sql.query(&insert).unwrap();
    assert_eq!(count(&reader), Value::Int(1));
}

#[test]
fn a_transaction_is_not_seen_before_it_is_committed() {
    let directory = tempfile::tempdir().unwrap();
    let limits = SqlLimits { time_max: Duration::from_secs(3_600), ..SqlLimits::default() };
    let sql = open(directory.path(), limits);
    let reader = sql.reader().unwrap();
    let insert = statement("INSERT INTO t VALUES (1, 'x')");
    // The second statement reads what the first wrote, so that a reader meets a transaction that has written.
    let endless = statement(&format!("UPDATE t SET b = ({ENDLESS}) WHERE a = 1"));
    std::thread::scope(|scope| {
        let probe = SqlLimits { time_max: Duration::ZERO, ..SqlLimits::default() };
        let other = Sql::open(&directory.path().join("app.db"), probe).unwrap();
        let running = scope.spawn(|| sql.transaction(&[insert.clone(), endless]));
        // Others may write until it has begun.
        while !matches!(other.transaction(&[]), Err(Error::Busy)) {
            std::thread::yield_now();
        }
        for _ in 0..100 {
            assert_eq!(count(&reader), Value::Int(0));
        }
        sql.cancel();
        assert!(matches!(running.join().unwrap(), Err(Error::SqlCancelled)));
    });
    assert_eq!(count(&reader), Value::Int(0));
    sql.resume();
    sql.transaction(&[insert]).unwrap();
    assert_eq!(count(&reader), Value::Int(1));
}

#[test]
fn readers_do_not_make_the_log_grow_without_end() {
    let directory = tempfile::tempdir().unwrap();
    let limits = SqlLimits { time_max: Duration::from_secs(3_600), ..SqlLimits::default() };
    let sql = open(directory.path(), limits);
    let log = || std::fs::metadata(directory.path().join("app.db-wal")).unwrap().len();
    let longest = SQL_LOG_BYTES_MAX + (16 << 20);
    let write = statement("INSERT OR REPLACE INTO t VALUES (1, zeroblob(8000000))");
    let is_over = AtomicBool::new(false);
    let readers: Vec<_> = (0..2).map(|_| sql.reader().unwrap()).collect();
    std::thread::scope(|scope| {
        for reader in &readers {
            let is_over = &is_over;
            // Each reads for a while from what was there when it began; there is always one that does.
            let long = ENDLESS
                .replace("FROM n)", "FROM n LIMIT 100000)")
                .replace("count(*)", "count(*) + (SELECT count(*) FROM t)");
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    reader.query(&statement(&long)).unwrap();
                }
            });
        }
        let wrote: Vec<_> = (0..12).map(|_| sql.execute(&write).map(|_| log())).collect();
        is_over.store(true, Ordering::Relaxed);
        assert!(wrote.iter().all(|wrote| matches!(wrote, Ok(bytes) if *bytes <= longest)), "{wrote:?}");
    });
}

#[test]
fn results_values_and_the_file_have_their_limits() {
    let directory = tempfile::tempdir().unwrap();
    let limits = SqlLimits {
        bytes_max: 1 << 20,
        value_bytes_max: 100_000,
        rows_max: 10,
        result_bytes_max: 200_000,
        ..SqlLimits::default()
    };
    let sql = open(directory.path(), limits);
    let numbers = |n| {
        statement(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {n}) SELECT i FROM n"
        ))
    };
    assert_eq!(sql.query(&numbers(10)).unwrap().rows.len(), 10);
    assert!(matches!(sql.query(&numbers(11)), Err(Error::SqlResult { rows_max: 10, .. })));
    let wide = "SELECT zeroblob(90000), zeroblob(90000), zeroblob(90000)";
    assert!(matches!(sql.query(&statement(wide)), Err(Error::Sql(_) | Error::SqlResult { .. })));
    assert!(matches!(sql.query(&statement("SELECT zeroblob(100001)")), Err(Error::Sql(_))));
    let returning = "INSERT INTO t (b) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 11) \
                     SELECT i FROM n RETURNING b";
    assert!(matches!(sql.query(&statement(returning)), Err(Error::SqlResult { .. })));
    assert_eq!(count(&sql), Value::Int(0));

    let large = statement("INSERT INTO t (b) VALUES (zeroblob(90000))");
    let full = std::iter::repeat_with(|| sql.execute(&large)).take(20).find_map(Result::err).unwrap();
    assert!(matches!(full, Error::SqlFull { bytes_max: 1_048_576, .. }), "{full:?}");
    sql.execute(&statement("DELETE FROM t")).unwrap();
    sql.execute(&large).unwrap();
}

#[test]
fn what_is_no_database_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    std::fs::write(&path, "not a database, but long enough to be looked at".repeat(100)).unwrap();
    let before = std::fs::read(&path).unwrap();
    let Err(error) = Sql::open(&path, SqlLimits::default()) else { panic!("it was opened") };
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}
