//! How servers leave their commands, and what becomes of commands that no server comes for.

use std::process::{Command, Output};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{HANDOVER, sockets, started};
use crate::support::{World, alive, pids, steady_port, until};

/// Runs until it is told to stop.
const WAITS: &str =
    "echo $$ >> starts; echo $PPID > supervisor; echo begun; while [ ! -e stop ]; do sleep 0.02; done; echo ended";

fn waiting() -> World {
    let world = World::new();
    world.pipeline("waits", &[WAITS]);
    world
}

fn runtrail(world: &World, command: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_runtrail")).arg(command).arg("--data-dir").arg(world.data()).output().unwrap()
}

#[tokio::test]
async fn sigterm_hands_over() {
    let world = waiting();
    let server = world.serve_with(&HANDOVER);
    let id = server.start(&world, "waits").await;
    server.until_line(&id, "begun").await;
    let pid = started(&world, "starts").await;
    assert_eq!(server.terminate().await, Some(0));
    assert!(alive(pid));
    let server = world.serve_with(&HANDOVER);
    std::fs::write(world.file("stop"), "").unwrap();
    let run = server.until_status(&id, "completed").await;
    assert_eq!((&run["attempt"], pids(&world.file("starts"))), (&1.into(), vec![pid]));
    assert_eq!(server.lines(&id).await, ["begun", "ended"]);
    let frames = server.frames(&id).await;
    assert_eq!(frames.iter().filter(|frame| frame["data"]["code"] == "handed_over").count(), 1);
    until("the supervisor has ended", async || sockets(&world).is_empty().then_some(())).await;
}

#[tokio::test]
async fn stop_ends_the_work() {
    let world = waiting();
    let server = world.serve_with(&HANDOVER);
    let id = server.start(&world, "waits").await;
    server.until_line(&id, "begun").await;
    let pid = started(&world, "starts").await;
    let stopped = runtrail(&world, "stop");
    assert!(stopped.status.success(), "{stopped:?}");
    assert_eq!(server.ended().await, Some(0));
    assert!(!alive(pid) && sockets(&world).is_empty());
    let refused = runtrail(&world, "stop");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no server uses"), "{refused:?}");
    let server = world.serve_with(&HANDOVER);
    let run = server.until_status(&id, "interrupted").await;
    assert!(run["error"].as_str().unwrap().contains("is stopping"), "{run}");
}

#[tokio::test]
async fn restart_continues_in_the_same_process() {
    let world = waiting();
    let addr = format!("127.0.0.1:{}", steady_port());
    let server = world.serve_with(&[HANDOVER[0], HANDOVER[1], "--addr", &addr]);
    let id = server.start(&world, "waits").await;
    server.until_line(&id, "begun").await;
    let pid = started(&world, "starts").await;
    for _ in 0..2 {
        let restarted = runtrail(&world, "restart");
        assert!(restarted.status.success(), "{restarted:?}");
    }
    std::fs::write(world.file("stop"), "").unwrap();
    server.until_status(&id, "completed").await;
    assert_eq!(
        (server.lines(&id).await, pids(&world.file("starts"))),
        (vec!["begun".into(), "ended".into()], vec![pid])
    );
    let frames = server.frames(&id).await;
    assert_eq!(frames.iter().filter(|frame| frame["data"]["code"] == "handed_over").count(), 2);
}

/// As after an update: the file of the program is another one.
#[tokio::test]
async fn another_build_continues() {
    let world = waiting();
    let server = world.serve_with(&HANDOVER);
    let id = server.start(&world, "waits").await;
    server.until_line(&id, "begun").await;
    let pid = started(&world, "starts").await;
    server.kill();
    let server = world.serve_open(&[], &HANDOVER);
    std::fs::write(world.file("stop"), "").unwrap();
    server.until_status(&id, "completed").await;
    assert_eq!(
        (server.lines(&id).await, pids(&world.file("starts"))),
        (vec!["begun".into(), "ended".into()], vec![pid])
    );
}

/// A process that hides from others of its user can still reach its own sockets by their short names.
#[tokio::test]
async fn ordinary_user_hands_over() {
    if !nix::unistd::geteuid().is_root() {
        println!("only root can start a server as another user");
        return;
    }
    let world = waiting();
    let server = world.serve_as_nobody(&HANDOVER);
    let id = server.start(&world, "waits").await;
    server.until_line(&id, "begun").await;
    let pid = started(&world, "starts").await;
    server.kill();
    let server = world.serve_as_nobody(&HANDOVER);
    std::fs::write(world.file("stop"), "").unwrap();
    server.until_status(&id, "completed").await;
    assert_eq!(
        (server.lines(&id).await, pids(&world.file("starts"))),
        (vec!["begun".into(), "ended".into()], vec![pid])
    );
}

#[tokio::test]
async fn command_ends_if_no_server_comes() {
    let world = waiting();
    let server = world.serve_with(&["--handover", "1s"]);
    let id = server.start(&world, "waits").await;
    server.until_line(&id, "begun").await;
    let pid = started(&world, "starts").await;
    server.kill();
    until("everything has ended", async || (!alive(pid) && world.processes().is_empty()).then_some(())).await;
    assert!(sockets(&world).is_empty());
    let server = world.serve_with(&HANDOVER);
    let run = server.until_status(&id, "interrupted").await;
    assert!(run["error"].as_str().unwrap().contains("stopped or killed"), "{run}");
    assert_eq!(run["phases"][0]["state"], "failed");
}

#[tokio::test]
async fn command_ends_if_the_data_folder_is_moved() {
    let world = waiting();
    let server = world.serve_with(&HANDOVER);
    let id = server.start(&world, "waits").await;
    server.until_line(&id, "begun").await;
    let pid = started(&world, "starts").await;
    server.kill();
    let moved = world.data().with_file_name("moved");
    std::fs::rename(world.data(), &moved).unwrap();
    let server = world.serve_on(&moved, &HANDOVER);
    server.until_status(&id, "interrupted").await;
    until("it has ended", async || (!alive(pid)).then_some(())).await;
}

/// Neither the server nor the supervisor is left: the run ends by its rule.
#[tokio::test]
async fn run_whose_supervisor_is_killed_is_interrupted() {
    let world = waiting();
    let server = world.serve_with(&HANDOVER);
    let id = server.start(&world, "waits").await;
    server.until_line(&id, "begun").await;
    let (pid, supervisor) = (started(&world, "starts").await, started(&world, "supervisor").await);
    server.kill();
    kill(Pid::from_raw(supervisor), Signal::SIGKILL).unwrap();
    until("the command has ended", async || (!alive(pid)).then_some(())).await;
    let server = world.serve_with(&HANDOVER);
    server.until_status(&id, "interrupted").await;
    assert!(sockets(&world).is_empty());
}

#[tokio::test]
async fn phase_whose_supervisor_is_killed_fails() {
    let world = waiting();
    let server = world.serve_with(&HANDOVER);
    let id = server.start(&world, "waits").await;
    server.until_line(&id, "begun").await;
    kill(Pid::from_raw(started(&world, "supervisor").await), Signal::SIGKILL).unwrap();
    let run = server.until_status(&id, "failed").await;
    assert!(run["error"].as_str().unwrap().contains("was killed from outside"), "{run}");
}

/// A supervisor that does not answer is not waited for, and its command is ended.
#[tokio::test]
async fn run_whose_supervisor_hangs_is_interrupted() {
    let world = waiting();
    let server = world.serve_with(&HANDOVER);
    let id = server.start(&world, "waits").await;
    server.until_line(&id, "begun").await;
    let (pid, supervisor) = (started(&world, "starts").await, started(&world, "supervisor").await);
    kill(Pid::from_raw(supervisor), Signal::SIGSTOP).unwrap();
    server.kill();
    let server = world.serve_with(&HANDOVER);
    server.until_status(&id, "interrupted").await;
    until("both have ended", async || (!alive(pid) && !alive(supervisor)).then_some(())).await;
}
