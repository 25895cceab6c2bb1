//! What a hostile statement may not do: decided by SQLite's authorizer while the statement is prepared.
//!
//! A statement reaches the one file of its database, and leaves nothing behind on the connection, which it shares with
//! others. `VACUUM` attaches a file under the hood and so falls with `ATTACH`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;

use crate::limits::{SQL_COLUMNS_MAX, SQL_PARAMETERS_MAX, SQL_STATEMENT_BYTES_MAX};
use crate::sql::SqlLimits;

/// Pragmas that only tell, whatever they are asked.
const PRAGMAS: [&str; 14] = [
    "collation_list",
    "data_version",
    "foreign_key_check",
    "foreign_key_list",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
    "user_version",
];

/// Pragmas that tell when they are asked nothing, and set something else.
const PRAGMAS_TO_READ: [&str; 6] =
    ["application_id", "encoding", "foreign_keys", "freelist_count", "page_count", "page_size"];

/// Virtual tables that keep what they hold in tables of the same file.
const MODULES: [&str; 2] = ["fts5", "rtree"];

/// Functions that reach outside the database.
const FUNCTIONS_DENIED: [&str; 2] = ["load_extension", "fts3_tokenizer"];

/// Functions that tell what was written on the connection: only the writer's knows.
const FUNCTIONS_OF_WRITERS: [&str; 3] = ["changes", "last_insert_rowid", "total_changes"];

/// Puts the guard before a connection. While `ours` is true, transactions may begin and end, and the log be shortened.
pub(super) fn put(
    connection: &mut Connection,
    limits: &SqlLimits,
    is_reader: bool,
    ours: Arc<AtomicBool>,
) -> rusqlite::Result<()> {
    for (config, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false),
    ] {
        connection.set_db_config(config, on)?;
    }
    for (limit, max) in [
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
        (Limit::SQLITE_LIMIT_LENGTH, limits.value_bytes_max),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, SQL_STATEMENT_BYTES_MAX),
        (Limit::SQLITE_LIMIT_COLUMN, SQL_COLUMNS_MAX),
        (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, SQL_PARAMETERS_MAX),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 100),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 100),
        (Limit::SQLITE_LIMIT_VDBE_OP, 250_000),
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 32),
    ] {
        connection.set_limit(limit, i32::try_from(max).unwrap_or(i32::MAX))?;
    }
    connection.authorizer(Some(move |context: AuthContext<'_>| {
        if allowed(&context.action, is_reader, ours.load(Ordering::Relaxed)) {
            Authorization::Allow
        } else {
            Authorization::Deny
        }
    }))
}

fn allowed(action: &AuthAction<'_>, is_reader: bool, ours: bool) -> bool {
    match action {
        AuthAction::Pragma { pragma_name, pragma_value } => {
            let name = pragma_name.to_ascii_lowercase();
            (ours && name == "wal_checkpoint")
                || PRAGMAS.contains(&name.as_str())
                || (PRAGMAS_TO_READ.contains(&name.as_str()) && pragma_value.is_none())
        }
        AuthAction::Function { function_name } => {
            let is_one_of =
                |names: &[&str]| names.iter().any(|name| function_name.eq_ignore_ascii_case(name));
            !(is_one_of(&FUNCTIONS_DENIED) || is_reader && is_one_of(&FUNCTIONS_OF_WRITERS))
        }
        AuthAction::CreateVtable { module_name, .. } | AuthAction::DropVtable { module_name, .. } => {
            MODULES.iter().any(|module| module_name.eq_ignore_ascii_case(module))
        }
        AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } => ours,
        AuthAction::CreateIndex { .. }
        | AuthAction::CreateTable { .. }
        | AuthAction::CreateTrigger { .. }
        | AuthAction::CreateView { .. }
        | AuthAction::Delete { .. }
        | AuthAction::DropIndex { .. }
        | AuthAction::DropTable { .. }
        | AuthAction::DropTrigger { .. }
        | AuthAction::DropView { .. }
        | AuthAction::Insert { .. }
        | AuthAction::Read { .. }
        | AuthAction::Select
        | AuthAction::Update { .. }
        | AuthAction::AlterTable { .. }
        | AuthAction::Reindex { .. }
        | AuthAction::Analyze { .. }
        | AuthAction::Recursive => true,
        // Attaching, temporary tables (which others on the connection would see), and what SQLite may yet think of.
        _ => false,
    }
}
