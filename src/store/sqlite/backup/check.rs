//! Whether a database is whole, and one that this version can use.

use rusqlite::{Connection, ErrorCode, OptionalExtension};

use crate::store::sqlite::MIGRATIONS;

/// What a checked database holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatabaseContents {
    /// Runs that are not deleted.
    pub runs: u64,
    pub frames: u64,
}

/// What is wrong with a database.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    #[error("it is no database of runs")]
    NotOurs,
    #[error(
        "it was written by a newer version (schema {found}, and this version knows up to {known}); use that version or a later one"
    )]
    Newer { found: i64, known: i64 },
    #[error("it is damaged ({0})")]
    Damaged(String),
    #[error("the journal of run {0} is incomplete")]
    Journal(String),
    #[error("it cannot be read: {0}")]
    Read(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for Flaw {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotOurs,
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged(error.to_string()),
            _ => Self::Read(error),
        }
    }
}

/// Whether these are the tables of this program.
pub fn is_ours(database: &Connection) -> rusqlite::Result<bool> {
    let found = database.query_row(
        "SELECT count(*) = 3 FROM sqlite_schema
         WHERE type = 'table' AND name IN ('runs', 'frames', '_sqlx_migrations')",
        [],
        |row| row.get(0),
    );
    match found {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => Ok(false),
        found => found,
    }
}

/// Reads the whole database. Every page and index is sound, every reference leads somewhere, and every run has the
/// frames 1 to its head.
///
/// # Errors
/// [`Flaw`].
pub fn check(database: &Connection) -> Result<DatabaseContents, Flaw> {
    if !is_ours(database)? {
        return Err(Flaw::NotOurs);
    }
    check_schema(database)?;
    let integrity: String = database.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if integrity != "ok" {
        return Err(Flaw::Damaged(integrity));
    }
    let dangling: Option<String> =
        database.query_row("SELECT \"table\" FROM pragma_foreign_key_check", [], |row| row.get(0)).optional()?;
    if let Some(table) = dangling {
        return Err(Flaw::Damaged(format!("a row of {table} refers to nothing")));
    }
    check_journals(database)?;
    let count = |what: &str| -> rusqlite::Result<u64> {
        database
            .query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get::<_, i64>(0))
            .map(i64::unsigned_abs)
    };
    let runs = if marks_deleted(database)? { "runs WHERE deleted_at IS NULL" } else { "runs" };
    Ok(DatabaseContents { runs: count(runs)?, frames: count("frames")? })
}

fn check_schema(database: &Connection) -> Result<(), Flaw> {
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default();
    let found: i64 =
        database.query_row("SELECT ifnull(max(version), 0) FROM _sqlx_migrations", [], |row| row.get(0))?;
    if found > known { Err(Flaw::Newer { found, known }) } else { Ok(()) }
}

fn check_journals(database: &Connection) -> Result<(), Flaw> {
    // A deleted run's frames are removed in steps.
    let kept = if marks_deleted(database)? { "r.deleted_at IS NULL" } else { "true" };
    let incomplete = format!(
        "SELECT r.id FROM runs AS r
         LEFT JOIN (SELECT run, count(*) AS number, min(seq) AS first, max(seq) AS last FROM frames GROUP BY run) AS f
             ON f.run = r.key
         WHERE {kept}
             AND (r.head <> ifnull(f.number, 0) OR r.head <> ifnull(f.last, 0) OR ifnull(f.first, 1) <> 1)
         LIMIT 1"
    );
    match database.query_row(&incomplete, [], |row| row.get(0)).optional()? {
        Some(run) => Err(Flaw::Journal(run)),
        None => Ok(()),
    }
}

/// Whether the database is of a version that deletes runs.
fn marks_deleted(database: &Connection) -> rusqlite::Result<bool> {
    database
        .query_row("SELECT count(*) > 0 FROM pragma_table_info('runs') WHERE name = 'deleted_at'", [], |row| row.get(0))
}
