//! What commands print, where they run, and how they end.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{World, alive, pids, until};

#[tokio::test]
async fn command_gets_parameters_and_run_as_variables() {
    let world = World::new();
    world.toml(
        "env",
        r#"
name = "env"
[[params]]
name = "project"
type = "path"
[[params]]
name = "some_text"
type = "string"
default = "a; echo $(hacked) 'b' \"c\""
[[params]]
name = "count"
type = "integer"
default = 7
[[phases]]
name = "show"
run = '''
printf '%s\n' "$RUNTRAIL_PARAM_SOME_TEXT" "$RUNTRAIL_PARAM_COUNT" "$RUNTRAIL_RUN_ID" "$RUNTRAIL_ATTEMPT" "$RUNTRAIL_PHASE"
printf '%s\n' "${RUNTRAIL_TOKEN:-no token}"
pwd
'''
"#,
    );
    let server = world.serve();
    let id = server.start(&world, "env").await;
    server.until_status(&id, "completed").await;
    let project = world.project();
    let expected = ["a; echo $(hacked) 'b' \"c\"", "7", &id, "1", "show", "no token", project.to_str().unwrap()];
    assert_eq!(server.lines(&id).await, expected);
}

#[tokio::test]
async fn run_without_a_project_gets_an_empty_scratch_folder() {
    let world = World::new();
    world.toml("bare", "name = \"bare\"\n[[phases]]\nname = \"a\"\nrun = \"pwd; ls -A; touch left-behind\"\n");
    let server = world.serve();
    let response = server.post("/api/v1/runs", json!({"pipeline": "bare"})).await;
    let id = response.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    server.until_status(&id, "completed").await;
    server.post(&format!("/api/v1/runs/{id}/rerun"), json!({})).await;
    until("the second attempt ends", async || {
        let run = server.run(&id).await;
        (run["attempt"] == 2 && run["status"] == "completed").then_some(())
    })
    .await;
    let lines = server.lines(&id).await;
    assert_eq!(lines.len(), 2, "empty each time: {lines:?}");
    assert!(lines[0].ends_with(&format!("scratch/{id}")) && lines[0] == lines[1]);
}

#[tokio::test]
async fn output_is_journaled_immediately_and_completely() {
    let world = World::new();
    world.pipeline(
        "odd",
        &[r#"printf 'Continue? '; while [ ! -e go ]; do sleep 0.02; done; printf 'yes\n'
             printf '\033[31mred\033[0m\n'; printf 'a\000b\n'; printf 'bad \377 byte\n'; printf '\n'
             head -c 100000 /dev/zero | tr '\0' x; printf '\nlast without end'"#],
    );
    let server = world.serve();
    let id = server.start(&world, "odd").await;
    server.until_line(&id, "Continue? ").await;
    std::fs::write(world.file("go"), "").unwrap();
    server.until_status(&id, "completed").await;
    let frames = server.frames(&id).await;
    let logs: Vec<_> = frames.iter().filter(|frame| frame["kind"] == "log").map(|frame| &frame["data"]).collect();
    let text = |index: usize| logs[index]["line"].as_str().unwrap();
    assert_eq!((text(0), text(1), &logs[1]["cont"]), ("Continue? ", "yes", &json!(true)));
    assert_eq!(text(2), "\u{1b}[31mred\u{1b}[0m");
    assert_eq!(text(3), "a\0b");
    assert_eq!(text(4), "bad \u{fffd} byte");
    assert_eq!(text(5), "");
    let long: Vec<_> = logs[6..logs.len() - 1].iter().collect();
    assert!(long.len() >= 2 && long.iter().all(|log| log["line"].as_str().unwrap().len() <= 65536));
    assert!(long[1..].iter().all(|log| log["cont"] == true) && long[0].get("cont").is_none());
    assert_eq!(long.iter().map(|log| log["line"].as_str().unwrap().len()).sum::<usize>(), 100_000);
    assert_eq!(text(logs.len() - 1), "last without end");

    let log = server.get(&format!("/api/v1/runs/{id}/log")).await.text().await.unwrap();
    assert!(log.starts_with("Continue? yes\n"));
    assert!(log.ends_with("x\nlast without end\n"));
}

#[tokio::test]
async fn log_text_keeps_two_outputs_apart() {
    let world = World::new();
    let command = "printf prompt; while [ ! -e a ]; do sleep 0.02; done; echo err >&2
                   while [ ! -e b ]; do sleep 0.02; done; echo rest";
    world.phase("both", command, "output = \"separate\"");
    let server = world.serve();
    let id = server.start(&world, "both").await;
    server.until_line(&id, "prompt").await;
    std::fs::write(world.file("a"), "").unwrap();
    server.until_line(&id, "err").await;
    std::fs::write(world.file("b"), "").unwrap();
    server.until_status(&id, "completed").await;
    let log = server.get(&format!("/api/v1/runs/{id}/log")).await.text().await.unwrap();
    assert_eq!(log, "prompt\nerr\nrest\n");
}

#[tokio::test]
async fn command_reports_frames_but_no_status() {
    let world = World::new();
    let forged = r#"::frame {"kind":"status","from":"running","to":"completed","reason":"me"}"#;
    let command = [
        r#"echo '::frame {"kind":"progress","done":1,"total":2,"unit":"files"}'"#,
        r#"echo '::frame {"kind":"finding","path":"a.rs","line":3,"column":1,"rule":"r","severity":"error","message":"m","fixable":true}'"#,
        r#"echo '::frame {"kind":"tool","call":"1","name":"grep","preview":"x"}' "#,
        r#"echo '::frame {broken'"#,
        r#"printf '::frame {"kind":"patch","path":"a","diff":"'; sleep 0.3; head -c 100000 /dev/zero | tr '\0' x; echo '"}'"#,
        &format!("echo '{forged}'"),
        r#"echo '::frame {"kind":"token","text":"x"}' >&2"#,
    ]
    .join("\n");
    world.phase("agent", &command, "output = \"separate\"");
    let server = world.serve();
    let id = server.start(&world, "agent").await;
    server.until_status(&id, "completed").await;
    let frames = server.frames(&id).await;
    let of = |kind: &str| -> Vec<&Value> {
        frames.iter().filter(|frame| frame["kind"] == kind).map(|frame| &frame["data"]).collect()
    };
    assert_eq!(of("progress"), [&json!({"done": 1, "total": 2, "unit": "files"})]);
    assert_eq!(of("finding")[0]["path"], "a.rs");
    assert_eq!(of("tool")[0]["name"], "grep");
    assert_eq!(of("status").len(), 2);
    assert_eq!(
        of("patch")[0]["diff"].as_str().unwrap().len(),
        100_000,
        "a report is longer than a line and takes its time"
    );
    let mut lines = server.lines(&id).await;
    lines.sort();
    assert_eq!(lines, [forged, "::frame {\"kind\":\"token\",\"text\":\"x\"}", "::frame {broken"]);
}

#[tokio::test]
async fn cancel_ends_the_process_group_and_records_who() {
    let world = World::new();
    world.pipeline(
        "tree",
        &[
            "echo $$ > pids; (trap '' TERM; echo in the background; sleep 1000) & echo $! >> pids
           setsid sh -c 'echo $$ >> pids; exec sleep 1000' & sleep 1000",
            "echo never",
        ],
    );
    let server = world.serve_with(&["--grace", "3s"]);
    let id = server.start(&world, "tree").await;
    let pids = until("all three run", async || Some(pids(&world.file("pids"))).filter(|pids| pids.len() == 3)).await;
    assert!(pids.iter().all(|pid| alive(*pid)));

    let path = format!("/api/v1/runs/{id}/cancel");
    assert_eq!(server.post(&path, json!({})).await.status(), StatusCode::ACCEPTED);
    let run = server.until_status(&id, "cancelled").await;
    assert!(pids.iter().all(|pid| !alive(*pid)), "also the one that ignores SIGTERM and the one in its own session");
    let states: Vec<_> = run["phases"].as_array().unwrap().iter().map(|phase| &phase["state"]).collect();
    assert_eq!(states, ["failed", "skipped"]);
    let frames = server.frames(&id).await;
    let last = frames.last().unwrap();
    assert_eq!((&last["data"]["from"], &last["data"]["to"]), (&json!("running"), &json!("cancelled")));
    assert_eq!(last["data"]["reason"], "cancelled by the operator at 127.0.0.1, through the API");
    assert_eq!(server.post(&path, json!({})).await.status(), StatusCode::CONFLICT);
}

#[tokio::test]
async fn command_may_handle_sigterm() {
    let world = World::new();
    world.pipeline("gentle", &["trap 'echo cleaning up; exit 0' TERM; echo ready; while :; do sleep 0.02; done"]);
    let server = world.serve();
    let id = server.start(&world, "gentle").await;
    server.until_line(&id, "ready").await;
    server.post(&format!("/api/v1/runs/{id}/cancel"), json!({})).await;
    server.until_status(&id, "cancelled").await;
    let frames = server.frames(&id).await;
    let printed = frames.iter().filter(|frame| frame["kind"] == "log");
    let lines: Vec<_> = printed.map(|frame| frame["data"]["line"].as_str().unwrap()).collect();
    // In between, the shell may say that its sleep was terminated.
    assert_eq!((lines.first(), lines.last()), (Some(&"ready"), Some(&"cleaning up")), "{lines:?}");
}

#[tokio::test]
async fn background_process_of_a_command_ends_with_it() {
    let world = World::new();
    world.pipeline(
        "leaves",
        &["sleep 1000 & echo $! > pids; setsid sh -c 'echo $$ >> pids; exec sleep 1000' & \
                                while [ $(wc -l < pids) -lt 2 ]; do sleep 0.02; done; echo done"],
    );
    let server = world.serve();
    let id = server.start(&world, "leaves").await;
    server.until_status(&id, "completed").await;
    let left = pids(&world.file("pids"));
    assert_eq!(left.len(), 2);
    assert!(left.iter().all(|pid| !alive(*pid)));
    assert_eq!(server.lines(&id).await, ["done"]);
}

#[tokio::test]
async fn phase_timeout_ends_the_command() {
    let world = World::new();
    world.toml("slow", "name = \"slow\"\n[[phases]]\nname = \"a\"\nrun = \"sleep 1000\"\ntimeout = \"100ms\"\n");
    let server = world.serve();
    let response = server.post("/api/v1/runs", json!({"pipeline": "slow"})).await;
    let id = response.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    let run = server.until_status(&id, "failed").await;
    assert_eq!(run["error"], "phase a took longer than 100ms");
    let error = server.frames(&id).await.into_iter().find(|frame| frame["kind"] == "error").unwrap();
    assert_eq!(error["data"]["code"], "phase_timeout");
}

#[tokio::test]
async fn command_killed_by_a_signal_has_its_exit_code() {
    let world = World::new();
    world.pipeline("shot", &["kill -SEGV $$"]);
    let server = world.serve();
    let id = server.start(&world, "shot").await;
    let run = server.until_status(&id, "failed").await;
    assert_eq!(run["phases"][0]["exit_code"], 139);
}

/// A lease is kept as long as its worker lives, however long the phase prints nothing.
#[tokio::test]
async fn lease_is_renewed_during_a_silent_phase() {
    let world = World::new();
    world.pipeline("silent", &["while [ ! -e go ]; do sleep 0.02; done"]);
    let server = world.serve_with(&["--lease", "6s"]);
    let id = server.start(&world, "silent").await;
    server.until_status(&id, "running").await;
    let database = rusqlite::Connection::open(world.data().join("runtrail.db")).unwrap();
    let lease = || -> i64 { database.query_row("SELECT lease_until FROM runs", [], |row| row.get(0)).unwrap() };
    let first = lease();
    until("the first lease is over", async || (runtrail::model::Timestamp::now().0 > first).then_some(())).await;
    assert!(lease() > first);
    assert_eq!(server.run(&id).await["status"], "running");
    std::fs::write(world.file("go"), "").unwrap();
    server.until_status(&id, "completed").await;
}

#[tokio::test]
async fn command_inherits_no_descriptors() {
    let world = World::new();
    std::fs::write(world.file("secret"), "a secret\n").unwrap();
    world.pipeline("read", &["(cat <&9) 2>/dev/null || echo nothing is open"]);
    let server = world.serve_with_open_file(&world.file("secret"));
    let id = server.start(&world, "read").await;
    server.until_status(&id, "completed").await;
    assert_eq!(server.lines(&id).await, ["nothing is open"]);
}
