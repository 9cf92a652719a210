//! Phases that are retried, that run on conditions, and the values they pass on.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Server, World};

/// Starts a run of the pipeline `p` in the project; its id.
async fn start(world: &World, phases: &str) -> (Server, String) {
    world.toml("p", &format!("name = \"p\"\n[[params]]\nname = \"project\"\ntype = \"path\"\n{phases}"));
    let server = world.serve();
    let id = server.start(world, "p").await;
    (server, id)
}

fn phase(name: &str, run: &str, more: &str) -> String {
    format!("[[phases]]\nname = \"{name}\"\nrun = \"\"\"{run}\"\"\"\n{more}\n")
}

async fn ended(server: &Server, id: &str, status: &str) -> (Value, Vec<(String, String)>) {
    let run = server.until_status(id, status).await;
    let phases = run["phases"].as_array().unwrap().iter();
    let phases =
        phases.map(|phase| (phase["name"].as_str().unwrap().to_owned(), phase["state"].as_str().unwrap().to_owned()));
    let phases = phases.collect();
    (run, phases)
}

fn states(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(name, state)| ((*name).to_owned(), (*state).to_owned())).collect()
}

#[tokio::test]
async fn retry_is_journaled() {
    let world = World::new();
    let flaky = phase(
        "flaky",
        "echo try $RUNTRAIL_TRY; test $RUNTRAIL_TRY = 3 || exit 75",
        "retries = 4\nretry_delay = \"40ms\"\nretry_on = [75]",
    );
    let (server, id) = start(&world, &flaky).await;
    let (run, phases) = ended(&server, &id, "completed").await;
    assert_eq!((phases, &run["error"]), (states(&[("flaky", "completed")]), &Value::Null));
    assert_eq!(server.lines(&id).await, ["try 1", "try 2", "try 3"]);
    let frames = server.frames(&id).await;
    let errors: Vec<&Value> =
        frames.iter().filter(|frame| frame["kind"] == "error").map(|frame| &frame["data"]).collect();
    assert!(errors.iter().all(|error| error["retryable"] == true && error["code"] == "phase_failed"), "{errors:?}");
    let says: Vec<&str> = errors.iter().map(|error| error["message"].as_str().unwrap()).collect();
    let expected = [
        "phase flaky ended with exit code 75; try 1 of 5, the next in 40ms",
        "phase flaky ended with exit code 75; try 2 of 5, the next in 80ms",
    ];
    assert_eq!(says, expected);
    assert_eq!(frames.iter().filter(|frame| frame["kind"] == "phase").count(), 2, "it starts once and ends once");
}

#[tokio::test]
async fn retry_is_bounded_and_selective() {
    let world = World::new();
    let broken = phase("broken", "echo try; exit 3", "retries = 2\nretry_delay = \"1ms\"");
    let (server, id) = start(&world, &broken).await;
    let (run, _) = ended(&server, &id, "failed").await;
    assert_eq!(run["error"], "phase broken ended with exit code 3");
    assert_eq!(server.lines(&id).await.len(), 3);
    drop(server);
    let broken = phase("broken", "echo try; exit 3", "retries = 2\nretry_delay = \"1ms\"\nretry_on = [75]");
    let (server, id) = start(&world, &broken).await;
    ended(&server, &id, "failed").await;
    assert_eq!(server.lines(&id).await.len(), 1);
}

#[tokio::test]
async fn retry_delay_is_cancelled_at_once() {
    let world = World::new();
    let broken = phase("broken", "echo try; exit 1", "retries = 5\nretry_delay = \"10m\"");
    let (server, id) = start(&world, &broken).await;
    crate::support::until("the first try has failed", async || {
        server.frames(&id).await.iter().any(|frame| frame["kind"] == "error").then_some(())
    })
    .await;
    let began = Instant::now();
    server.post(&format!("/api/v1/runs/{id}/cancel"), json!({})).await;
    ended(&server, &id, "cancelled").await;
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!(server.lines(&id).await, ["try"]);
}

#[tokio::test]
async fn phase_conditions_use_earlier_results() {
    let world = World::new();
    let all = [
        phase("lint", "exit 1", "continue_on_error = true"),
        phase("test", "true", ""),
        phase("fix", "true", "if = \"lint.failed\""),
        phase("praise", "true", "if = \"lint.completed\""),
        phase("build", "exit 2", ""),
        phase("deploy", "true", ""),
        phase("clean", "true", "if = \"always\""),
        phase("alarm", "true", "if = [\"failure\", \"build.failed\"]"),
        phase("party", "true", "if = \"success\""),
    ];
    let (server, id) = start(&world, &all.concat()).await;
    let (run, phases) = ended(&server, &id, "failed").await;
    let expected = [
        ("lint", "failed"),
        ("test", "completed"),
        ("fix", "completed"),
        ("praise", "skipped"),
        ("build", "failed"),
        ("deploy", "skipped"),
        ("clean", "completed"),
        ("alarm", "completed"),
        ("party", "skipped"),
    ];
    assert_eq!(phases, states(&expected));
    assert_eq!(run["error"], "phase build ended with exit code 2", "the first that may not fail is why");
    drop(server);

    let fine = [
        phase("lint", "exit 1", "continue_on_error = true"),
        phase("test", "true", ""),
        phase("alarm", "true", "if = \"failure\""),
    ];
    let (server, id) = start(&world, &fine.concat()).await;
    let (run, phases) = ended(&server, &id, "completed").await;
    assert_eq!(phases, states(&[("lint", "failed"), ("test", "completed"), ("alarm", "skipped")]));
    assert_eq!(run["error"], Value::Null);
}

#[tokio::test]
async fn phase_outputs_survive_approval_and_crash() {
    let world = World::new();
    let say = "echo \"$RUNTRAIL_OUTPUT_VERSION|$RUNTRAIL_OUTPUT_NEXT_STEP|$LEVEL\"";
    let all = [
        phase("make", &format!("echo ::output version=1.2 beta; echo '::output next-step=a=b $HOME'; {say}"), ""),
        phase("use", &format!("{say}; echo ::output version=1.3"), "env = { LEVEL = \"high\" }"),
        phase("ask", say, "approval = true"),
    ];
    let (server, id) = start(&world, &all.concat()).await;
    server.until_awaiting_approval(&id).await;
    server.kill();
    let server = world.serve();
    server.post(&format!("/api/v1/runs/{id}/approve"), json!({})).await;
    ended(&server, &id, "completed").await;
    let lines = server.lines(&id).await;
    assert_eq!(lines, ["||", "1.2 beta|a=b $HOME|high", "1.3|a=b $HOME|"]);
    let frames = server.frames(&id).await;
    let outputs: Vec<&Value> =
        frames.iter().filter(|frame| frame["kind"] == "output").map(|frame| &frame["data"]).collect();
    assert_eq!(outputs[0], &json!({ "name": "version", "value": "1.2 beta" }));
    // A new attempt begins without them.
    server.post(&format!("/api/v1/runs/{id}/rerun"), json!({})).await;
    server.until_awaiting_approval(&id).await;
    assert_eq!(server.lines(&id).await[3..], ["||", "1.2 beta|a=b $HOME|high"]);
}

#[tokio::test]
async fn phase_folder_stays_inside_the_run() {
    let world = World::new();
    std::fs::create_dir_all(world.file("web/app")).unwrap();
    std::os::unix::fs::symlink("/", world.file("out")).unwrap();
    let all = [
        phase("inside", "basename $PWD", "dir = \"web/app\""),
        phase("outside", "echo never", "dir = \"out\"\ncontinue_on_error = true"),
        phase("missing", "echo never", "dir = \"absent\""),
    ];
    let (server, id) = start(&world, &all.concat()).await;
    let (run, phases) = ended(&server, &id, "failed").await;
    assert_eq!(phases, states(&[("inside", "completed"), ("outside", "failed"), ("missing", "failed")]));
    assert_eq!(server.lines(&id).await, ["app"]);
    assert!(run["error"].as_str().unwrap().starts_with("phase missing could not be started: No such file"), "{run}");
}

/// Asked or not: a run in which a phase has failed that may not has failed.
#[tokio::test]
async fn phase_failure_survives_an_approval() {
    let world = World::new();
    let all = [phase("build", "exit 3", ""), phase("alarm", "true", "if = \"failure\"\napproval = true")];
    let (server, id) = start(&world, &all.concat()).await;
    server.until_awaiting_approval(&id).await;
    server.post(&format!("/api/v1/runs/{id}/approve"), json!({})).await;
    let (run, phases) = ended(&server, &id, "failed").await;
    assert_eq!(phases, states(&[("build", "failed"), ("alarm", "completed")]));
    assert_eq!(run["error"], "phase build ended with exit code 3");
}

/// Only of the last try, only of this attempt, and whole however long or slowly they are printed.
#[tokio::test]
async fn phase_outputs_are_those_of_the_last_retry() {
    let world = World::new();
    let long = "x".repeat(90_000);
    std::fs::write(world.file("long"), format!("::output long={long}\n")).unwrap();
    let make = "if [ $RUNTRAIL_TRY = 1 ]; then echo ::output first=1; exit 1; fi; [ $RUNTRAIL_ATTEMPT = 2 ] || echo ::output once=1";
    let all = [
        phase("make", make, "retries = 1\nretry_delay = \"1ms\""),
        phase("slow", "cat long; printf '::output slow=par'; sleep 0.5; echo tial", ""),
        phase(
            "use",
            "echo \"$RUNTRAIL_OUTPUT_FIRST|$RUNTRAIL_OUTPUT_ONCE|$RUNTRAIL_OUTPUT_SLOW|${#RUNTRAIL_OUTPUT_LONG}\"",
            "approval = true",
        ),
    ];
    let (server, id) = start(&world, &all.concat()).await;
    for (attempt, expected) in [(1, "|1|partial|90000"), (2, "||partial|90000")] {
        server.until_awaiting_approval(&id).await;
        server.post(&format!("/api/v1/runs/{id}/approve"), json!({})).await;
        let (run, _) = ended(&server, &id, "completed").await;
        assert_eq!(run["attempt"], attempt);
        assert_eq!(server.lines(&id).await.last().unwrap(), expected);
        server.post(&format!("/api/v1/runs/{id}/rerun"), json!({})).await;
    }
}

/// A phase's own `env` wins, also over secrets of that name and over PATH.
#[tokio::test]
async fn phase_environment_is_its_own() {
    let world = World::new();
    let run = "echo $DATABASE_URL; echo $PATH; set | grep -c RUNTRAIL_TOKEN";
    let env = "env = { DATABASE_URL = \"its own\", PATH = \"/nowhere:/usr/bin:/bin\" }\ncontinue_on_error = true";
    let (server, id) = start(&world, &phase("show", run, env)).await;
    ended(&server, &id, "completed").await;
    assert_eq!(server.lines(&id).await, ["its own", "/nowhere:/usr/bin:/bin", "0"]);
}

/// Also of those that do not decide how the run ends.
#[tokio::test]
async fn phase_failure_reason_is_journaled() {
    let world = World::new();
    let all = [
        phase("slow", "sleep 1000", "continue_on_error = true\ntimeout = \"50ms\""),
        phase("lost", "true", "continue_on_error = true\ndir = \"nowhere\""),
        phase("broken", "exit 3", ""),
        phase("late", "exit 4", "if = \"always\""),
    ];
    let (server, id) = start(&world, &all.concat()).await;
    ended(&server, &id, "failed").await;
    let frames = server.frames(&id).await;
    let told: Vec<(&Value, &Value, &str)> = frames
        .iter()
        .filter(|frame| frame["kind"] == "error")
        .map(|frame| (&frame["phase"], &frame["data"]["code"], frame["data"]["message"].as_str().unwrap()))
        .collect();
    let of = |index: usize| (told[index].0.as_str(), told[index].1.as_str().unwrap(), told[index].2);
    assert_eq!(of(0), (Some("slow"), "phase_timeout", "phase slow took longer than 50ms"));
    assert_eq!((of(1).0, of(1).1), (Some("lost"), "phase_not_started"));
    assert!(of(1).2.starts_with("phase lost could not be started: No such file"), "{told:?}");
    assert_eq!(of(2), (Some("broken"), "phase_failed", "phase broken ended with exit code 3"));
    assert_eq!(of(3), (Some("late"), "phase_failed", "phase late ended with exit code 4"));
    assert_eq!(of(4), (None, "phase_failed", "phase broken ended with exit code 3"), "why the run failed");
    assert_eq!(told.len(), 5);
}

/// Whatever it was, and over a restart.
#[tokio::test]
async fn phase_failure_reason_survives_an_approval() {
    let said = "echo '::frame {\"kind\":\"error\",\"code\":\"disk\",\"message\":\"disk is full\"}'; exit 1";
    for (run, more, code, message) in [
        ("sleep 1000", "timeout = \"50ms\"", "phase_timeout", "phase a took longer than 50ms"),
        ("true", "dir = \"nowhere\"", "phase_not_started", "phase a could not be started: No such file"),
        (said, "", "phase_failed", "phase a failed: disk is full"),
    ] {
        let world = World::new();
        let ask = phase("ask", "true", "if = \"failure\"\napproval = true");
        let (server, id) = start(&world, &[phase("a", run, more), ask].concat()).await;
        server.until_awaiting_approval(&id).await;
        server.kill();
        let server = world.serve();
        server.post(&format!("/api/v1/runs/{id}/approve"), json!({})).await;
        let (run, _) = ended(&server, &id, "failed").await;
        assert!(run["error"].as_str().unwrap().starts_with(message), "{run}");
        let frames = server.frames(&id).await;
        let last = frames.iter().rfind(|frame| frame["kind"] == "error").unwrap();
        assert_eq!((&last["phase"], &last["data"]["code"]), (&Value::Null, &json!(code)));
    }
}

/// Each alone fits into a command's environment; together they would keep every later phase from being started.
#[tokio::test]
async fn phase_outputs_leave_room_for_the_environment() {
    let world = World::new();
    let many = "big=$(head -c 40000 /dev/zero | tr '\\0' x); i=0; while [ $i -lt 26 ]; do echo \"::output $RUNTRAIL_PHASE$i=$big\"; i=$((i+1)); done";
    let all = ["a", "b", "c"].map(|name| phase(name, &many.replace('\\', "\\\\").replace('"', "\\\""), ""));
    let (server, id) = start(&world, &[all.concat(), phase("last", "echo fine", "")].concat()).await;
    ended(&server, &id, "completed").await;
    let frames = server.frames(&id).await;
    assert_eq!(frames.iter().filter(|frame| frame["data"]["line"] == "fine").count(), 1);
    let of = |kind: &str| frames.iter().filter(|frame| frame["kind"] == kind).collect::<Vec<_>>();
    assert_eq!(of("output").len(), 26, "a megabyte");
    let refused = of("error");
    assert_eq!(
        (refused.len(), &refused[0]["data"]["code"], &refused[0]["phase"]),
        (52, &json!("output_too_large"), &json!("b"))
    );
    assert!(refused[0]["data"]["message"].as_str().unwrap().starts_with("the output b0 is not passed on"));
}
