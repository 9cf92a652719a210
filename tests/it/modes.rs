//! File modes of what the server writes, whatever umask it was started with.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::World;

/// Every file and folder of the server's, with its permissions.
fn modes(folder: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = vec![(folder.to_owned(), folder.symlink_metadata().unwrap().mode() & 0o777)];
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(modes(&entry.path())),
            false => found.push((entry.path(), entry.metadata().unwrap().mode() & 0o777)),
        }
    }
    found
}

#[tokio::test]
async fn file_modes_are_private_and_umask_is_kept() {
    for umask in ["022", "000"] {
        let world = World::new();
        world.pipeline("made", &["umask; touch made; sleep 0"]);
        world.toml("scratch", "name = \"scratch\"\n[[phases]]\nname = \"a\"\nrun = \"mkdir -p here\"\n");
        let data = world.data().join("new");
        let server = world.serve_with_umask(umask, &data);
        let id = server.start(&world, "made").await;
        server.until_status(&id, "completed").await;
        assert_eq!(server.lines(&id).await, [format!("0{umask}")]);
        let expected = 0o666 & !u32::from_str_radix(umask, 8).unwrap();
        assert_eq!(world.file("made").metadata().unwrap().mode() & 0o777, expected);
        let started = server.post("/api/v1/runs", json!({ "pipeline": "scratch" })).await;
        let scratch = started.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
        server.until_status(&scratch, "completed").await;
        let open: Vec<_> = modes(&data)
            .into_iter()
            // What commands create belongs to them, in a private folder.
            .filter(|(path, mode)| mode & 0o077 != 0 && !path.ends_with("here"))
            .collect();
        assert!(open.is_empty(), "umask {umask}: {open:#?}");
        assert!(data.join("runtrail.db-wal").exists() && data.join("scratch").join(&scratch).exists());
    }
}
