//! Control groups: nothing of an attempt outlives it, and its limits hold where the system allows it.

use serde_json::Value;

use super::is_root;
use crate::support::{Server, World, alive, pids, until};

/// The notices of a run, by code.
async fn notices(server: &Server, id: &str) -> Vec<(String, String)> {
    let frames = server.frames(id).await;
    let data = frames.iter().filter(|frame| frame["kind"] == "notice").map(|frame| &frame["data"]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    data.map(|data| (text(&data["code"]), text(&data["message"]))).collect()
}

fn has_groups() -> bool {
    let mounted = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    is_root() && mounted.lines().any(|line| line.contains(" - cgroup2 "))
}

/// It kills its supervisor, and has left nothing by which it could be found.
#[tokio::test]
async fn control_group_ends_processes_that_escape_their_supervisor() {
    if !has_groups() {
        println!("skipped: only root has control groups here");
        return;
    }
    let world = World::new();
    let escape = "env -i setsid sleep 98765 & echo $! > escaped; sleep 0.2; kill -9 $PPID; sleep 1000";
    world.pipeline("escapes", &[escape]);
    world.phase(
        "asks",
        "env -i setsid sleep 98766 & echo $! > escaped; sleep 0.2; kill -9 $PPID",
        "continue_on_error = true\n[[phases]]\nname = \"b\"\nrun = \"true\"\napproval = true",
    );
    let server = world.serve();
    let id = server.start(&world, "escapes").await;
    server.until_status(&id, "failed").await;
    let escaped = pids(&world.file("escaped"));
    assert!(escaped.len() == 1 && !alive(escaped[0]));
    // No worker watches it while the run awaits approval.
    let id = server.start(&world, "asks").await;
    server.until_awaiting_approval(&id).await;
    assert!(!alive(pids(&world.file("escaped"))[0]));
}

/// Processes left by a killed server are ended by the next one.
#[tokio::test]
async fn control_group_is_ended_by_the_next_server() {
    if !has_groups() {
        println!("skipped: only root has control groups here");
        return;
    }
    let world = World::new();
    world.pipeline("escapes", &["env -i setsid sh -c 'sleep 98767; :' & echo $! > escaped; echo up; sleep 1000"]);
    let server = world.serve();
    let id = server.start(&world, "escapes").await;
    server.until_line(&id, "up").await;
    let escaped = pids(&world.file("escaped"))[0];
    // Its supervisor, so that nothing ends the process together with the server.
    let parent = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap().parse::<i32>().unwrap()
    };
    let supervisor = parent(parent(escaped));
    nix::sys::signal::kill(server.unix_pid(), nix::sys::signal::Signal::SIGSTOP).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(supervisor), nix::sys::signal::Signal::SIGKILL).unwrap();
    server.kill();
    assert!(alive(escaped), "nothing else ends it");
    let _server = world.serve();
    until("it has ended", async || (!alive(escaped)).then_some(())).await;
}

/// Either the limits hold, or a notice says that they do not.
#[tokio::test]
async fn control_group_limits_hold_or_are_reported_missing() {
    let world = World::new();
    let many = "i=0; while [ $i -lt 40 ]; do sleep 30 & i=$((i+1)); done; echo all";
    world.phase("many", many, "[limits]\nprocesses = 20");
    let much = "head -c 200000000 /dev/zero | tail -c 200000000 | wc -c";
    world.phase("much", much, "[limits]\nmemory = \"64M\"");
    world.pipeline("plain", &["true"]);
    let server = world.serve_logged(&[], &[]);
    for (name, all) in [("many", "all"), ("much", "200000000")] {
        let id = server.start(&world, name).await;
        until("the run ends", async || (server.run(&id).await["finished_at"] != Value::Null).then_some(())).await;
        let did_all = server.lines(&id).await.iter().any(|line| line.trim() == all);
        let said = notices(&server, &id).await.iter().any(|(code, _)| code == "limits_unavailable");
        assert_ne!(did_all, !said, "{name}: {:?}", server.lines(&id).await);
        assert_eq!(said, world.log().contains("of [limits] do not hold"), "{}", world.log());
    }
    let id = server.start(&world, "plain").await;
    server.until_status(&id, "completed").await;
    assert_eq!(notices(&server, &id).await, []);
}
