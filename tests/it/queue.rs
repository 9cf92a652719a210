//! The order of runs: priorities, and groups with one running run at a time.

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Server, World, until};

/// A pipeline whose runs record their start and end, and block until the file of their name exists.
fn pipeline(world: &World, name: &str, head: &str) {
    let run = "cd $RUNTRAIL_PARAM_PROJECT; echo +$RUNTRAIL_PARAM_NAME >> notes
while [ ! -e $RUNTRAIL_PARAM_NAME ] && [ ! -e all ]; do sleep 0.02; done; echo -$RUNTRAIL_PARAM_NAME >> notes";
    let param = |name: &str, kind: &str| format!("[[params]]\nname = \"{name}\"\ntype = \"{kind}\"\n");
    let params = [param("project", "path"), param("name", "string"), param("branch", "string")].concat();
    world.toml(name, &format!("name = \"{name}\"\n{head}\n{params}[[phases]]\nname = \"a\"\nrun = '''\n{run}\n'''\n"));
}

fn notes(world: &World) -> Vec<String> {
    std::fs::read_to_string(world.file("notes")).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn let_go(world: &World, name: &str) {
    std::fs::write(world.file(name), "").unwrap();
}

fn body(world: &World, pipeline: &str, name: &str, branch: &str, priority: Option<i32>) -> Value {
    let params = json!({ "project": world.project(), "name": name, "branch": branch });
    let mut body = json!({ "pipeline": pipeline, "params": params });
    if let Some(priority) = priority {
        body["priority"] = priority.into();
    }
    body
}

async fn start(server: &Server, body: Value) -> String {
    let answer = server.post("/api/v1/runs", body).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
}

/// The ids of pending runs, in order, and what blocks each.
async fn queue(server: &Server) -> Vec<(String, Option<String>)> {
    let queue = server.get_json("/api/v1/queue").await;
    let waiting = queue["waiting"].as_array().unwrap();
    assert_eq!(queue["total"], waiting.len());
    let text = |value: &Value| value.as_str().map(str::to_owned);
    for (place, run) in waiting.iter().enumerate() {
        let same = waiting[..=place].iter().filter(|other| other["held_by"] == run["held_by"]);
        assert_eq!(run["position"], same.count());
    }
    waiting.iter().map(|run| (text(&run["id"]).unwrap(), text(&run["held_by"]))).collect()
}

async fn until_noted(world: &World, expected: &[&str]) {
    until(&format!("{expected:?} are noted"), async || (notes(world) == expected).then_some(())).await;
}

fn last_reason(frames: &[Value]) -> &str {
    frames.last().unwrap()["data"]["reason"].as_str().unwrap()
}

#[tokio::test]
async fn queue_orders_by_priority_then_age() {
    let world = World::new();
    pipeline(&world, "p", "");
    pipeline(&world, "urgent", "priority = 5");
    let server = world.serve_with(&["--workers", "1"]);
    let one = start(&server, body(&world, "p", "one", "", None)).await;
    server.until_status(&one, "running").await;
    let mut ids = Vec::new();
    for (pipeline, name, priority) in [
        ("p", "two", None),
        ("p", "three", Some(7)),
        ("urgent", "four", None),
        ("p", "five", Some(-3)),
        ("p", "six", None),
    ] {
        ids.push(start(&server, body(&world, pipeline, name, "", priority)).await);
    }
    let order: Vec<String> = queue(&server).await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(order, [1, 2, 0, 4, 3].map(|place| ids[place].clone()));
    assert_eq!(server.run(&ids[1]).await["priority"], 7);
    let_go(&world, "all");
    for id in &ids {
        server.until_status(id, "completed").await;
    }
    let begun: Vec<String> = notes(&world).into_iter().filter(|note| note.starts_with('+')).collect();
    assert_eq!(begun, ["+one", "+three", "+four", "+two", "+six", "+five"]);
    assert_eq!(queue(&server).await, []);

    for priority in [101, -101] {
        let answer = server.post("/api/v1/runs", body(&world, "p", "x", "", Some(priority))).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn queue_runs_one_of_a_group_at_a_time() {
    let world = World::new();
    pipeline(&world, "p", "concurrency = \"per branch\"");
    let server = world.serve_with(&["--workers", "2"]);
    let mut ids = Vec::new();
    for (name, branch) in [("one", "x"), ("two", "x"), ("three", "x"), ("four", "y")] {
        ids.push(start(&server, body(&world, "p", name, branch, None)).await);
    }
    // The second worker is not kept by those that wait for the first.
    server.until_status(&ids[3], "running").await;
    let held = |place: usize| (ids[place].clone(), Some(ids[0].clone()));
    assert_eq!(queue(&server).await, [held(1), held(2)]);
    let_go(&world, "one");
    server.until_status(&ids[1], "running").await;
    assert_eq!(server.run(&ids[2]).await["status"], "pending");
    let_go(&world, "all");
    for id in &ids {
        server.until_status(id, "completed").await;
    }
    let of_group: Vec<String> = notes(&world).into_iter().filter(|note| !note.ends_with("four")).collect();
    assert_eq!(of_group, ["+one", "-one", "+two", "-two", "+three", "-three"]);
}

/// The one that runs, and all that wait.
#[tokio::test]
async fn queue_cancel_previous_supersedes() {
    let world = World::new();
    pipeline(&world, "p", "concurrency = { per = \"branch\", when_busy = \"cancel-previous\" }");
    let server = world.serve_with(&["--workers", "3"]);
    let other = start(&server, body(&world, "p", "other", "y", None)).await;
    let one = start(&server, body(&world, "p", "one", "x", None)).await;
    until("both have begun", async || (notes(&world).len() == 2).then_some(())).await;
    let asked = join_all((0..5).map(|place| start(&server, body(&world, "p", &format!("n{place}"), "x", None)))).await;
    let ended = server.until_status(&one, "cancelled").await;
    assert_eq!(ended["attempt"], 1);
    // Of those that were asked for at once one is the last; it alone is carried out to its end.
    let_go(&world, "all");
    let mut completed = Vec::new();
    for id in &asked {
        let run = until("it has ended", async || {
            let run = server.run(id).await;
            (run["finished_at"] != Value::Null).then_some(run)
        })
        .await;
        if run["status"] == "completed" {
            completed.push(id);
        } else {
            let frames = server.frames(id).await;
            assert!(last_reason(&frames).ends_with(", which takes its place"), "{}", last_reason(&frames));
        }
    }
    // Whichever is last is not taken the place of.
    assert!(!completed.is_empty());
    server.until_status(&other, "completed").await;
    let frames = server.frames(&one).await;
    assert!(last_reason(&frames).contains("which takes its place"), "{}", last_reason(&frames));
}

/// A person's answer is not waited for either.
#[tokio::test]
async fn queue_slot_is_free_during_approval() {
    let world = World::new();
    let text = "name = \"p\"\nconcurrency = { per = \"pipeline\", when_busy = \"cancel-previous\" }
[[phases]]\nname = \"a\"\nrun = \"true\"\napproval = true\n";
    world.toml("p", text);
    let server = world.serve();
    let start = async || start(&server, json!({ "pipeline": "p" })).await;
    let one = start().await;
    server.until_awaiting_approval(&one).await;
    let two = start().await;
    server.until_status(&one, "cancelled").await;
    server.until_awaiting_approval(&two).await;
    let approved = server.post(&format!("/api/v1/runs/{two}/approve"), json!({})).await;
    assert_eq!(approved.status(), StatusCode::ACCEPTED);
    server.until_status(&two, "completed").await;
}

#[tokio::test]
async fn queue_busy_group_may_refuse() {
    let world = World::new();
    pipeline(&world, "p", "concurrency = { per = \"branch\", when_busy = \"refuse\" }");
    let server = world.serve();
    // At once: one is taken.
    let asked = (0..6).map(|place| server.post("/api/v1/runs", body(&world, "p", &format!("n{place}"), "x", None)));
    let mut taken = Vec::new();
    for answer in join_all(asked).await {
        match answer.status() {
            StatusCode::CREATED => taken.push(answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()),
            status => {
                let problem = answer.json::<Value>().await.unwrap();
                assert_eq!(
                    (status, &problem["code"], &problem["retryable"]),
                    (StatusCode::CONFLICT, &json!("group_busy"), &json!(true))
                );
            }
        }
    }
    let [one] = taken.as_slice() else { panic!("{taken:?} were taken") };
    let refused = server.post("/api/v1/runs", body(&world, "p", "x", "x", None)).await.json::<Value>().await.unwrap();
    assert!(refused["detail"].as_str().unwrap().contains(one.as_str()), "{refused}");
    let other = start(&server, body(&world, "p", "other", "y", None)).await;
    let_go(&world, "all");
    server.until_status(one, "completed").await;
    server.until_status(&other, "completed").await;

    // A re-run asks like any other.
    std::fs::remove_file(world.file("all")).unwrap();
    let two = start(&server, body(&world, "p", "two", "x", None)).await;
    let rerun = async || server.post(&format!("/api/v1/runs/{one}/rerun"), json!({})).await;
    let refused = rerun().await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "group_busy");
    let_go(&world, "all");
    server.until_status(&two, "completed").await;
    assert_eq!(rerun().await.status(), StatusCode::ACCEPTED);
    server.until_status(one, "completed").await;
}

/// Runs keep their order after a crash: the one that resumes is ahead of the one that waits.
#[tokio::test]
async fn queue_survives_restarts() {
    let world = World::new();
    pipeline(&world, "queued", "on_interrupt = \"resume\"\nconcurrency = \"per branch\"");
    let server = world.serve();
    let one = start(&server, body(&world, "queued", "one", "x", None)).await;
    let two = start(&server, body(&world, "queued", "two", "x", None)).await;
    until_noted(&world, &["+one"]).await;
    server.kill_and_lapse();
    let server = world.serve();
    until_noted(&world, &["+one", "+one"]).await;
    assert_eq!(queue(&server).await, [(two.clone(), Some(one.clone()))]);
    let_go(&world, "all");
    server.until_status(&two, "completed").await;
    assert_eq!(notes(&world), ["+one", "+one", "-one", "+two", "-two"]);
    drop(server);

    let world = World::new();
    let head = "on_interrupt = \"resume\"\nconcurrency = { per = \"branch\", when_busy = \"cancel-previous\" }";
    pipeline(&world, "p", head);
    let server = world.serve();
    let one = start(&server, body(&world, "p", "one", "x", None)).await;
    until_noted(&world, &["+one"]).await;
    server.kill();
    // It resumes, until it is superseded.
    let server = world.serve();
    until_noted(&world, &["+one", "+one"]).await;
    let two = start(&server, body(&world, "p", "two", "x", None)).await;
    until("the first one is cancelled", async || (server.run(&one).await["status"] == "cancelled").then_some(())).await;
    let_go(&world, "all");
    server.until_status(&two, "completed").await;
    let ended = server.run(&one).await;
    assert_eq!((&ended["status"], &ended["attempt"]), (&json!("cancelled"), &json!(2)));
    assert_eq!(notes(&world), ["+one", "+one", "+two", "-two"]);
}

/// Requests beyond the limit are refused with the remedy, whoever makes them; waiting runs are not affected, and a run
/// that ends makes room.
#[tokio::test]
async fn queue_length_is_limited() {
    let world = World::new();
    let secret = "correct horse battery staple";
    std::fs::write(world.data().join("secret"), secret).unwrap();
    world.toml(
        "p",
        &format!(
            "name = \"p\"\n[[phases]]\nname = \"a\"\nrun = \"sleep 1000\"\n[hook]\nsecret_file = '{}'\n\
             [[schedules]]\ncron = \"* * * * * *\"\noverlap = \"queue\"\n",
            world.data().join("secret").display()
        ),
    );
    world.toml("short", "name = \"short\"\n[[phases]]\nname = \"a\"\nrun = \"true\"\n");
    let server = world.serve_with(&["--workers", "1", "--max-queued", "5"]);
    let ended = server.post("/api/v1/runs", json!({ "pipeline": "short" })).await.json::<Value>().await.unwrap();
    let ended = ended["id"].as_str().unwrap().to_owned();
    // Asked for first, or after some of the schedule's: it is cancelled if it waits.
    server.post(&format!("/api/v1/runs/{ended}/cancel"), json!({})).await;
    until("it has ended", async || (server.run(&ended).await["finished_at"] != Value::Null).then_some(())).await;
    until("the queue is full", async || (server.get_json("/api/v1/queue").await["total"] == 5).then_some(())).await;
    let keyed = |key: &'static str| {
        let request = server.client.post(format!("{}/api/v1/runs", server.url)).header("idempotency-key", key);
        request.json(&json!({ "pipeline": "short" })).send()
    };
    let body = "{}";
    let mac = {
        use hmac::Mac as _;
        let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let hook = server.client.post(format!("{}/api/v1/hooks/p", server.url)).body(body);
    let hook = hook.header("x-hub-signature-256", format!("sha256={mac}")).header("content-type", "application/json");
    for refused in [
        server.post("/api/v1/runs", json!({ "pipeline": "short" })).await,
        server.post(&format!("/api/v1/runs/{ended}/rerun"), json!({})).await,
        keyed("k").await.unwrap(),
        hook.send().await.unwrap(),
    ] {
        assert_eq!(
            (refused.status(), &refused.headers()["retry-after"]),
            (StatusCode::TOO_MANY_REQUESTS, &"30".parse().unwrap())
        );
        let problem: Value = refused.json().await.unwrap();
        assert_eq!((&problem["code"], &problem["retryable"]), (&json!("too_many_queued"), &json!(true)), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("--max-queued"), "{problem}");
    }
    until("a due time is left out", async || {
        let schedules = server.get_json("/api/v1/schedules").await;
        let skipped = &schedules["schedules"][0]["skipped"];
        (skipped["kind"] == "queue_full" && skipped["reason"].as_str().unwrap().contains("--max-queued")).then_some(())
    })
    .await;
    assert_eq!(server.get_json("/api/v1/queue").await["total"], 5);
    // Room for one: the key that was refused starts it.
    server.post("/api/v1/schedules/pause", json!({})).await;
    let waiting = server.get_json("/api/v1/queue").await["waiting"][0]["id"].as_str().unwrap().to_owned();
    server.post(&format!("/api/v1/runs/{waiting}/cancel"), json!({})).await;
    assert_eq!(keyed("k").await.unwrap().status(), StatusCode::CREATED);
    assert_eq!(
        keyed("k").await.unwrap().status(),
        StatusCode::OK,
        "the same request is the same run, also in a full queue"
    );
}
