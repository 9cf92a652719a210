//! One server a database, whatever name it is reached by and whatever became of the files beside it; and `runtrail
//! vacuum` only while there is none.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use crate::support::{LIMIT, Server, World, until};

fn database(world: &World) -> PathBuf {
    world.data().join("runtrail.db")
}

fn url(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}

/// The output and exit code of a program that ends by itself. One that serves is ended.
async fn said(flags: &[&str]) -> (Option<i32>, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_runtrail"));
    let ended = program.args(flags).kill_on_drop(true).output();
    let output = tokio::time::timeout(LIMIT, ended).await.unwrap_or_else(|_| panic!("it goes on: {flags:?}")).unwrap();
    (output.status.code(), String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned())
}

/// Neither a server, with a data folder of its own, nor `vacuum` takes the database that any of these names leads to.
async fn refused(world: &World, names: &[PathBuf]) {
    let refused = async |name: &Path, own: PathBuf| {
        let (own, url) = (own.to_str().unwrap(), url(name));
        let serve = ["serve", "--addr", "127.0.0.1:0", "--data-dir", own, "--database-url", &url];
        let vacuum = ["vacuum", "--database-url", &url];
        for (flags, sentence) in [
            (&serve[..], "another server uses this database; stop that one, or give this one another --data-dir"),
            (&vacuum[..], "a server uses this database; stop it first"),
        ] {
            let (code, text) = said(flags).await;
            assert_eq!(code, Some(1), "{flags:?}: {text}");
            assert!(text.contains(sentence), "{flags:?}: {text}");
        }
    };
    let all = names.iter().enumerate().map(|(number, name)| refused(name, world.file(&format!("own{number}"))));
    futures::future::join_all(all).await;
}

/// The first server works, and its data is intact.
async fn goes_on(server: &Server, world: &World) {
    let id = server.start(world, "short").await;
    server.until_status(&id, "completed").await;
    let look = rusqlite::Connection::open(database(world)).unwrap();
    let checked: String = look.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(checked, "ok");
}

#[tokio::test]
async fn lock_holds_for_every_name_of_the_database() {
    let world = World::new();
    world.pipeline("short", &["echo here"]);
    let server = world.serve();
    let name = |name: &str| world.file(name);
    std::os::unix::fs::symlink(database(&world), name("symbolic.db")).unwrap();
    std::os::unix::fs::symlink(name("symbolic.db"), name("twice.db")).unwrap();
    std::os::unix::fs::symlink(world.data(), name("folder")).unwrap();
    std::fs::hard_link(database(&world), name("hard.db")).unwrap();
    refused(&world, &["symbolic.db", "twice.db", "folder/runtrail.db", "hard.db"].map(name)).await;
    assert!(!name("hard.db-wal").exists(), "SQLite has not begun a second log");
    goes_on(&server, &world).await;

    // And so by the link first, and the file then.
    server.kill();
    let own = name("own");
    let by_link = world.serve_on(&own, &["--database-url", &url(&name("twice.db"))]);
    refused(&world, &[database(&world), name("hard.db")]).await;
    by_link.kill();
    goes_on(&world.serve(), &world).await;
}

#[tokio::test]
async fn lock_holds_without_its_lock_file() {
    let world = World::new();
    world.pipeline("short", &["echo here"]);
    let server = world.serve();
    std::fs::remove_file(world.data().join("runtrail.db.lock")).unwrap();
    refused(&world, &[database(&world)]).await;
    // The same for the files beside the database.
    std::fs::remove_file(world.data().join("server.lock")).unwrap();
    let (data, other) = (world.data(), url(&world.file("other.db")));
    let data = data.to_str().unwrap();
    let (code, text) = said(&["serve", "--addr", "127.0.0.1:0", "--data-dir", data, "--database-url", &other]).await;
    assert!(code == Some(1) && text.contains("another server uses it"), "{text}");
    goes_on(&server, &world).await;
}

/// A server that was killed may have a child for a moment that has not yet become another program, and still holds its
/// locks.
#[tokio::test]
async fn lock_being_released_is_awaited() {
    let world = World::new();
    world.serve().kill();
    for held in ["runtrail.db.lock", "runtrail.db", "server.lock"] {
        let file = File::open(world.data().join(held)).unwrap();
        file.lock().unwrap();
        let freed = tokio::task::spawn_blocking(move || {
            std::thread::sleep(Duration::from_millis(700));
            drop(file);
        });
        world.serve().kill();
        freed.await.unwrap();
    }
}

/// Closing any descriptor of a file releases the process's SQLite locks on it, so the server never closes one.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn lock_of_sqlite_is_kept() {
    let world = World::new();
    world.pipeline("short", &["echo here"]);
    let server = world.serve();
    goes_on(&server, &world).await;
    let (pid, inode) = (server.pid().to_string(), std::fs::metadata(database(&world)).unwrap().ino());
    let held = |kind: &str| {
        // 1: POSIX  ADVISORY  READ  2911 fd:00:1050 1073741826 1073742335
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        locks.lines().any(|lock| {
            let words: Vec<_> = lock.split_whitespace().collect();
            words[1] == kind && words[4] == pid && words[5].ends_with(&format!(":{inode}"))
        })
    };
    until("SQLite's lock is seen", async || held("POSIX").then_some(())).await;
    assert!(held("FLOCK"), "and the server's own");
}
