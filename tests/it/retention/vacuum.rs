//! `runtrail vacuum`.

use super::*;

/// What a killed server has not purged is removed as well.
#[tokio::test]
async fn vacuum_finishes_interrupted_purges() {
    const FRAMES: u64 = 100_000;
    let world = World::new();
    world.toml("p", &toml("p", ""));
    let server = world.serve();
    let stays = completed(&server, "p").await;
    let before = server.frames(&stays).await;
    assert_eq!(server.terminate().await, Some(0));
    let id = add_large_run(&world, FRAMES);
    let scratch = world.data().join("scratch").join(&id);
    std::fs::create_dir_all(&scratch).unwrap();
    let server = world.serve();
    assert_eq!(delete(&server, &id).await, StatusCode::NO_CONTENT);
    server.kill();
    let left = count(&look(&world), "frames");
    assert!(left > before.len() as i64, "it was killed in the middle");

    let data = world.data();
    let (code, text) = said(&vacuum(&["--data-dir", data.to_str().unwrap()]));
    assert_eq!(code, Some(0), "{text}");
    let look = look(&world);
    assert_eq!(count(&look, "frames"), before.len() as i64);
    assert_eq!(count(&look, "attempts WHERE run <> (SELECT min(key) FROM runs)"), 0);
    assert_eq!(count(&look, "pragma_freelist_count WHERE freelist_count > 0"), 0);
    let size = std::fs::metadata(data.join("runtrail.db")).unwrap().len();
    assert!(size < 1 << 20, "{size} bytes");
    is_sound(&look);
    // Folders are the server's, and its row is the note of them.
    assert!(scratch.exists() && count(&look, "runs") == 2);
    let server = world.serve();
    until("the rest of it goes", async || (count(&look, "runs") == 1).then_some(())).await;
    assert!(!scratch.exists());
    assert_eq!(server.frames(&stays).await, before);
}

fn vacuum(flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_runtrail")).arg("vacuum").args(flags).output().unwrap()
}

fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned())
}

#[tokio::test]
async fn vacuum_shrinks_an_unused_database() {
    let world = World::new();
    world.toml("p", &toml("p", ""));
    let server = world.serve();
    let id = completed(&server, "p").await;
    let frames = server.frames(&id).await;
    let size = server.get_json("/api/v1/database").await;
    assert_eq!(size["runs"], 1);
    assert!(size["bytes"].as_u64().unwrap() > 0 && size["wal_bytes"].is_u64() && size["free_bytes"].is_u64());
    let metrics = server.get("/metrics").await.text().await.unwrap();
    for gauge in ["runtrail_database_bytes", "runtrail_database_free_bytes", "runtrail_database_wal_bytes"] {
        assert!(metrics.contains(&format!("\n{gauge} ")), "{gauge}");
    }
    let data = world.data();
    let here = ["--data-dir", data.to_str().unwrap()];
    let url = format!("sqlite://{}", data.join("runtrail.db").display());
    let by_url = ["--database-url", &url];
    for flags in [here, by_url] {
        let (code, text) = said(&vacuum(&flags));
        assert_eq!(code, Some(1));
        assert!(text.contains("a server uses this database; stop it first"), "{text}");
    }
    assert_eq!(server.terminate().await, Some(0));

    // As a version without retention has left it: it gives nothing back by itself.
    let file = data.join("runtrail.db");
    let old = Connection::open(&file).unwrap();
    old.execute_batch("PRAGMA auto_vacuum = NONE; VACUUM; CREATE TABLE much AS SELECT printf('%.*c', 5000000, 'x') AS x; DROP TABLE much")
        .unwrap();
    drop(old);
    let before = std::fs::metadata(&file).unwrap().len();
    let (code, text) = said(&vacuum(&here));
    assert_eq!(code, Some(0), "{text}");
    let after = std::fs::metadata(&file).unwrap().len();
    assert!(after + 5_000_000 <= before, "{before} {after}");
    assert!(text.contains(&format!("{after} bytes now")), "{text}");
    let opened = Connection::open(&file).unwrap();
    assert_eq!(opened.query_row("PRAGMA auto_vacuum", [], |row| row.get::<_, i64>(0)).unwrap(), 2);
    is_sound(&opened);
    drop(opened);
    assert_eq!(said(&vacuum(&by_url)).0, Some(0), "it may be done again");

    let reader = Connection::open(&file).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM runs").unwrap();
    let (code, text) = said(&vacuum(&here));
    assert!(code == Some(1) && text.contains("another program has this database open"), "{text}");
    drop(reader);

    let server = world.serve();
    assert_eq!(server.frames(&id).await, frames);
}

#[test]
fn vacuum_touches_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let url = |name: &str| format!("sqlite://{}", file(name).display());
    std::fs::write(file("text"), "no database at all, but long enough to be looked at as one".repeat(100)).unwrap();
    Connection::open(file("other")).unwrap().execute_batch("CREATE TABLE x (y)").unwrap();
    for (name, sentence) in
        [("text", "is no database of runs"), ("other", "is no database of runs"), ("absent", "there is no database")]
    {
        let before = std::fs::read(file(name)).ok();
        let (code, text) = said(&vacuum(&["--database-url", &url(name)]));
        assert_eq!(code, Some(1), "{name}: {text}");
        assert!(text.contains(sentence), "{name}: {text}");
        assert_eq!(std::fs::read(file(name)).ok(), before, "{name}");
    }
    assert_eq!(said(&vacuum(&["--data-dir", file("nowhere").to_str().unwrap()])).0, Some(1));
    assert!(!Path::new(&file("nowhere")).exists(), "nothing is made");
    assert_eq!(said(&vacuum(&["--database-url", "postgres://u:secret@h/d"])).0, Some(1));
    assert_eq!(said(&vacuum(&["--nonsense"])).0, Some(2));
}
