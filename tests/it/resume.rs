//! Attempts that continue where an earlier one ended: requested by a person, or automatic after an interruption.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Events, Server, World, until};

/// Three phases that record when they run. The second blocks until it is released, and then ends as configured.
fn pipeline(world: &World, on_interrupt: &str) {
    let note =
        "echo \\\"$RUNTRAIL_ATTEMPT $RUNTRAIL_PHASE $RUNTRAIL_OUTPUT_MADE\\\" | tee -a $RUNTRAIL_PARAM_PROJECT/notes";
    let phase = |name: &str, run: &str| format!("[[phases]]\nname = \"{name}\"\nrun = \"{note}; {run}\"\n");
    let hold = "cd $RUNTRAIL_PARAM_PROJECT; while [ ! -e go ]; do sleep 0.02; done; test ! -e bad";
    let all =
        [phase("make", "echo ::output made=$RUNTRAIL_ATTEMPT"), phase("hold", hold), phase("tell", "true")].concat();
    let head =
        format!("name = \"p\"\non_interrupt = \"{on_interrupt}\"\n[[params]]\nname = \"project\"\ntype = \"path\"\n");
    world.toml("p", &format!("{head}{all}"));
}

fn notes(world: &World) -> Vec<String> {
    let notes = std::fs::read_to_string(world.file("notes")).unwrap_or_default();
    notes.lines().map(|line| line.trim_end().to_owned()).collect()
}

async fn until_phase(server: &Server, id: &str, attempt: u32, phase: &str) -> Value {
    until(&format!("attempt {attempt} is in {phase}"), async || {
        let run = server.run(id).await;
        (run["attempt"] == attempt && run["phase"] == phase).then_some(run)
    })
    .await
}

fn states(run: &Value) -> Vec<&str> {
    run["phases"].as_array().unwrap().iter().map(|phase| phase["state"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn rerun_may_start_at_the_failed_phase() {
    let world = World::new();
    pipeline(&world, "fail");
    let server = world.serve();
    std::fs::write(world.file("go"), "").unwrap();
    std::fs::write(world.file("bad"), "").unwrap();
    let id = server.start(&world, "p").await;
    let failed = server.until_status(&id, "failed").await;
    assert_eq!(states(&failed), ["completed", "failed", "skipped"]);
    std::fs::remove_file(world.file("bad")).unwrap();
    let rerun = async |body: Value| server.post(&format!("/api/v1/runs/{id}/rerun"), body).await;
    let queued: Value = rerun(json!({ "from": "failed" })).await.json().await.unwrap();
    assert_eq!((&queued["attempt"], states(&queued)[0]), (&json!(2), "completed"));
    assert_eq!(queued["phases"][0], failed["phases"][0], "what became of it is carried over");
    let run = server.until_status(&id, "completed").await;
    assert_eq!((states(&run), &run["attempt"]), (vec!["completed"; 3], &json!(2)));
    assert_eq!(notes(&world), ["1 make", "1 hold 1", "2 hold 1", "2 tell 1"]);

    let frames = server.frames(&id).await;
    let second = frames.iter().filter(|frame| frame["attempt"] == 2).collect::<Vec<_>>();
    assert!(second[0]["data"]["reason"].as_str().unwrap().starts_with("re-run from phase hold by"), "{}", second[0]);
    assert_eq!((&second[1]["data"]["name"], &second[1]["data"]["carried"]), (&json!("make"), &json!(true)));
    assert!(second[3..].iter().all(|frame| frame["data"]["carried"].is_null()));

    let all_well = rerun(json!({ "from": "failed" })).await;
    assert_eq!(all_well.status(), StatusCode::CONFLICT);
    assert_eq!(all_well.json::<Value>().await.unwrap()["code"], "nothing_failed");
    assert_eq!(rerun(json!({ "from": "middle" })).await.status(), StatusCode::BAD_REQUEST);
    // From the start nothing is carried over.
    assert_eq!(rerun(json!({})).await.status(), StatusCode::ACCEPTED);
    server.until_status(&id, "completed").await;
    assert_eq!(notes(&world)[4..], ["3 make", "3 hold 3", "3 tell 3"]);
}

/// Killed in the second phase repeatedly, and stopped in order: each time the run resumes there.
#[tokio::test]
async fn resume_starts_at_the_unfinished_phase() {
    let world = World::new();
    pipeline(&world, "resume");
    let mut server = world.serve();
    let id = server.start(&world, "p").await;
    for attempt in 1..=3 {
        until_phase(&server, &id, attempt, "hold").await;
        let noted = format!("{attempt} hold 1");
        until("its command runs", async || notes(&world).contains(&noted).then_some(())).await;
        match attempt {
            3 => assert_eq!(server.terminate().await, Some(0)),
            _ => server.kill_and_lapse(),
        }
        server = world.serve();
    }
    let run = until_phase(&server, &id, 4, "hold").await;
    assert_eq!(states(&run), ["completed", "started", "pending"]);
    std::fs::write(world.file("go"), "").unwrap();
    let run = server.until_status(&id, "completed").await;
    assert_eq!(run["attempt"], 4);
    let expected = ["1 make", "1 hold 1", "2 hold 1", "3 hold 1", "4 hold 1", "4 tell 1"];
    assert_eq!(notes(&world), expected);
    let frames = server.frames(&id).await;
    let moves: Vec<(&str, &str)> = frames
        .iter()
        .filter(|frame| frame["kind"] == "status")
        .map(|frame| (frame["data"]["from"].as_str().unwrap(), frame["data"]["to"].as_str().unwrap()))
        .collect();
    let once = [("pending", "running"), ("running", "interrupted"), ("interrupted", "pending")];
    let expected = [once, once, once].concat();
    assert_eq!(moves[..9], expected);
    assert_eq!(moves[9..], [("pending", "running"), ("running", "completed")]);
}

/// A reader follows the run across an interruption: the stream ends with the run, not before.
#[tokio::test]
async fn resume_keeps_streams_open() {
    let world = World::new();
    pipeline(&world, "resume");
    let server = world.serve();
    let id = server.start(&world, "p").await;
    until_phase(&server, &id, 1, "hold").await;
    server.kill();
    let server = world.serve();
    let stream = Events::open(&server, &format!("/runs/{id}/events")).await;
    let heard = tokio::spawn(stream.all());
    until_phase(&server, &id, 2, "hold").await;
    std::fs::write(world.file("go"), "").unwrap();
    let heard = heard.await.unwrap();
    let (end, frames) = heard.split_last().unwrap();
    assert_eq!(end.event, "end");
    assert_eq!(frames.iter().filter(|event| event.event == "end").count(), 0);
    let moves: Vec<_> = heard.iter().filter(|event| event.data.contains("\"from\":\"interrupted\"")).collect();
    assert_eq!(moves.len(), 1, "{heard:?}");
    let run = server.run(&id).await;
    assert_eq!((&run["status"], &run["attempt"]), (&json!("completed"), &json!(2)));
}

/// The number of consecutive automatic attempts in the database.
fn resumes(world: &World, id: &str, set: Option<u32>) -> u32 {
    let database = rusqlite::Connection::open(world.data().join("runtrail.db")).unwrap();
    if let Some(set) = set {
        assert_eq!(database.execute("UPDATE runs SET resumes = ? WHERE id = ?", (set, id)).unwrap(), 1);
    }
    database.query_row("SELECT resumes FROM runs WHERE id = ?", [id], |row| row.get(0)).unwrap()
}

/// A run that ends its server each time is not resumed forever, and one without `on_interrupt` stays interrupted.
#[tokio::test]
async fn resume_is_limited_without_progress() {
    let world = World::new();
    pipeline(&world, "fail");
    // The parent of the supervisor is the server.
    let head = "name = \"deadly\"\non_interrupt = \"resume\"\n[[phases]]\nname = \"kill\"\n";
    world.toml(
        "deadly",
        &format!("{head}run = \"read pid name state parent rest < /proc/$PPID/stat; kill -9 $parent\"\n"),
    );
    let mut server = world.serve();
    let stays = server.start(&world, "p").await;
    until_phase(&server, &stays, 1, "hold").await;
    let started = server.post("/api/v1/runs", json!({ "pipeline": "deadly" })).await;
    let id = started.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    for attempt in 1..=4 {
        until(&format!("attempt {attempt} has ended the server"), async || {
            let gone = server.client.get(format!("{}/healthz", server.url)).send().await.is_err();
            gone.then_some(())
        })
        .await;
        server.kill_and_lapse();
        assert_eq!(resumes(&world, &id, None), [0, 1, 99, 100][attempt - 1]);
        // Most of the hundred are as the first ones.
        if attempt == 2 {
            resumes(&world, &id, Some(98));
        }
        server = world.serve();
    }
    let run = server.until_status(&id, "interrupted").await;
    assert_eq!(run["attempt"], 4);
    assert!(
        run["error"].as_str().unwrap().ends_with("100 times in a row are enough, so it does not go on by itself again"),
        "{run}"
    );
    let stays = server.until_status(&stays, "interrupted").await;
    assert_eq!((&stays["attempt"], states(&stays)), (&json!(1), vec!["completed", "failed", "skipped"]));
    // It is over only for the engine: a person may ask for it again.
    let again = server.post(&format!("/api/v1/runs/{id}/rerun"), json!({})).await;
    assert_eq!(again.status(), StatusCode::ACCEPTED);
}

/// A run that progresses each time, or is stopped in order, resumes as often as needed.
#[tokio::test]
async fn resume_is_unlimited_with_progress() {
    let world = World::new();
    let phases: String = (1..=4)
        .map(|number| {
            let hold = format!("while [ ! -e $RUNTRAIL_PARAM_PROJECT/go{number} ]; do sleep 0.02; done");
            format!("[[phases]]\nname = \"p{number}\"\nrun = \"{hold}\"\n")
        })
        .collect();
    let params = "[[params]]\nname = \"project\"\ntype = \"path\"\n";
    world.toml("p", &format!("name = \"p\"\non_interrupt = \"resume\"\n{params}{phases}"));
    let mut server = world.serve();
    let id = server.start(&world, "p").await;
    let go_on = |number: u32| std::fs::write(world.file(&format!("go{number}")), "").unwrap();
    until_phase(&server, &id, 1, "p1").await;
    let mut counted = Vec::new();
    // Killed in p1, then in p2 and p3, each time after the one before has ended; then twice in p3, once in order.
    for (attempt, kill, to) in [(1, true, 1), (2, true, 2), (3, true, 3), (4, false, 3), (5, true, 3)] {
        if to > 1 {
            go_on(to - 1);
        }
        until_phase(&server, &id, attempt, &format!("p{to}")).await;
        if kill {
            server.kill_and_lapse();
        } else {
            assert_eq!(server.terminate().await, Some(0));
        }
        server = world.serve();
        until_phase(&server, &id, attempt + 1, &format!("p{to}")).await;
        counted.push(resumes(&world, &id, None));
    }
    assert_eq!(counted, [1, 1, 1, 1, 2]);
    (3..=4).for_each(go_on);
    assert_eq!(server.until_status(&id, "completed").await["attempt"], 6);
}

/// A phase that may fail but was interrupted has not completed.
#[tokio::test]
async fn resume_includes_phases_that_may_fail() {
    let world = World::new();
    pipeline(&world, "resume");
    let file = world.file("../pipelines/p.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("name = \"hold\"", "name = \"hold\"\ncontinue_on_error = true")).unwrap();
    let server = world.serve();
    let id = server.start(&world, "p").await;
    until_phase(&server, &id, 1, "hold").await;
    server.kill_and_lapse();
    let server = world.serve();
    let run = until_phase(&server, &id, 2, "hold").await;
    assert_eq!(states(&run), ["completed", "started", "pending"]);
}

/// A cancel request takes effect and names its author, whether the server dies before or after it.
#[tokio::test]
async fn resume_honors_a_cancel_request() {
    for server_is_gone in [false, true] {
        let world = World::new();
        let head = "name = \"deaf\"\non_interrupt = \"resume\"\n[[phases]]\nname = \"hold\"\n";
        world.toml("deaf", &format!("{head}run = \"trap '' TERM; echo deaf; while :; do sleep 0.1; done\"\n"));
        let mut server = world.serve_with(&["--grace", "60s"]);
        let started = server.post("/api/v1/runs", json!({ "pipeline": "deaf" })).await;
        let id = started.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
        server.until_line(&id, "deaf").await;
        if server_is_gone {
            server.kill();
            server = world.serve();
            until("it goes on by itself", async || (server.lines(&id).await == ["deaf", "deaf"]).then_some(())).await;
        }
        let asked = server.post(&format!("/api/v1/runs/{id}/cancel"), json!({})).await;
        assert_eq!(asked.status(), StatusCode::ACCEPTED);
        server.kill_and_lapse();
        let server = world.serve();
        let run = server.until_status(&id, "cancelled").await;
        let attempt = if server_is_gone { 2 } else { 1 };
        assert_eq!((&run["attempt"], states(&run)), (&json!(attempt), vec!["failed"]));
        let last = server.frames(&id).await.pop().unwrap();
        let reason = last["data"]["reason"].as_str().unwrap();
        assert!(reason.starts_with("cancelled by the operator at 127.0.0.1, through the API; its worker"), "{reason}");
    }
}

/// A run whose pipeline cannot be read, as after a downgrade, ends and blocks no other.
#[tokio::test]
async fn recovery_includes_unreadable_runs() {
    let world = World::new();
    pipeline(&world, "resume");
    let server = world.serve();
    let (odd, other) = (server.start(&world, "p").await, server.start(&world, "p").await);
    for id in [&odd, &other] {
        until_phase(&server, id, 1, "hold").await;
    }
    server.kill_and_lapse();
    let database = rusqlite::Connection::open(world.data().join("runtrail.db")).unwrap();
    let later = "UPDATE attempts SET pipeline = json_set(pipeline, '$.on_interrupt', 'later')
        WHERE run = (SELECT key FROM runs WHERE id = ?)";
    assert_eq!(database.execute(later, [&odd]).unwrap(), 1);
    drop(database);
    let server = world.serve();
    until_phase(&server, &other, 2, "hold").await;
    let run = server.until_status(&odd, "interrupted").await;
    assert_eq!(states(&run), ["completed", "failed", "skipped"]);
    assert!(run["error"].as_str().unwrap().ends_with("what it was to do cannot be read"), "{run}");
}

/// An approval that depends on patches asks whichever attempt reported them; carried-over results stay when the new
/// attempt is cancelled.
#[tokio::test]
async fn resume_carries_results_over() {
    let world = World::new();
    let patch = r#"::frame {"kind":"patch","path":"a","diff":"x"}"#;
    std::fs::write(world.file("patch"), format!("{patch}\n")).unwrap();
    let head = "name = \"g\"\n[[params]]\nname = \"project\"\ntype = \"path\"\n";
    let phases = "[[phases]]\nname = \"make\"\nrun = \"cat patch\"\n[[phases]]\nname = \"check\"\nrun = \"test -e good\"\n[[phases]]\nname = \"deploy\"\nrun = \"true\"\napproval = { patches = true }\n";
    world.toml("g", &format!("{head}{phases}")).pipeline("long", &["sleep 1000"]);
    let server = world.serve_with(&["--workers", "1"]);
    let id = server.start(&world, "g").await;
    server.until_status(&id, "failed").await;
    let busy = server.start(&world, "long").await;
    server.until_status(&busy, "running").await;
    let rerun = async || server.post(&format!("/api/v1/runs/{id}/rerun"), json!({ "from": "failed" })).await;
    assert_eq!(rerun().await.status(), StatusCode::ACCEPTED);
    server.post(&format!("/api/v1/runs/{id}/cancel"), json!({})).await;
    assert_eq!(states(&server.until_status(&id, "cancelled").await), ["completed", "skipped", "skipped"]);
    std::fs::write(world.file("good"), "").unwrap();
    server.post(&format!("/api/v1/runs/{busy}/cancel"), json!({})).await;
    assert_eq!(rerun().await.status(), StatusCode::ACCEPTED);
    let run = server.until_awaiting_approval(&id).await;
    assert_eq!((&run["attempt"], &run["phase"]), (&json!(3), &json!("deploy")));
    assert_eq!(server.frames(&id).await.iter().filter(|frame| frame["kind"] == "patch").count(), 1);
}
