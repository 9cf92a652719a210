//! The disk of the database is full for a while: it is reported everywhere, runs wait, and continue once there is
//! space.

use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::feed::Feed;
use crate::support::{Server, World, until};

/// A file system of its own in memory, as the data folder of a server. Unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    /// A disk of so many MiB. `None` for who may not mount one.
    ///
    /// # Panics
    /// Root cannot mount it either.
    fn mount(world: &World, mib: u32) -> Option<Self> {
        let folder = world.data();
        let size = format!("size={mib}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&folder).output();
        let mounted = mounted.expect("mount is missing");
        if mounted.status.success() {
            return Some(Self(folder));
        }
        let own = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap());
        assert_ne!(own, 0, "root cannot mount a tmpfs: {mounted:?}");
        eprintln!("not tested: only root mounts disks");
        None
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let written =
            Command::new("dd").args(["if=/dev/zero", "bs=4k"]).arg(format!("of={}", self.ballast().display())).output();
        assert!(String::from_utf8_lossy(&written.unwrap().stderr).contains("No space left"));
    }

    /// Has a file of so many MiB on it.
    fn load(&self, mib: usize) {
        std::fs::write(self.ballast(), vec![1; mib << 20]).unwrap();
    }

    fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a server may still be on its way out.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

async fn ready(server: &Server) -> (StatusCode, String) {
    let response = server.get("/readyz").await;
    (response.status(), response.text().await.unwrap())
}

async fn until_full(server: &Server) -> Value {
    until("the server says that the disk is full", async || {
        let (status, text) = ready(server).await;
        (status == StatusCode::SERVICE_UNAVAILABLE).then(|| serde_json::from_str(&text).unwrap())
    })
    .await
}

async fn until_ready(server: &Server) {
    until("the server is ready", async || (ready(server).await.0 == StatusCode::OK).then_some(())).await;
}

async fn page(server: &Server, path: &str) -> String {
    server.get(path).await.text().await.unwrap()
}

async fn refused(server: &Server, world: &World, pipeline: &str) -> Value {
    let params = json!({ "project": world.project() });
    let response = server.post("/api/v1/runs", json!({ "pipeline": pipeline, "params": params })).await;
    assert_eq!(response.status(), StatusCode::INSUFFICIENT_STORAGE);
    let problem: Value = response.json().await.unwrap();
    assert_eq!((&problem["code"], &problem["retryable"]), (&json!("disk_full"), &json!(true)));
    problem
}

fn is_reserved(data: &Path) -> bool {
    std::fs::metadata(data.join("runtrail.db.reserve")).is_ok_and(|file| file.len() >= 1 << 20)
}

#[tokio::test]
async fn full_disk_delays_a_run() {
    let world = World::new();
    world.fed().pipeline("short", &["echo here"]);
    let Some(disk) = Disk::mount(&world, 24) else { return };
    let server = world.serve_with(&["--lease", "1s"]);
    assert!(is_reserved(&world.data()));
    let mut feed = Feed::start(&world, &server).await;
    feed.print(b"before\n").await;
    server.until_line(&feed.id, "before").await;
    disk.fill();
    // Until the database's log has used the space it already has.
    let mut printed = 0;
    let problem = loop {
        feed.print(format!("line {printed} {}\n", "x".repeat(2000)).as_bytes()).await;
        printed += 1;
        let (status, text) = ready(&server).await;
        if status == StatusCode::SERVICE_UNAVAILABLE {
            break serde_json::from_str::<Value>(&text).unwrap();
        }
    };
    assert_eq!((&problem["code"], &problem["status"]), (&json!("disk_full"), &json!(503)), "{problem}");

    // It is reported everywhere, and nothing that was refused happens later.
    refused(&server, &world, "short").await;
    let id = feed.id.clone();
    for path in ["/".to_owned(), format!("/runs/{id}")] {
        let page = page(&server, &path).await;
        assert!(page.contains(r#"data-testid="outage""#) && page.contains("The disk is full"), "{path}: {page}");
    }
    let health = server.get_json("/api/v1/database/health").await;
    assert_eq!(health["outage"]["kind"], "disk_full");
    assert_eq!(server.run(&id).await["status"], "running");
    assert!(!is_reserved(&world.data()), "what was set aside is there to be used");

    disk.free();
    until_ready(&server).await;
    feed.print(b"after\n").await;
    server.until_line(&id, "after").await;
    drop(feed);
    server.until_status(&id, "completed").await;
    let lines = server.lines(&id).await;
    assert_eq!(lines.len(), printed + 2);
    assert!((0..printed).all(|number| lines[number + 1].starts_with(&format!("line {number} "))));
    assert!(is_reserved(&world.data()));
    assert!(!page(&server, "/").await.contains(r#"data-testid="outage""#));
    let short = server.start(&world, "short").await;
    server.until_status(&short, "completed").await;
    assert_eq!(
        server.get_json("/api/v1/runs").await["runs"].as_array().unwrap().len(),
        2,
        "what was refused is not there"
    );
}

#[tokio::test]
async fn full_disk_allows_cancelling() {
    let world = World::new();
    world.fed().pipeline("long", &["echo here; sleep 600"]);
    let Some(disk) = Disk::mount(&world, 24) else { return };
    let server = world.serve();
    let quiet = server.start(&world, "long").await;
    server.until_line(&quiet, "here").await;
    let mut feed = Feed::start(&world, &server).await;
    disk.fill();
    while ready(&server).await.0 == StatusCode::OK {
        feed.print(format!("{}\n", "x".repeat(4000)).as_bytes()).await;
    }
    // One whose output is held back, and one that prints nothing.
    for id in [&feed.id, &quiet] {
        let cancel = server.post(&format!("/api/v1/runs/{id}/cancel"), json!({})).await;
        assert_eq!(cancel.status(), StatusCode::ACCEPTED);
        server.until_status(id, "cancelled").await;
    }
}

#[tokio::test]
async fn full_disk_ends_the_run_that_filled_it() {
    let world = World::new();
    let flood = "i=0; while [ $i -lt 40000 ]; do printf '%01023d\\n' $i; i=$((i+1)); done";
    world.pipeline("flood", &[flood]).pipeline("short", &["echo here"]);
    let Some(disk) = Disk::mount(&world, 24) else { return };
    disk.load(8);
    // No run waits for long, so that the test need not.
    let server = world.serve_with(&["--disk-wait", "3s"]);
    let id = server.start(&world, "flood").await;
    until_full(&server).await;
    refused(&server, &world, "short").await;
    let run = server.until_status(&id, "failed").await;
    assert!(run["error"].as_str().unwrap().contains("disk is full"), "{run}");
    assert!(page(&server, &format!("/runs/{id}")).await.contains("the disk is full"));
    let lines = server.lines(&id).await;
    assert!(
        !lines.is_empty() && lines.iter().zip(0..).all(|(line, number)| line.parse() == Ok(number)),
        "in order, without a gap"
    );

    disk.free();
    until_ready(&server).await;
    let short = server.start(&world, "short").await;
    server.until_status(&short, "completed").await;
    assert_eq!(server.lines(&short).await, ["here"]);
}

#[tokio::test]
async fn phase_waits_for_a_free_descriptor() {
    let world = World::new();
    world.fed().pipeline("steps", &["echo one", "echo two", "echo three"]);
    let server = world.serve();
    let mut feed = Feed::start(&world, &server).await;
    feed.print(b"before\n").await;
    server.until_line(&feed.id, "before").await;
    // From now on it can open nothing beyond what it has, and a few connections.
    let Ok(files) = std::fs::read_dir(format!("/proc/{}/fd", server.pid())) else {
        println!("skipped: only root can look into the server");
        return;
    };
    let open: Vec<u64> = files.map(|file| file.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    let free = (0..).filter(|number| !open.contains(number)).nth(2).unwrap();
    let limit = |soft: u64| {
        let limits = format!("--nofile={soft}:");
        let done = Command::new("prlimit").args(["--pid", &server.pid().to_string(), &limits]).status().unwrap();
        assert!(done.success(), "prlimit sets the limit of a running program");
    };
    limit(free + 1);
    let id = server.start(&world, "steps").await;
    until("the run says that it waits", async || {
        let frames = server.frames(&id).await;
        frames.iter().any(|frame| frame["data"]["code"] == "system_shortage").then_some(())
    })
    .await;
    assert_eq!(server.run(&id).await["status"], "running");
    limit(1000);
    server.until_status(&id, "completed").await;
    assert_eq!(server.lines(&id).await, ["one", "two", "three"]);
    let first = feed.id.clone();
    drop(feed);
    server.until_status(&first, "completed").await;
}
