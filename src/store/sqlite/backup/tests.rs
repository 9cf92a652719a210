//! Backups of real files, and what each damage of them leads to.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::model::Status;
use crate::store::sqlite::fixtures;
use crate::store::{Durability, Store};

/// A folder with a database of two runs, the first with three frames.
async fn database() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("runtrail.db");
    drop(Store::open_sqlite(&file, Durability::Normal).await.unwrap());
    add_runs(&Connection::open(&file).unwrap());
    (folder, file)
}

fn add_runs(db: &Connection) {
    let run = fixtures::run(db, "p", Status::Completed, 1);
    fixtures::run(db, "p", Status::Pending, 0);
    for seq in 1..=3 {
        db.execute(
            "INSERT INTO frames (run, seq, ts, attempt, kind, data) VALUES (?1, ?2, 0, 1, 'log', '{}')",
            [run, seq],
        )
        .unwrap();
    }
    db.execute("UPDATE runs SET head = 3 WHERE key = ?1", [run]).unwrap();
}

fn token() -> Vec<Attachment> {
    vec![Attachment { name: "token".to_owned(), contents: b"the token of the server".to_vec() }]
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// SQLite's default.
const PAGE_BYTES: usize = 4096;

const CONTENTS: DatabaseContents = DatabaseContents { runs: 2, frames: 3 };

/// Also what only the log has yet; and nothing that was deleted.
#[tokio::test]
async fn backup_is_whole_and_private() {
    let (folder, file) = database().await;
    let store = Store::open_sqlite(&file, Durability::Normal).await.unwrap();
    let beside = Connection::open(&file).unwrap();
    beside
        .execute(
            "INSERT INTO idempotency_keys (key, digest, run, created_at) VALUES (?1, x'00', 1, 0)",
            ["a forgotten word"],
        )
        .unwrap();
    beside.execute("DELETE FROM idempotency_keys", []).unwrap();
    beside.execute("UPDATE runs SET pipeline = 'only in the log' WHERE key = 2", []).unwrap();
    let target = folder.path().join("copy");
    assert_eq!(backup(&file, &target, &token(), false).unwrap(), CONTENTS);
    assert_eq!(target.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let copy = Connection::open_with_flags(&target, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let one = |query: &str| copy.query_row(query, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(one("SELECT pipeline FROM runs WHERE key = 2"), "only in the log");
    assert_eq!(
        one("SELECT CAST(auto_vacuum AS TEXT) FROM pragma_auto_vacuum"),
        "2",
        "it returns space as the original does"
    );
    assert_eq!(one("SELECT CAST(data AS TEXT) FROM sqlar WHERE name = 'token'"), "the token of the server");
    let bytes = std::fs::read(&target).unwrap();
    assert!(!bytes.windows(16).any(|part| part == b"a forgotten word"));
    drop(store);
}

#[tokio::test]
async fn backup_replaces_no_file_unless_told() {
    let (folder, file) = database().await;
    let target = folder.path().join("copy");
    std::fs::write(&target, "mine").unwrap();
    assert!(matches!(backup(&file, &target, &[], false), Err(BackupError::Exists(_))));
    assert_eq!(std::fs::read(&target).unwrap(), b"mine");
    assert_eq!(backup(&file, &target, &[], true).unwrap(), CONTENTS);
    let before = std::fs::read(&file).unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for own in ["runtrail.db", "runtrail.db-wal", "runtrail.db-shm", "runtrail.db.lock", "link"] {
        let refused = backup(&file, &folder.path().join(own), &[], true);
        assert!(matches!(refused, Err(BackupError::OwnFile(_))), "{own}");
    }
    assert!(matches!(backup(&file, folder.path(), &[], true), Err(BackupError::File { .. })));
    assert!(matches!(backup(&folder.path().join("none"), &target, &[], true), Err(BackupError::NoDatabase(_))));
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

/// A database that is not whole has no backup, and leaves no file.
#[tokio::test]
async fn backup_of_a_damaged_database_is_refused() {
    for (damage, word) in [
        ("DROP TRIGGER frames_stay_whole; DELETE FROM frames WHERE seq = 2", "the journal of run"),
        ("DROP TRIGGER frames_stay_whole; DELETE FROM frames WHERE seq = 3", "the journal of run"),
        ("UPDATE runs SET head = 1 WHERE key = 2", "the journal of run"),
        (
            "PRAGMA foreign_keys = OFF; INSERT INTO idempotency_keys (key, digest, run, created_at) VALUES ('k', x'00', 99, 0)",
            "refers to nothing",
        ),
        ("DROP TABLE frames", "no database of runs"),
    ] {
        let (folder, file) = database().await;
        Connection::open(&file).unwrap().execute_batch(damage).unwrap();
        let target = folder.path().join("copy");
        let error = backup(&file, &target, &[], false).unwrap_err().to_string();
        assert!(error.contains(word), "{damage}: {error}");
        assert_eq!(names(folder.path()).iter().filter(|name| name.contains("copy")).count(), 0, "{damage}");
    }
}

/// Anything but a backup that this version can use is refused, and then the database is as it was.
#[tokio::test]
async fn restore_refuses_what_is_no_backup() {
    let (folder, file) = database().await;
    let good = folder.path().join("good");
    backup(&file, &good, &token(), false).unwrap();
    let bytes = std::fs::read(&good).unwrap();
    let bad = folder.path().join("bad");
    let changed = |statement: &str| {
        std::fs::write(&bad, &bytes).unwrap();
        Connection::open(&bad).unwrap().execute_batch(statement).unwrap();
        std::fs::read(&bad).unwrap()
    };
    // A page in the middle: all are in use.
    let mut flipped = bytes.clone();
    let page = bytes.len() / PAGE_BYTES / 2 * PAGE_BYTES;
    flipped[page..page + PAGE_BYTES].iter_mut().for_each(|byte| *byte = !*byte);
    let newer = changed(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', 1, x'00', 0)",
    );
    let cases = [
        ("newer", newer, "newer version (schema 9999"),
        ("flipped", flipped, "damaged"),
        ("cut", bytes[..bytes.len() / 2].to_vec(), "damaged"),
        ("text", b"not a database at all".repeat(100), "no database of runs"),
        ("empty", Vec::new(), "no database of runs"),
        ("frame", changed("DROP TRIGGER frames_stay_whole; DELETE FROM frames WHERE seq = 1"), "the journal of run"),
    ];
    let before = std::fs::read(&file).unwrap();
    for (case, contents, word) in cases {
        std::fs::write(&bad, contents).unwrap();
        let error = restore(&bad, &file, true).expect_err(case).to_string();
        assert!(error.contains(word), "{case}: {error}");
        assert_eq!(std::fs::read(&file).unwrap(), before, "{case}");
        let new = folder.path().join("new.db");
        assert!(restore(&bad, &new, false).is_err() && !new.exists(), "{case}");
    }
    assert!(matches!(restore(&file, &file, true), Err(RestoreError::OwnFile(_))));
    assert!(matches!(restore(&folder.path().join("none"), &file, true), Err(RestoreError::NoBackup(_))));
    assert!(!names(folder.path()).iter().any(|name| name.ends_with(".partial")), "{:?}", names(folder.path()));
}

/// The log of the earlier database is not applied to the new one, and what it held is kept.
#[tokio::test]
async fn restore_keeps_the_replaced_database() {
    let (folder, file) = database().await;
    let saved = folder.path().join("saved");
    backup(&file, &saved, &token(), false).unwrap();
    let earlier = Connection::open(&file).unwrap();
    earlier.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    earlier.execute("UPDATE runs SET pipeline = 'only in the log' WHERE key = 2", []).unwrap();
    drop(earlier);
    assert!(publish::beside(&file, "-wal").metadata().unwrap().len() > 0);

    assert!(matches!(restore(&saved, &file, false), Err(RestoreError::Exists(_))));
    let restored = restore(&saved, &file, true).unwrap();
    assert_eq!((restored.contents, &restored.attachments), (CONTENTS, &token()));
    let replaced = restored.replaced.unwrap();
    let pipeline = |file: &Path| {
        let db = Connection::open(file).unwrap();
        db.query_row("SELECT pipeline FROM runs WHERE key = 2", [], |row| row.get::<_, String>(0)).unwrap()
    };
    assert_eq!((pipeline(&file).as_str(), pipeline(&replaced).as_str()), ("p", "only in the log"));
    let bytes = std::fs::read(&file).unwrap();
    assert!(!bytes.windows(23).any(|part| part == b"the token of the server"), "the token is in its own file only");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    // A second time, and with a database that cannot be opened.
    std::fs::write(&file, "damaged".repeat(1000)).unwrap();
    std::fs::write(publish::beside(&file, "-wal"), "its log").unwrap();
    let replaced = restore(&saved, &file, true).unwrap().replaced.unwrap();
    assert_eq!(std::fs::read(&replaced).unwrap(), b"damaged".repeat(1000));
    assert_eq!(std::fs::read(publish::beside(&replaced, "-wal")).unwrap(), b"its log");
    assert_eq!(pipeline(&file), "p");
}

#[tokio::test]
async fn restore_refuses_a_database_in_use() {
    let (folder, file) = database().await;
    let saved = folder.path().join("saved");
    backup(&file, &saved, &[], false).unwrap();
    let store = Store::open_sqlite(&file, Durability::Normal).await.unwrap();
    assert!(matches!(restore(&saved, &file, true), Err(RestoreError::InUse(_))));
    drop(store);
    let (_other, file) = database().await;
    let reader = Connection::open(&file).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM runs; UPDATE runs SET phase = 'x' WHERE key = 2").unwrap();
    assert!(matches!(restore(&saved, &file, true), Err(RestoreError::Busy(_))));
    drop(reader);
    assert_eq!(restore(&saved, &file, true).unwrap().contents, CONTENTS);
}
