//! Commands in a sandbox (`sandbox`), by the real bubblewrap.

use std::process::Command;

use serde_json::{Value, json};

use super::{is_root, printed};
use crate::codemod::repository::Repository;
use crate::support::{World, pids, until};

fn has_bubblewrap() -> bool {
    let mut bwrap = Command::new("bwrap");
    let bwrap = bwrap.args(["--unshare-user", "--unshare-pid", "--ro-bind", "/", "/", "--proc", "/proc", "true"]);
    let works = bwrap.output().is_ok_and(|done| done.status.success());
    if !works {
        println!("skipped: bubblewrap does not work here");
    }
    works
}

/// A pipeline with this at its top.
fn pipeline(world: &World, name: &str, top: &str, run: &str) {
    let project = "[[params]]\nname = \"project\"\ntype = \"path\"\n";
    world.toml(name, &format!("name = \"{name}\"\n{top}\n{project}[[phases]]\nname = \"a\"\nrun = '''\n{run}\n'''\n"));
}

/// What a command reaches.
fn probe(world: &World, port: u16) -> String {
    let data = world.data().canonicalize().unwrap();
    format!(
        "write() {{ (: > \"$1/probe\") 2>/dev/null && echo \"writes $2\"; }}
         write . project; write \"$RUNTRAIL_WORKSPACE\" workspace; write /tmp private; write /usr system; write '{0}' data
         cat '{0}/runtrail.db' > /dev/null 2>&1 && echo 'reads data'; [ -z \"$(ls '{0}/scratch' '{0}/attempts' 2>/dev/null)\" ] || echo 'lists data'
         echo processes $(ls /proc | grep -c '^[0-9]')
         (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && echo network
         grep -e CapEff -e NoNewPrivs /proc/self/status | tr -s '\\t' ' '",
        data.display()
    )
}

#[tokio::test]
async fn sandbox_reaches_only_its_folders() {
    if !has_bubblewrap() {
        return;
    }
    let world = World::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    // `sh` has no sockets.
    let script = format!("bash <<'END'\n{}\nEND", probe(&world, listener.local_addr().unwrap().port()));
    pipeline(&world, "closed", "sandbox = \"required\"", &script);
    pipeline(&world, "online", "sandbox = \"if-available\"\nnetwork = true", &script);
    let server = world.serve();
    let closed = printed(&world, &server, "closed").await;
    let reached: Vec<_> = closed.iter().filter(|line| !line.starts_with("processes")).collect();
    let none = ["CapEff: 0000000000000000", "NoNewPrivs: 1"];
    assert_eq!(reached, ["writes project", "writes workspace", "writes private", "writes data", none[0], none[1]]);
    let processes: u32 = closed.iter().find_map(|line| line.strip_prefix("processes ")).unwrap().parse().unwrap();
    assert!(processes < 10, "it sees its own processes only: {closed:?}");
    // What it wrote over the data folder and to /tmp is gone with the sandbox.
    assert!(!world.data().join("probe").exists() && !std::path::Path::new("/tmp/probe").exists());
    assert!(world.file("probe").exists());
    let online = printed(&world, &server, "online").await;
    assert!(online.iter().any(|line| line == "network") && !closed.iter().any(|line| line == "network"), "{online:?}");
}

/// It is asked to end like any other, may clean up, and takes all it has started with it.
#[tokio::test]
async fn sandbox_commands_are_ended() {
    if !has_bubblewrap() {
        return;
    }
    let world = World::new();
    let top = "sandbox = \"required\"";
    pipeline(&world, "code", top, "exit 7");
    let waits = "trap 'echo cleaned > cleaned; exit 3' TERM; setsid sleep 54321 & echo up; while :; do sleep 0.1; done";
    pipeline(&world, "waits", top, waits);
    pipeline(&world, "stubborn", top, "trap '' TERM; echo up; while :; do sleep 0.1; done");
    let server = world.serve_with(&["--grace", "1s"]);
    let id = server.start(&world, "code").await;
    let run = server.until_status(&id, "failed").await;
    assert_eq!(run["phases"][0]["exit_code"], 7, "{run}");
    for name in ["waits", "stubborn"] {
        let id = server.start(&world, name).await;
        server.until_line(&id, "up").await;
        server.post(&format!("/api/v1/runs/{id}/cancel"), json!({})).await;
        server.until_status(&id, "cancelled").await;
        until("nothing is left", async || world.commands(&server).is_empty().then_some(())).await;
    }
    assert_eq!(std::fs::read_to_string(world.file("cleaned")).unwrap(), "cleaned\n");
    // Also with the server.
    let id = server.start(&world, "stubborn").await;
    server.until_line(&id, "up").await;
    server.kill();
    until("nothing is left", async || world.processes().is_empty().then_some(())).await;
}

/// A linter of AutoFix and its git, in the sandbox of a repository, as another user.
#[tokio::test]
async fn sandbox_runs_linters() {
    if !has_bubblewrap() || !is_root() {
        return;
    }
    let world = World::new();
    let repository = Repository::new(&world, "app");
    repository.commit(&[("a.py", "x = 1\n")]);
    let log = json!({ "version": "2.1.0", "runs": [{ "tool": { "driver": { "name": "own" } }, "results": [] }] });
    let run = format!(
        "ls /proc | grep -c '^[0-9]' > seen; id -u >> seen; cp seen \"$RUNTRAIL_PARAM_PROJECT/../seen\"; echo '{log}'"
    );
    world.toml(
        "lint",
        &format!("name = \"lint\"\nsandbox = \"required\"\nextends = \"autofix\"\n[[linters]]\nname = \"own\"\nrun = '''\n{run}\n'''\n"),
    );
    let server = world.serve_open(&[], &["--run-as", "nobody"]);
    assert!(Command::new("chown").args(["-R", "65534:65534"]).arg(repository.path()).status().unwrap().success());
    let params = json!({ "project": repository.path(), "rules": "none" });
    let started = server.post("/api/v1/runs", json!({ "pipeline": "lint", "params": params })).await;
    let id = started.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    server.until_status(&id, "completed").await;
    let seen = pids(&world.file("seen"));
    assert!(seen[0] < 20 && seen[1] == 65534, "{seen:?}");
}

#[tokio::test]
async fn sandbox_without_bubblewrap_fails_or_warns() {
    let world = World::new();
    pipeline(&world, "required", "sandbox = \"required\"", "echo ran");
    pipeline(&world, "wanted", "sandbox = \"if-available\"", "echo ran");
    let tools = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/bin/sh", tools.path().join("sh")).unwrap();
    let server = world.serve_logged(&[("PATH", tools.path().to_str().unwrap())], &[]);
    let id = server.start(&world, "required").await;
    let error = server.until_status(&id, "failed").await["error"].to_string();
    assert!(error.contains("needs a sandbox") && error.contains("apt install bubblewrap"), "{error}");
    assert_eq!(server.lines(&id).await, [""; 0]);
    let id = server.start(&world, "wanted").await;
    server.until_status(&id, "completed").await;
    assert_eq!(server.lines(&id).await, ["ran"]);
    let frames = server.frames(&id).await;
    let notice = frames.iter().find(|frame| frame["data"]["code"] == "sandbox_unavailable").unwrap();
    assert!(notice["data"]["message"].as_str().unwrap().contains("without a sandbox"), "{notice}");
}
