//! Instances and workers: pages without workers, workers without pages, labels, draining, heartbeats.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::{LIMIT, Server, World, until};

/// A pipeline whose runs end once the file `go` is in the project.
fn blocked(world: &World, name: &str, keys: &str) {
    let wait = "cd $RUNTRAIL_PARAM_PROJECT; while [ ! -e go ]; do sleep 0.02; done";
    world.phase(name, wait, keys);
}

fn release(world: &World) {
    std::fs::write(world.file("go"), "").unwrap();
}

async fn waiting_for(server: &Server, id: &str) -> Value {
    let queue = server.get_json("/api/v1/queue").await;
    let entry = queue["waiting"].as_array().unwrap().iter().find(|run| run["id"] == id).cloned();
    let waiting_for = entry.map(|entry| entry["waiting_for"].clone()).unwrap_or_default();
    assert_eq!(server.run(id).await["waiting_for"], waiting_for, "queue and run say the same");
    waiting_for
}

/// The workers that a server lists, each with a few fields.
async fn workers(server: &Server) -> Vec<(String, String, u64, u64)> {
    let list = server.get_json("/api/v1/workers").await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let fields = |worker: &Value| {
        (
            text(&worker["name"]),
            text(&worker["state"]),
            worker["busy"].as_u64().unwrap(),
            worker["free"].as_u64().unwrap(),
        )
    };
    list["workers"].as_array().unwrap().iter().map(fields).collect()
}

/// The value of a metric without labels.
async fn metric(server: &Server, name: &str) -> u64 {
    let text = server.get("/metrics").await.text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("runtrail_{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

/// The output and exit code of a program that ends by itself.
async fn said(flags: &[&str]) -> (Option<i32>, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_runtrail"));
    let ended = program.args(flags).kill_on_drop(true).output();
    let output = tokio::time::timeout(LIMIT, ended).await.unwrap_or_else(|_| panic!("it goes on: {flags:?}")).unwrap();
    (output.status.code(), String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned())
}

/// Pages on one program, runs on another: with SQLite one after the other.
#[tokio::test]
async fn server_without_workers_leaves_runs_to_a_worker() {
    let world = World::new();
    world.pipeline("short", &["echo done"]);
    let server = world.serve_logged(&[], &["--workers", "0", "--name", "pages", "--lease", "600ms"]);
    let id = server.start(&world, "short").await;
    let missing = waiting_for(&server, &id).await;
    assert_eq!(missing["message"], "no worker", "{missing}");
    assert_eq!(missing["since"], server.run(&id).await["queued_at"]);
    assert_eq!(workers(&server).await, [("pages".to_owned(), "live".to_owned(), 0, 0)]);
    let list = server.get_json("/api/v1/workers").await;
    assert_eq!((&list["workers"][0]["slots"], &list["workers"][0]["is_this"]), (&json!(0), &json!(true)));
    assert_eq!(list["shortages"], json!([{ "message": "no worker", "since": missing["since"], "runs": 1 }]));
    assert_eq!((metric(&server, "workers_slots").await, metric(&server, "runs_without_worker").await), (0, 1));
    until("the log says what is missing", async || world.log().contains("no worker since 20").then_some(())).await;
    assert_eq!(server.terminate().await, Some(0));

    let worker = world.work_with(&["--name", "hands", "--workers", "2"]);
    until("the worker has executed the run", async || {
        let text = worker.get("/metrics").await.text().await.unwrap();
        text.contains("runtrail_runs{status=\"completed\"} 1").then_some(())
    })
    .await;
    assert_eq!(metric(&worker, "workers_slots").await, 2);
    for (path, status) in [
        ("/healthz", StatusCode::OK),
        ("/readyz", StatusCode::OK),
        ("/", StatusCode::NOT_FOUND),
        ("/login", StatusCode::NOT_FOUND),
        ("/api/v1/runs", StatusCode::NOT_FOUND),
        ("/events?list=1", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(worker.get(path).await.status(), status, "{path}");
    }
    assert_eq!(worker.terminate().await, Some(0));

    let server = world.serve();
    assert_eq!(server.lines(&id).await, ["done"]);
    let claimed = server.frames(&id).await.into_iter().find(|frame| frame["data"]["to"] == "running").unwrap();
    assert!(claimed["data"]["reason"].as_str().unwrap().contains("@hands ("), "{claimed}");
}

/// A worker asks for the token as well, and has no login.
#[tokio::test]
async fn worker_metrics_need_the_token() {
    let world = World::new();
    let token = "correct horse battery staple";
    let worker = world.work_with(&["--token", token]);
    assert_eq!(worker.get("/metrics").await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(worker.get("/healthz").await.status(), StatusCode::OK);
    let html = worker.client.get(format!("{}/", worker.url)).header("accept", "text/html").send().await.unwrap();
    assert_eq!(html.status(), StatusCode::UNAUTHORIZED, "it does not lead to a login that is not there");
    let with_token = worker.client.get(format!("{}/metrics", worker.url)).bearer_auth(token).send().await.unwrap();
    assert_eq!(with_token.status(), StatusCode::OK);
    let login = worker.client.post(format!("{}/login", worker.url)).bearer_auth(token).form(&[("token", token)]);
    assert_eq!(login.send().await.unwrap().status(), StatusCode::NOT_FOUND);
}

/// A run waits for a worker with the labels of the pipeline and of all phases; others pass it.
#[tokio::test]
async fn run_waits_for_a_worker_with_its_labels() {
    let world = World::new();
    world.pipeline("plain", &["echo plain"]);
    let phases =
        "[[phases]]\nname = \"a\"\nrun = \"echo a\"\n[[phases]]\nname = \"b\"\nrun = \"echo b\"\nruns_on = [\"gpu\"]\n";
    let project = "[[params]]\nname = \"project\"\ntype = \"path\"\n";
    world.toml("special", &format!("name = \"special\"\nruns_on = [\"linux\"]\npriority = 9\n{project}{phases}"));
    let server = world.serve_with(&["--label", "linux,small", "--name", "first"]);
    let special = server.start(&world, "special").await;
    let plain = server.start(&world, "plain").await;
    server.until_status(&plain, "completed").await;
    let missing = waiting_for(&server, &special).await;
    assert_eq!((&missing["message"], &missing["labels"]), (&json!("no worker with label gpu"), &json!(["gpu"])));
    let list = server.get_json("/api/v1/workers").await;
    assert_eq!(list["workers"][0]["labels"], json!(["linux", "small"]));
    assert_eq!(list["shortages"][0]["message"], "no worker with label gpu");
    assert_eq!(server.run(&special).await["status"], "pending");
    server.kill();

    let server = world.serve_with(&["--label", "linux", "--label", "gpu"]);
    server.until_status(&special, "completed").await;
    assert_eq!(server.lines(&special).await, ["a", "b"]);
    assert!(server.run(&special).await.get("waiting_for").is_none());
    assert_eq!(server.get_json("/api/v1/workers").await["shortages"], json!([]));

    // A re-run has the labels of the file as it is now.
    world.toml("special", &format!("name = \"special\"\nruns_on = [\"arm\"]\n{project}{phases}"));
    until("the file is read", async || {
        let pipelines = server.get_json("/api/v1/pipelines").await;
        pipelines.as_array().unwrap().iter().any(|known| known["runs_on"] == json!(["arm"])).then_some(())
    })
    .await;
    server.post(&format!("/api/v1/runs/{special}/rerun"), json!({})).await;
    assert_eq!(waiting_for(&server, &special).await["message"], "no worker with label arm");
    let cancelled = server.post(&format!("/api/v1/runs/{special}/cancel"), json!({})).await;
    assert_eq!(cancelled.status(), StatusCode::ACCEPTED);
    server.until_status(&special, "cancelled").await;
}

/// What draining does, whoever asks for it: the running run ends well, the queued one stays, the program ends with 0.
async fn drains(world: &World, server: Server, ask: impl AsyncFnOnce(&Server)) {
    let running = server.start(world, "blocked").await;
    server.until_status(&running, "running").await;
    assert_eq!(metric(&server, "draining").await, 0);
    ask(&server).await;
    until("it is draining", async || (metric(&server, "draining").await == 1).then_some(())).await;
    assert_eq!(metric(&server, "workers_free").await, 0);
    // Runs may still be queued.
    let queued = server.start(world, "blocked").await;
    assert_eq!(waiting_for(&server, &queued).await["message"], "no worker");
    assert_eq!(workers(&server).await, [("one".to_owned(), "draining".to_owned(), 1, 0)]);
    let page = server.client.get(format!("{}/", server.url)).header("accept", "text/html").send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("data-testid=\"drain-banner\"") && page.contains("when 1 run has finished"), "{page}");
    assert_eq!(server.run(&queued).await["status"], "pending");
    release(world);
    assert_eq!(server.ended().await, Some(0));

    let server = world.serve();
    let ended = server.run(&running).await;
    assert_eq!((&ended["status"], &ended["attempt"]), (&json!("completed"), &json!(1)));
    server.until_status(&queued, "completed").await;
}

#[tokio::test]
async fn drain_request_finishes_runs_and_ends_the_server() {
    let world = World::new();
    blocked(&world, "blocked", "");
    let server = world.serve_with(&["--name", "one", "--workers", "3"]);
    drains(&world, server, async |server| {
        let answer = server.post("/api/v1/drain", json!({})).await;
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        assert_eq!(answer.json::<Value>().await.unwrap()["busy"], 1);
        // Again, and it changes nothing.
        assert_eq!(server.post("/api/v1/drain", json!({})).await.status(), StatusCode::ACCEPTED);
        let audit = server.get_json("/api/v1/audit?action=instance_drain").await;
        assert_eq!(audit["entries"].as_array().unwrap().len(), 1, "{audit}");
    })
    .await;
}

#[tokio::test]
async fn drain_signal_finishes_runs_and_ends_the_server() {
    let world = World::new();
    blocked(&world, "blocked", "");
    let server = world.serve_with(&["--name", "one", "--workers", "3"]);
    drains(&world, server, async |server| {
        nix::sys::signal::kill(server.unix_pid(), nix::sys::signal::Signal::SIGUSR1).unwrap();
    })
    .await;
}

/// `runtrail drain` sends the server's token. A server that executes nothing ends at once.
#[tokio::test]
async fn drain_command_drains_the_server() {
    let world = World::new();
    let server = world.serve_guarded(&[]);
    let unauthorized = server.post("/api/v1/drain", json!({})).await;
    assert_eq!(unauthorized.status(), StatusCode::UNAUTHORIZED);
    let data = world.data();
    let (code, text) = said(&["drain", "--url", &server.url, "--data-dir", data.to_str().unwrap()]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("draining"), "{text}");
    assert_eq!(server.ended().await, Some(0));
}

/// A run that waits for an approval does not keep an instance from ending, and continues at the next one.
#[tokio::test]
async fn drain_does_not_wait_for_approvals() {
    let world = World::new();
    world.phase("asks", "echo approved", "approval = true");
    let server = world.serve();
    let id = server.start(&world, "asks").await;
    server.until_awaiting_approval(&id).await;
    server.post("/api/v1/drain", json!({})).await;
    assert_eq!(server.ended().await, Some(0));
    let server = world.serve();
    let approved = server.post(&format!("/api/v1/runs/{id}/approve"), json!({})).await;
    assert_eq!(approved.status(), StatusCode::ACCEPTED);
    server.until_status(&id, "completed").await;
}

/// Instances that were not seen for long are deleted, others are known to have ended, and the time since when a run
/// waits is that of the last one that could have taken it.
#[tokio::test]
async fn heartbeat_rows_expire() {
    let world = World::new();
    world.phase("special", "echo here", "runs_on = [\"gpu\"]");
    let server = world.serve_with(&["--workers", "0"]);
    let id = server.start(&world, "special").await;
    let queued_at = server.run(&id).await["queued_at"].as_str().unwrap().to_owned();
    server.terminate().await;
    let database = rusqlite::Connection::open(world.data().join("runtrail.db")).unwrap();
    let now = i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let seen = now + 60_000;
    for (name, seen_at) in [("forgotten", now - 2 * 24 * 60 * 60 * 1000), ("lost", seen)] {
        let insert =
            "INSERT INTO instances (id, owner, name, version, role, data_folder, labels, roots, slots, started_at,
            seen_at, lost_at) VALUES (?1, ?1, ?1, '1', 'worker', ?1, '[\"gpu\"]', '[]', 4, 0, ?2, ?2)";
        database.execute(insert, (name, seen_at)).unwrap();
        database.execute("INSERT INTO instance_offers VALUES (?1, 'label', 'gpu')", [name]).unwrap();
    }
    drop(database);
    let server = world.serve_with(&["--name", "now"]);
    let missing = waiting_for(&server, &id).await;
    assert_eq!(missing["message"], "no worker with label gpu");
    let since = missing["since"].as_str().unwrap();
    assert!(since > queued_at.as_str(), "a worker with the label was there later: {missing}");
    let database = rusqlite::Connection::open(world.data().join("runtrail.db")).unwrap();
    let names = || -> Vec<(String, bool)> {
        let mut rows =
            database.prepare("SELECT name, ended_at IS NULL FROM instances WHERE id = name ORDER BY name").unwrap();
        rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    };
    until("what is long gone is forgotten", async || (names() == [("lost".to_owned(), false)]).then_some(())).await;
    assert_eq!(workers(&server).await.len(), 1, "an instance that has ended is not listed");
}

#[tokio::test]
async fn worker_needs_a_database_of_its_own_or_a_shared_one() {
    let world = World::new();
    let server = world.serve();
    let data = world.data();
    let data = data.to_str().unwrap();
    let database = format!("sqlite://{data}/runtrail.db");
    let own = world.file("own");
    let own = own.to_str().unwrap();
    let worker = ["worker", "--addr", "127.0.0.1:0", "--data-dir", own, "--database-url", &database];
    let (code, text) = said(&worker).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("SQLite has room for one program") && text.contains("PostgreSQL"), "{text}");
    for (flags, code, sentence) in [
        (&["worker", "--workers", "0", "--data-dir", own][..], 1, "at least one run at once"),
        (&["serve", "--label", "GPU", "--data-dir", own], 2, "`GPU` is not a label"),
        (&["serve", "--name", "", "--data-dir", own], 2, "must have 1 to 100 characters"),
    ] {
        let (found, text) = said(flags).await;
        assert_eq!(found, Some(code), "{flags:?}: {text}");
        assert!(text.contains(sentence), "{flags:?}: {text}");
    }
    assert_eq!(server.get("/healthz").await.status(), StatusCode::OK);
}
