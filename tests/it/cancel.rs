//! Cancelling: every process is asked, everybody sees it, a second time is at once; and signals to the whole service.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::StatusCode;
use runtrail::model::Timestamp;
use serde_json::{Value, json};

use crate::support::{Server, World, alive, pids, until};

async fn cancel(server: &Server, id: &str) -> Value {
    let answer = server.post(&format!("/api/v1/runs/{id}/cancel"), json!({})).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    answer.json().await.unwrap()
}

async fn of_kind(server: &Server, id: &str, kind: &str) -> Vec<Value> {
    server.frames(id).await.into_iter().filter(|frame| frame["kind"] == kind).collect()
}

#[tokio::test]
async fn cancel_signals_every_process() {
    let world = World::new();
    let child =
        |name: &str| format!("'trap \"echo {name} >> asked; exit\" TERM; echo $$ >> up; while :; do sleep 0.05; done'");
    let command = format!(
        "trap 'echo main >> asked; exit' TERM
         sh -c {} & setsid sh -c {} & (setsid sh -c {} &) &
         while :; do sleep 0.05; done",
        child("group"),
        child("session"),
        child("orphan"),
    );
    world.pipeline("wide", &[&command]);
    // Nothing is killed: every process ends because of SIGTERM.
    let server = world.serve_with(&["--grace", "10m"]);
    let id = server.start(&world, "wide").await;
    let up = until("all are up", async || Some(pids(&world.file("up"))).filter(|pids| pids.len() == 3)).await;
    cancel(&server, &id).await;
    server.until_status(&id, "cancelled").await;
    assert!(up.iter().all(|pid| !alive(*pid)));
    let mut asked: Vec<String> =
        std::fs::read_to_string(world.file("asked")).unwrap().lines().map(str::to_owned).collect();
    asked.sort();
    assert_eq!(asked, ["group", "main", "orphan", "session"]);
}

/// Processes that a SIGTERM handler starts do not get that signal.
#[tokio::test]
async fn cancel_lets_handlers_clean_up() {
    let world = World::new();
    let cleans =
        "trap 'sleep 0.3 && sh -c \"sleep 0.3; echo cleaned\"; exit 0' TERM; echo ready; while :; do sleep 0.02; done";
    world.pipeline("cleans", &[cleans]);
    let server = world.serve_with(&["--grace", "10m"]);
    for _ in 0..3 {
        let id = server.start(&world, "cleans").await;
        server.until_line(&id, "ready").await;
        cancel(&server, &id).await;
        server.until_status(&id, "cancelled").await;
        assert_eq!(server.lines(&id).await.last().map(String::as_str), Some("cleaned"));
    }
}
#[tokio::test]
async fn cancel_twice_kills_at_once() {
    let world = World::new();
    world.pipeline("stubborn", &["trap '' TERM; echo ready; sleep 900 & wait; sleep 900"]);
    let server = world.serve_with(&["--grace", "10m"]);
    let id = server.start(&world, "stubborn").await;
    server.until_line(&id, "ready").await;
    assert_eq!(server.run(&id).await["cancel"], Value::Null);

    let run = cancel(&server, &id).await;
    let moment = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
    let asked = &run["cancel"];
    assert_eq!(moment(&asked["kill_at"]).since(moment(&asked["at"])), 600_000);
    assert_eq!((&asked["force"], &run["status"]), (&json!(false), &json!("running")));
    assert_eq!(&server.run(&id).await["cancel"], asked, "whoever asks is told");
    let frames = of_kind(&server, &id, "cancel").await;
    assert_eq!(frames.len(), 1);
    let data = &frames[0]["data"];
    assert_eq!((&data["by"], &data["kill_at"], &data["force"]), (&asked["by"], &asked["kill_at"], &json!(false)));
    // After a reload too, where no script runs too; and in the list.
    for path in [format!("/runs/{id}"), "/".to_owned()] {
        let page = server.get(&path).await.text().await.unwrap();
        assert!(page.contains("Cancelling"), "{path}");
    }
    assert!(server.get(&format!("/runs/{id}")).await.text().await.unwrap().contains("Kill now"));

    cancel(&server, &id).await;
    let run = server.until_status(&id, "cancelled").await;
    assert_eq!(run["cancel"], Value::Null);
    let frames = of_kind(&server, &id, "cancel").await;
    assert_eq!(frames.len(), 2);
    assert_eq!(frames[1]["data"]["force"], true);
    until("nothing is left", async || world.commands(&server).is_empty().then_some(())).await;
}

/// A page that does not know of a cancel request yet does not kill.
#[tokio::test]
async fn cancel_on_the_page_kills_only_by_kill_now() {
    let world = World::new();
    let gentle = "trap 'while [ ! -e go ]; do sleep 0.02; done; echo ended by itself; exit 0' TERM; echo ready; while :; do sleep 0.02; done";
    world
        .pipeline("gentle", &[gentle])
        .pipeline("stubborn", &["trap '' TERM; echo ready; while :; do sleep 0.1; done"]);
    let server = world.serve_with(&["--grace", "10m"]);
    let press = async |id: &str, kill: &str| {
        let form = [("id", id), ("kill", kill)];
        let request = server.client.post(format!("{}/fn/cancel", server.url)).form(&form);
        let status = request.header("Accept", "application/json").send().await.unwrap().status();
        assert!(status.is_success(), "{status}");
    };
    let id = server.start(&world, "gentle").await;
    server.until_line(&id, "ready").await;
    press(&id, "false").await;
    press(&id, "false").await;
    assert_eq!(of_kind(&server, &id, "cancel").await.len(), 1);
    std::fs::write(world.file("go"), "").unwrap();
    server.until_status(&id, "cancelled").await;
    assert_eq!(server.lines(&id).await.last().map(String::as_str), Some("ended by itself"));

    let id = server.start(&world, "stubborn").await;
    server.until_line(&id, "ready").await;
    press(&id, "true").await;
    server.until_status(&id, "cancelled").await;
}

/// As early as possible: between the claim and the moment when the worker can be notified.
#[tokio::test]
async fn cancel_right_after_the_claim_works() {
    let world = World::new();
    world.pipeline("soon", &["sleep 1000"]);
    // A lease renewal would notice, twenty seconds later.
    let server = world.serve_with(&["--lease", "60s", "--workers", "16"]);
    for _ in 0..20 {
        let id = server.start(&world, "soon").await;
        while server.run(&id).await["status"] == "pending" {}
        let asked = std::time::Instant::now();
        cancel(&server, &id).await;
        server.until_status(&id, "cancelled").await;
        assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
    }
}

/// The supervisors of a server's commands.
fn supervisors(server: &Server) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let all = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let is_one = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        parent == Some(server.pid())
    };
    all.filter(is_one).collect()
}

fn signal_all(pids: &[i32], signal: Signal) {
    for pid in pids {
        // One may have ended by the signal to another.
        let _ = kill(Pid::from_raw(*pid), signal);
    }
}

/// As systemd does it by default, and a terminal: each process of the service gets the signal.
#[tokio::test]
async fn signal_to_the_service_interrupts_runs() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let world = World::new();
        world.pipeline("dies", &["echo ready; sleep 1000"]);
        world.pipeline("exits", &["trap 'exit 3' TERM INT HUP; echo ready; while :; do sleep 0.02; done"]);
        let server = world.serve();
        let ids = [server.start(&world, "dies").await, server.start(&world, "exits").await];
        for id in &ids {
            server.until_line(id, "ready").await;
        }
        let supervisors = supervisors(&server);
        assert_eq!(supervisors.len(), 2);
        // The commands first, which is the worst order: they fail before anything knows why.
        let all = world.commands(&server).into_iter();
        let commands: Vec<i32> = all.filter(|pid| !supervisors.contains(pid)).collect();
        signal_all(&commands, signal);
        signal_all(&supervisors, signal);
        signal_all(&[i32::try_from(server.pid()).unwrap()], signal);
        assert_eq!(server.ended().await, Some(0), "{signal}");
        let server = world.serve();
        for id in ids {
            let run = server.run(&id).await;
            assert_eq!(run["status"], "interrupted", "{signal}: {run}");
        }
    }
}

/// The server did not get the signal: its runs are interrupted all the same, and resumable ones resume.
#[tokio::test]
async fn signal_to_a_supervisor_interrupts_its_run() {
    let world = World::new();
    let command = "echo try; [ -e again ] && exit 0; : > again; sleep 1000";
    world.pipeline("once", &["echo ready; sleep 1000"]);
    let resumes = "on_interrupt = \"resume\"\n";
    let project = "[[params]]\nname = \"project\"\ntype = \"path\"\n";
    world.toml(
        "resumes",
        &format!("name = \"resumes\"\n{resumes}{project}[[phases]]\nname = \"a\"\nrun = '''{command}'''\n"),
    );
    let server = world.serve();
    let id = server.start(&world, "once").await;
    server.until_line(&id, "ready").await;
    signal_all(&supervisors(&server), Signal::SIGTERM);
    let run = server.until_status(&id, "interrupted").await;
    let error = run["error"].as_str().unwrap();
    assert!(error.contains("the service was sent SIGTERM by"), "{error}");
    until("nothing is left", async || world.commands(&server).is_empty().then_some(())).await;

    let id = server.start(&world, "resumes").await;
    server.until_line(&id, "try").await;
    until("it waits", async || world.file("again").exists().then_some(())).await;
    signal_all(&supervisors(&server), Signal::SIGHUP);
    let run = server.until_status(&id, "completed").await;
    assert_eq!(run["attempt"], 2);
}
#[tokio::test]
async fn cancel_leaves_no_process_and_no_zombie() {
    let world = World::new();
    let many = "for i in 1 2 3 4 5; do (setsid sh -c 'sleep 500 & exec sleep 500' &) ; done; echo ready; sleep 500";
    world.pipeline("many", &[many]);
    let server = world.serve();
    let id = server.start(&world, "many").await;
    server.until_line(&id, "ready").await;
    cancel(&server, &id).await;
    server.until_status(&id, "cancelled").await;
    until("nothing is left of the one", async || world.commands(&server).is_empty().then_some(())).await;
    let id = server.start(&world, "many").await;
    server.until_line(&id, "ready").await;
    signal_all(&supervisors(&server), Signal::SIGKILL);
    let run = server.until_status(&id, "failed").await;
    assert!(run["error"].as_str().unwrap().contains("was killed from outside"), "{run}");
    until("nothing is left of the other", async || world.commands(&server).is_empty().then_some(())).await;
    until("nor a zombie", async || supervisors(&server).is_empty().then_some(())).await;
}
