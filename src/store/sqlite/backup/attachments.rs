//! Small files in a backup, in the table of SQLite's archives: `sqlite3 FILE -A --list` shows them.

use rusqlite::{Connection, params};

/// The format of sqlite.org/sqlar.html, with contents that are not compressed.
const CREATE_TABLE: &str = "CREATE TABLE sqlar (name TEXT PRIMARY KEY, mode INT, mtime INT, sz INT, data BLOB)";

/// A regular file that only its owner can read.
const MODE: u32 = 0o100_600;

/// A small file of the data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    pub name: String,
    pub contents: Vec<u8>,
}

/// Adds the files to a backup that has none.
pub fn write(backup: &Connection, files: &[Attachment]) -> rusqlite::Result<()> {
    backup.execute_batch(CREATE_TABLE)?;
    for Attachment { name, contents } in files {
        backup.execute(
            "INSERT INTO sqlar (name, mode, mtime, sz, data) VALUES (?1, ?2, unixepoch(), length(?3), ?3)",
            params![name, MODE, contents],
        )?;
    }
    Ok(())
}

/// Removes the files from a copy of a backup, and every trace of them. Returns them.
pub fn take(backup: &Connection) -> rusqlite::Result<Vec<Attachment>> {
    let has_any: bool =
        backup.query_row("SELECT count(*) > 0 FROM sqlite_schema WHERE name = 'sqlar'", [], |row| row.get(0))?;
    if !has_any {
        return Ok(Vec::new());
    }
    let files = backup
        .prepare("SELECT name, data FROM sqlar ORDER BY name")?
        .query_map([], |row| Ok(Attachment { name: row.get(0)?, contents: row.get(1)? }))?
        .collect::<Result<_, _>>()?;
    backup.pragma_update(None, "secure_delete", "ON")?;
    backup.execute_batch("DROP TABLE sqlar")?;
    Ok(files)
}
