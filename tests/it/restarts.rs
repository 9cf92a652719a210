//! Fifty times kill -9 and a new start, with runs in every phase and some that wait for a person: each run ends by its
//! rule, no child survives, and the journals have no gap.

use std::collections::{HashMap, VecDeque};
use std::str::FromStr;

use reqwest::StatusCode;
use runtrail::model::{Status, Transition};
use serde_json::{Value, json};

use crate::support::{Server, World, alive, pids, until};

const ROUNDS: usize = 50;

const PHASES: [&str; 4] = ["scanning", "analyzing", "generating", "applying"];

/// How long an answer is kept back, in rounds.
const ANSWERED_AFTER: usize = 3;

/// The number of crashes that a run survives before it may complete.
const RESUMES: usize = 10;

/// Runs that block in one phase, with a child that leaves the session; and runs that need approval before the second
/// phase.
fn pipelines(world: &World) {
    let stand = "cd $RUNTRAIL_PARAM_PROJECT
if [ $RUNTRAIL_PHASE = $RUNTRAIL_PARAM_STAND ] && [ ! -e go ] && [ ! -e go-$RUNTRAIL_RUN_ID ]; then
  echo $$ >> pids; setsid sh -c 'echo $$ >> pids; exec sleep 600' &
  echo stands; while [ ! -e go ] && [ ! -e go-$RUNTRAIL_RUN_ID ]; do sleep 0.05; done
fi";
    let phases: String =
        PHASES.iter().map(|name| format!("[[phases]]\nname = \"{name}\"\nrun = '''\n{stand}\n'''\n")).collect();
    let params = "[[params]]\nname = \"project\"\ntype = \"path\"\n[[params]]\nname = \"stand\"\ntype = \"string\"\n";
    for on_interrupt in ["fail", "resume"] {
        let head = format!("name = \"{on_interrupt}\"\non_interrupt = \"{on_interrupt}\"\n");
        world.toml(on_interrupt, &format!("{head}{params}{phases}"));
    }
    let asks =
        "[[phases]]\nname = \"a\"\nrun = \"echo a\"\n[[phases]]\nname = \"b\"\nrun = \"echo b\"\napproval = true\n";
    world.toml("asks", &format!("name = \"asks\"\n{asks}"));
}

async fn start(server: &Server, pipeline: &str, params: Value) -> String {
    let answer = server.post("/api/v1/runs", json!({ "pipeline": pipeline, "params": params })).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
}

async fn until_phase(server: &Server, id: &str, phase: &str) {
    until(&format!("{id} is in {phase}"), async || (server.run(id).await["phase"] == phase).then_some(())).await;
}

/// The final status of each attempt by the journal. Every transition is a valid one.
fn ends(frames: &[Value]) -> Vec<Status> {
    let (mut at, mut attempt, mut ends) = (Status::Pending, 1, Vec::new());
    for frame in frames {
        if frame["kind"] == "status" {
            let word = |name: &str| Status::from_str(frame["data"][name].as_str().unwrap()).unwrap();
            let (from, to) = (word("from"), word("to"));
            assert!(
                from == at && Transition::all().any(|moved| (moved.from(), moved.to()) == (from, to)),
                "{frame} while {at}"
            );
            attempt += u64::from(to == Status::Pending);
            ends.extend(to.is_finished().then_some(to));
            at = to;
        } else {
            assert!(
                at == Status::Running || frame["data"]["carried"] == true || frame["data"]["state"] == "skipped",
                "{frame} while {at}"
            );
        }
        assert_eq!(frame["attempt"], attempt);
    }
    assert!(at.is_finished());
    ends
}

/// SIGKILL to every supervisor.
fn kill_supervisors(world: &World, server: &Server) {
    for pid in world.commands(server) {
        let cmdline = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if cmdline.split(|byte| *byte == 0).nth(1) == Some(b"supervise") {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
}

/// The final statuses of the attempts of a run that was started in this round.
fn expected_ends(pipeline: &str, round: usize, last: Status) -> Vec<Status> {
    match pipeline {
        // Killed with its server in its first attempt, and never resumed.
        "fail" => vec![Status::Interrupted],
        // Interrupted by each crash since, up to the one after which it was allowed to end.
        "resume" => {
            let crashes = (ROUNDS - round).min(RESUMES);
            [vec![Status::Interrupted; crashes], vec![Status::Completed]].concat()
        }
        // It may have been killed after the decision.
        _ if last == Status::Interrupted => vec![Status::Interrupted],
        _ if round % 2 == 1 && round < ROUNDS - ANSWERED_AFTER => vec![Status::Cancelled],
        _ => vec![Status::Completed],
    }
}

#[tokio::test]
async fn restarts_leave_every_run_ended_by_its_rule() {
    let world = World::new();
    pipelines(&world);
    let flags = ["--workers", "64"];
    let mut server = world.serve_with(&flags);
    let mut runs: HashMap<String, (&str, usize)> = HashMap::new();
    let (mut asking, mut standing): (Vec<String>, VecDeque<(String, &str, usize)>) = Default::default();
    for round in 0..ROUNDS {
        let (one, other) = (PHASES[round % 4], PHASES[(round / 4 + round) % 4]);
        let params = |stand: &str| json!({ "project": world.project(), "stand": stand });
        let failing = start(&server, "fail", params(one)).await;
        let resuming = start(&server, "resume", params(other)).await;
        let asks = start(&server, "asks", json!({})).await;
        until_phase(&server, &failing, one).await;
        standing.push_back((resuming.clone(), other, round));
        // Each run that resumes blocks again before the next crash.
        for (id, phase, since) in &standing {
            until(&format!("{id} stands in its next attempt"), async || {
                let run = server.run(id).await;
                (run["attempt"] == round - since + 1 && run["phase"] == *phase).then_some(())
            })
            .await;
        }
        while let Some((id, _, _)) = standing.pop_front_if(|(_, _, since)| round - *since == RESUMES) {
            std::fs::write(world.file(&format!("go-{id}")), "").unwrap();
            server.until_status(&id, "completed").await;
        }
        server.until_awaiting_approval(&asks).await;
        if let Some(earlier) = round.checked_sub(ANSWERED_AFTER) {
            let id = &asking[earlier];
            assert!(server.run(id).await["approval"].is_object(), "it waits through every crash");
            let answer = if earlier % 2 == 0 { "approve" } else { "reject" };
            let answered = server.post(&format!("/api/v1/runs/{id}/{answer}"), json!({})).await;
            assert_eq!(answered.status(), StatusCode::ACCEPTED);
            // Killed before, while and after the answer is followed, as it happens.
        }
        for (id, pipeline) in [(&failing, "fail"), (&resuming, "resume"), (&asks, "asks")] {
            runs.insert(id.clone(), (pipeline, round));
        }
        asking.push(asks);
        // Every third time together with the supervisors, as when memory runs out.
        if round % 3 == 2 {
            kill_supervisors(&world, &server);
        }
        let children = pids(&world.file("pids"));
        server.kill_and_lapse();
        server = world.serve_with(&flags);
        until("every child of the server before has died", async || {
            children.iter().all(|pid| !alive(*pid)).then_some(())
        })
        .await;
        std::fs::remove_file(world.file("pids")).ok();
    }
    // Now they may end.
    std::fs::write(world.file("go"), "").unwrap();
    for id in &asking[ROUNDS - ANSWERED_AFTER..] {
        server.until_awaiting_approval(id).await;
        server.post(&format!("/api/v1/runs/{id}/approve"), json!({})).await;
    }
    for (id, (pipeline, round)) in &runs {
        let run = until(&format!("{pipeline} {id} has ended"), async || {
            Some(server.run(id).await).filter(|run| run["finished_at"] != Value::Null)
        })
        .await;
        let ends = ends(&server.frames(id).await);
        let (last, before) = ends.split_last().unwrap();
        assert!(before.iter().all(|end| *end == Status::Interrupted));
        assert_eq!(run["status"], last.as_str());
        assert_eq!(ends, expected_ends(pipeline, *round, *last), "{pipeline} of round {round}");
    }
    assert!(pids(&world.file("pids")).into_iter().all(|pid| !alive(pid)));
    assert_eq!(world.workspaces(), [] as [std::path::PathBuf; 0]);
    assert_eq!(server.terminate().await, Some(0));
    assert_eq!(world.processes(), [] as [i32; 0]);
}
