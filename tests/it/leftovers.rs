//! What commands leave in their workspaces is data: it gives no orders, blocks nothing and is removed.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Server, World, until, within};

/// Files that Runtrail itself has written to workspaces, now and in earlier versions.
const NAMES: &str = "repository.json checkout.json files.json patches.json attempt.json approval.json HEAD";

async fn healthy(server: &Server) {
    within(Duration::from_secs(10), "the server answers", async || {
        let asked = std::time::Instant::now();
        assert_eq!(server.get("/healthz").await.status(), 200);
        asked.elapsed()
    })
    .await;
}

fn outside(world: &World) -> PathBuf {
    let folder = world.data().with_file_name("outside");
    std::fs::create_dir_all(folder.join("deep")).unwrap();
    std::fs::write(folder.join("deep/file"), "mine").unwrap();
    folder
}

fn is_whole(outside: &Path) -> bool {
    std::fs::read(outside.join("deep/file")).is_ok_and(|text| text == b"mine")
        && std::fs::read_dir(outside).unwrap().count() == 1
}

#[tokio::test]
async fn workspace_pipes_block_nothing() {
    let world = World::new();
    world.pipeline("pipes", &[&format!("cd $RUNTRAIL_WORKSPACE && mkfifo {NAMES} && echo made")]);
    let server = world.serve_with(&["--workers", "8"]);
    let mut ids = Vec::new();
    let cores = std::thread::available_parallelism().unwrap().get();
    for _ in 0..2 * cores {
        ids.push(server.start(&world, "pipes").await);
    }
    for id in &ids {
        server.until_status(id, "completed").await;
        healthy(&server).await;
    }
    assert!(world.workspaces().is_empty());
    assert_eq!(server.terminate().await, Some(0));
    // As a server that was killed has left them.
    let outside = outside(&world);
    for run in 0..2 * cores {
        for folder in ["workspaces", "attempts"] {
            let folder = world.data().join(folder).join(format!("run-{run}"));
            std::fs::create_dir(&folder).unwrap();
            for name in NAMES.split(' ') {
                nix::unistd::mkfifo(&folder.join(name), nix::sys::stat::Mode::S_IRWXU).unwrap();
            }
            symlink(&outside, folder.join("link")).unwrap();
        }
    }
    nix::unistd::mkfifo(&world.data().join("workspaces/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    symlink(&outside, world.data().join("workspaces/link")).unwrap();
    let server = world.serve();
    healthy(&server).await;
    until("all is swept", async || world.workspaces().is_empty().then_some(())).await;
    assert_eq!(std::fs::read_dir(world.data().join("attempts")).unwrap().count(), 0);
    assert!(is_whole(&outside));
    assert_eq!(server.terminate().await, Some(0));
}

#[tokio::test]
async fn workspace_files_are_not_trusted() {
    let world = World::new();
    let outside = outside(&world);
    let order = json!({
        "repository": { "top": "/", "prefix": "", "head": "x", "branch": null, "git_dir": outside, "common_dir": outside },
        "worktree": outside, "folder": outside,
    });
    // The second is a file of the pipeline's own.
    let write = |text: &str| {
        format!("for name in {NAMES}; do printf %s '{text}' > $RUNTRAIL_WORKSPACE/$name; done; ls $RUNTRAIL_WORKSPACE")
    };
    world.pipeline("orders", &[&write(&order.to_string())]).pipeline("own", &[&write("{\"name\": 1}")]);
    let server = world.serve();
    for pipeline in ["orders", "own"] {
        let id = server.start(&world, pipeline).await;
        server.until_status(&id, "completed").await;
        assert!(world.workspaces().is_empty(), "{pipeline}");
        assert!(is_whole(&outside), "{pipeline}");
    }
}

/// Runs a command before an approval, approves, and shows what the next phase finds.
async fn asked(world: &World, server: &Server, before: &str) -> (String, Value) {
    let phases = format!(
        "[[phases]]\nname = \"before\"\nrun = '''\n{before}\n'''\n\
         [[phases]]\nname = \"after\"\napproval = true\nrun = '''cat $RUNTRAIL_WORKSPACE/approval.json; echo'''\n"
    );
    world.toml("asks", &format!("name = \"asks\"\n{phases}"));
    // The file is read again when it has changed, and the pipelines of earlier runs are kept with them.
    let id = until("the file is read again", async || {
        let shown = server.get_json("/api/v1/pipelines").await.to_string();
        if !shown.contains("asks") {
            return None;
        }
        let started = server.post("/api/v1/runs", json!({ "pipeline": "asks" })).await;
        Some(started.json::<Value>().await.unwrap()["id"].as_str()?.to_owned())
    })
    .await;
    server.until_awaiting_approval(&id).await;
    server.post(&format!("/api/v1/runs/{id}/approve"), json!({})).await;
    let run = until("the run ends", async || {
        let run = server.run(&id).await;
        (run["status"] != "running").then_some(run)
    })
    .await;
    (id, run)
}

#[tokio::test]
async fn workspace_decision_file_replaces_anything() {
    for before in [
        "mkfifo $RUNTRAIL_WORKSPACE/approval.json",
        "ln -s OUTSIDE/deep/file $RUNTRAIL_WORKSPACE/approval.json",
        "ln -s OUTSIDE/new $RUNTRAIL_WORKSPACE/approval.json",
        "ln -s OUTSIDE $RUNTRAIL_WORKSPACE/approval.json",
        "mkdir -p $RUNTRAIL_WORKSPACE/approval.json/full",
        "echo '{\"approved\": false}' > $RUNTRAIL_WORKSPACE/approval.json",
    ] {
        let world = World::new();
        let outside = outside(&world);
        let server = world.serve_with(&["--workers", "1"]);
        let (id, run) = asked(&world, &server, &before.replace("OUTSIDE", outside.to_str().unwrap())).await;
        assert_eq!(run["status"], "completed", "{before}: {run}");
        let line = server.lines(&id).await.pop().unwrap();
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["approved"], true, "{before}");
        assert!(is_whole(&outside), "{before}");
        assert!(world.workspaces().is_empty());
    }
}

#[tokio::test]
async fn workspace_link_is_not_followed() {
    for link in ["ln -s OUTSIDE", "mkfifo", "touch"] {
        let world = World::new();
        let outside = outside(&world);
        let server = world.serve();
        let make = link.replace("OUTSIDE", outside.to_str().unwrap());
        let (_, run) = asked(&world, &server, &format!("rm -rf $RUNTRAIL_WORKSPACE; {make} $RUNTRAIL_WORKSPACE")).await;
        assert_eq!(run["status"], "failed", "{link}: {run}");
        assert!(run["error"].as_str().unwrap().contains("cannot make its workspace"), "{run}");
        assert!(is_whole(&outside) && world.workspaces().is_empty(), "{link}");
    }
}

/// Links, inaccessible folders, a deep tree: as an unprivileged user, to whom permissions apply.
#[tokio::test]
async fn workspace_trees_of_any_kind_are_removed() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let world = World::new();
    let outside = outside(&world);
    std::fs::set_permissions(&outside, PermissionsExt::from_mode(0o777)).unwrap();
    let tree = format!(
        "ln -s '{0}' link; mkdir -p none/deep read/deep; ln -s '{0}' none/deep/link; touch none/deep/f read/deep/f; \
         (i=0; while [ $i -lt 900 ]; do mkdir d && cd -P d && i=$((i+1)) || exit; done; ln -s '{0}' link); \
         chmod 500 read/deep read; chmod 000 none/deep none; echo made",
        outside.display()
    );
    world.pipeline("tree", &[&format!("cd $RUNTRAIL_WORKSPACE && {tree}")]);
    world.toml("scratch", &format!("name = \"scratch\"\n[[phases]]\nname = \"a\"\nrun = '''{tree}'''\n"));
    let server = world.serve_as_nobody(&[]);
    let id = server.start(&world, "tree").await;
    server.until_status(&id, "completed").await;
    assert_eq!(server.lines(&id).await, ["made"]);
    assert!(world.workspaces().is_empty());
    // A scratch folder is emptied for the next attempt, and removed with the run.
    let started = server.post("/api/v1/runs", json!({ "pipeline": "scratch" })).await;
    let id = started.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    server.until_status(&id, "completed").await;
    server.post(&format!("/api/v1/runs/{id}/rerun"), json!({})).await;
    until("the second attempt ends", async || {
        let run = server.run(&id).await;
        (run["attempt"] == 2 && run["status"] == "completed").then_some(())
    })
    .await;
    server.client.delete(format!("{}/api/v1/runs/{id}", server.url)).send().await.unwrap();
    let scratch = world.data().join("scratch");
    until("its folder goes", async || (std::fs::read_dir(&scratch).unwrap().count() == 0).then_some(())).await;
    assert!(is_whole(&outside));
}
