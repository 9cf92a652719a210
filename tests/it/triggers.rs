//! Schedules that overlap, are paused, resumed and run now.

use std::sync::Arc;

use reqwest::StatusCode;
use runtrail::journal::{GroupCommit, Journal};
use runtrail::model::{OverlapPolicy, Timestamp};
use runtrail::store::{
    CreateRun, Durability, PauseSchedules, ResumeSchedules, RunTrigger, ScheduleScope, ScheduleSlot,
};
use serde_json::{Value, json};

use crate::support::writes::new_run;
use crate::support::{Server, TestDatabase, World, until};

/// A pipeline that is due each second, whose runs last until the file `go` exists.
fn each_second(world: &World, name: &str, lines: &str) {
    let text = format!(
        "name = \"{name}\"\n[[params]]\nname = \"project\"\ntype = \"path\"\n[[phases]]\nname = \"hold\"\n\
         run = \"cd $RUNTRAIL_PARAM_PROJECT; while [ ! -e go ]; do sleep 0.05; done\"\n\
         [[schedules]]\ncron = \"* * * * * *\"\nparams = {{ project = \"{}\" }}\n{lines}\n",
        world.project().display()
    );
    world.toml(name, &text);
}

async fn runs(server: &Server, pipeline: &str) -> Vec<Value> {
    server.get_json(&format!("/api/v1/runs?pipeline={pipeline}&limit=200")).await["runs"].as_array().unwrap().clone()
}

/// The only schedule of a pipeline.
async fn schedule(server: &Server, pipeline: &str) -> Value {
    let all = server.get_json("/api/v1/schedules").await["schedules"].as_array().unwrap().clone();
    all.into_iter().find(|schedule| schedule["pipeline"] == pipeline).unwrap_or_default()
}

async fn skipped(server: &Server, pipeline: &str) -> u64 {
    schedule(server, pipeline).await["skipped"]["count"].as_u64().unwrap_or_default()
}

/// Waits until so many more due times were skipped.
async fn until_skipped(server: &Server, pipeline: &str, more: u64) {
    let before = skipped(server, pipeline).await;
    until("due times are skipped", async || (skipped(server, pipeline).await >= before + more).then_some(())).await;
}

async fn count(server: &Server, pipeline: &str, status: &str) -> usize {
    runs(server, pipeline).await.iter().filter(|run| run["status"] == status).count()
}

#[tokio::test]
async fn schedule_skips_while_a_run_is_active() {
    let world = World::new();
    each_second(&world, "p", "");
    let server = world.serve();
    until("a run is under way", async || (count(&server, "p", "running").await == 1).then_some(())).await;
    until_skipped(&server, "p", 3).await;
    assert_eq!(runs(&server, "p").await.len(), 1);
    let told = schedule(&server, "p").await;
    assert_eq!((&told["overlap"], &told["skipped"]["kind"]), (&json!("skip"), &json!("overlap")), "{told}");
    assert_eq!(told["last"]["id"], runs(&server, "p").await[0]["id"]);
    let last: Timestamp = told["skipped"]["last"].as_str().unwrap().parse().unwrap();
    assert!(last.0 % 1000 == 0 && Timestamp::now().since(last) < 60_000, "{told}");
    let page = server.get("/schedules").await.text().await.unwrap();
    assert!(page.contains("a run of this schedule was still active"), "{page}");
    let first = server.get("/").await.text().await.unwrap();
    assert!(first.contains("skipped-due-times") && first.contains("still active"), "{first}");
    // The same after a restart, whatever becomes of the run.
    let before = skipped(&server, "p").await;
    server.kill();
    let server = world.serve();
    until_skipped(&server, "p", 2).await;
    assert!(skipped(&server, "p").await >= before + 2);
    assert!(count(&server, "p", "running").await + count(&server, "p", "pending").await <= 1);
}

#[tokio::test]
async fn schedule_overlap_one_queues_one() {
    let world = World::new();
    let alone = "overlap = \"one\"\n";
    each_second(&world, "one", alone);
    each_second(&world, "all", "overlap = \"queue\"\n");
    // One worker: the first run holds it.
    let server = world.serve_with(&["--workers", "1"]);
    until("a run waits", async || (count(&server, "one", "pending").await == 1).then_some(())).await;
    until_skipped(&server, "one", 3).await;
    assert!(count(&server, "one", "pending").await == 1 && runs(&server, "one").await.len() <= 2);
    until("many wait", async || (count(&server, "all", "pending").await >= 3).then_some(())).await;
    assert_eq!(schedule(&server, "all").await["skipped"], Value::Null);
}

#[tokio::test]
async fn schedule_paused_starts_nothing() {
    let world = World::new();
    each_second(&world, "p", "overlap = \"queue\"\nmissed = \"once\"\nname = \"each/second\"");
    let server = world.serve();
    until("it runs", async || (!runs(&server, "p").await.is_empty()).then_some(())).await;
    let path = "/api/v1/schedules/p/each%2Fsecond";
    let paused = server.post(&format!("{path}/pause"), json!({"reason": "the  disk\nis full"})).await;
    assert_eq!(paused.status(), StatusCode::OK);
    let paused: Value = paused.json().await.unwrap();
    let (by, reason) = (paused["paused"]["by"].as_str().unwrap(), &paused["paused"]["reason"]);
    assert!(by.contains("127.0.0.1") && reason == "the disk is full", "{paused}");
    let started = runs(&server, "p").await.len();
    until_skipped(&server, "p", 2).await;
    // Pausing again changes nothing.
    let again: Value = server.post(&format!("{path}/pause"), json!({"reason": "other"})).await.json().await.unwrap();
    assert_eq!(again["paused"], paused["paused"]);
    for page in
        ["/", "/schedules", "/deliveries", &format!("/runs/{}", runs(&server, "p").await[0]["id"].as_str().unwrap())]
    {
        let text = server.get(page).await.text().await.unwrap();
        assert!(text.contains("1 schedule is paused") && text.contains("the disk is full"), "{page}");
    }
    // It stays so after a restart, when the file is read again, and when its expression changes.
    server.kill();
    let server = world.serve();
    each_second(
        &world,
        "p",
        "overlap = \"queue\"\nmissed = \"once\"\nname = \"each/second\"\ntimezone = \"Asia/Tokyo\"",
    );
    until("the file is read again", async || (schedule(&server, "p").await["timezone"] == "Asia/Tokyo").then_some(()))
        .await;
    until_skipped(&server, "p", 2).await;
    assert_eq!(runs(&server, "p").await.len(), started);
    assert_eq!(schedule(&server, "p").await["skipped"]["kind"], "paused");
    // Skipped times are not made up for.
    let resumed = server.post(&format!("{path}/resume"), json!({})).await;
    let now = Timestamp::now();
    assert_eq!(resumed.json::<Value>().await.unwrap()["paused"], Value::Null);
    until("it runs again", async || (runs(&server, "p").await.len() > started).then_some(())).await;
    let first = runs(&server, "p").await.into_iter().rev().nth(started).unwrap();
    let origin = server.frames(first["id"].as_str().unwrap()).await[0]["data"]["by"].as_str().unwrap().to_owned();
    let due: Timestamp = origin.rsplit_once("due ").unwrap().1.parse().unwrap();
    assert!(due.0 >= now.0 - 1000, "{origin}, resumed at {now}");
    assert!(!server.get("/").await.text().await.unwrap().contains("paused-banner"));
}

#[tokio::test]
async fn schedule_handles_of_unnamed_schedules_are_distinct() {
    let world = World::new();
    each_second(&world, "p", "[[schedules]]\ncron = \"0 0 1,2 */2 *\"\ntimezone = \"Europe/Berlin\"");
    let server = world.serve();
    let all = server.get_json("/api/v1/schedules").await["schedules"].as_array().unwrap().clone();
    let names: Vec<&str> = all.iter().map(|schedule| schedule["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["default~x_x_x_x_x_x~UTC", "default~0_0_1--2_x.2_x~Europe.Berlin"]);
    let path = format!("/api/v1/schedules/p/{}", names[1]);
    assert_eq!(server.post(&format!("{path}/pause"), json!({})).await.status(), StatusCode::OK);
    server.kill();
    // As an earlier version has named it.
    let database = rusqlite::Connection::open(world.data().join("runtrail.db")).unwrap();
    let old = "default|0 0 1,2 */2 *|Europe/Berlin";
    assert_eq!(database.execute("UPDATE schedule_pauses SET name = ?", [old]).unwrap(), 1);
    database.execute("DELETE FROM _sqlx_migrations WHERE version = 19", []).unwrap();
    drop(database);
    let server = world.serve();
    let all = server.get_json("/api/v1/schedules").await["schedules"].as_array().unwrap().clone();
    assert!(all[0]["paused"].is_null() && all[1]["paused"]["by"].is_string(), "{all:?}");
    assert_eq!(server.post(&format!("{path}/resume"), json!({})).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn schedule_pause_of_all_covers_new_ones() {
    let world = World::new();
    each_second(&world, "a", "");
    each_second(&world, "b", "");
    let server = world.serve();
    let paused: Value =
        server.post("/api/v1/schedules/pause", json!({"reason": "release"})).await.json().await.unwrap();
    assert!(paused["paused"]["all"] == true && paused["paused"]["reason"] == "release", "{paused}");
    each_second(&world, "c", "");
    until_skipped(&server, "c", 2).await;
    assert_eq!(runs(&server, "c").await.len(), 0);
    assert!(server.get("/").await.text().await.unwrap().contains("All schedules are paused"));
    let resumed = server.post("/api/v1/schedules/b/default/resume", json!({})).await;
    assert_eq!(resumed.status(), StatusCode::OK);
    until("the one that goes on has a run", async || (!runs(&server, "b").await.is_empty()).then_some(())).await;
    until_skipped(&server, "c", 2).await;
    assert_eq!(runs(&server, "c").await.len(), 0);
    assert!(server.get("/").await.text().await.unwrap().contains("2 schedules are paused"));
    let resumed: Value = server.post("/api/v1/schedules/resume", json!({})).await.json().await.unwrap();
    assert!(resumed["schedules"].as_array().unwrap().iter().all(|schedule| schedule["paused"].is_null()), "{resumed}");
    until("all go on", async || (!runs(&server, "c").await.is_empty()).then_some(())).await;
}

#[tokio::test]
async fn schedule_run_now_records_who() {
    let world = World::new();
    let text = format!(
        "name = \"p\"\n[[params]]\nname = \"project\"\ntype = \"path\"\n[[phases]]\nname = \"a\"\nrun = \"true\"\n\
         [[schedules]]\ncron = \"0 0 1 1 *\"\nparams = {{ project = \"{}\" }}\n\
         [[schedules]]\nname = \"lost\"\ncron = \"0 0 1 1 *\"\nparams = {{ project = \"/nowhere\" }}\n",
        world.project().display()
    );
    world.toml("p", &text);
    let server = world.serve();
    // Also while it is paused: a person asks.
    server.post("/api/v1/schedules/pause", json!({})).await;
    let asked = server.post("/api/v1/schedules/p/default/run", json!({})).await;
    assert_eq!(asked.status(), StatusCode::CREATED);
    let location = asked.headers()["location"].to_str().unwrap().to_owned();
    let run: Value = asked.json().await.unwrap();
    let id = run["id"].as_str().unwrap();
    assert_eq!(location, format!("/api/v1/runs/{id}"));
    assert_eq!(run["params"], json!({"project": world.project()}));
    server.until_status(id, "completed").await;
    let origin = server.frames(id).await[0].clone();
    let by = origin["data"]["by"].as_str().unwrap();
    assert!(
        origin["kind"] == "origin" && by.starts_with("schedule 0 0 1 1 * (UTC), run now by the operator at"),
        "{by}"
    );
    for (path, status, code) in [
        ("p/none/run", 404, "schedule_not_found"),
        ("other/default/run", 404, "schedule_not_found"),
        ("p/none/pause", 404, "schedule_not_found"),
        ("p/%ff/resume", 404, "schedule_not_found"),
        ("p/lost/run", 422, "invalid_params"),
    ] {
        let refused = server.post(&format!("/api/v1/schedules/{path}"), json!({})).await;
        assert_eq!(refused.status().as_u16(), status, "{path}");
        assert_eq!(refused.json::<Value>().await.unwrap()["code"], code, "{path}");
    }
    let long = server.post("/api/v1/schedules/p/lost/pause", json!({"reason": "x".repeat(501)})).await;
    assert_eq!(long.status(), StatusCode::BAD_REQUEST);
    // By its expression, where it has no name.
    let by_expression = server.post("/api/v1/schedules/p/0%200%201%201%20*/pause", json!({})).await;
    assert_eq!(by_expression.status(), StatusCode::NOT_FOUND, "two have it");
}

#[tokio::test]
async fn schedule_forms_work_without_scripts() {
    let world = World::new();
    each_second(&world, "p", "");
    let server = world.serve();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let post = async |action: &str, fields: &[(&str, &str)]| {
        let body = form_urlencoded(fields);
        let request = client.post(format!("{}/fn/{action}", server.url)).body(body);
        let request = request.header("content-type", "application/x-www-form-urlencoded").header("accept", "text/html");
        let answer = request.header("referer", format!("{}/schedules", server.url)).send().await.unwrap();
        (answer.status(), answer.headers()["location"].to_str().unwrap().to_owned())
    };
    let named = [("pipeline", "p"), ("name", "default")];
    let (status, to) = post("pause_schedules", &[named[0], named[1], ("reason", "maintenance")]).await;
    assert!(status.is_redirection() && to.trim_end_matches('?').ends_with("/schedules"), "{status} {to}");
    assert_eq!(schedule(&server, "p").await["paused"]["reason"], "maintenance");
    let page = server.get("/schedules").await.text().await.unwrap();
    assert!(page.contains("resume-schedule") && page.contains("maintenance"), "{page}");
    let (status, to) = post("run_schedule", &named).await;
    assert!(status.is_redirection() && to.contains("/runs/"), "{status} {to}");
    let (status, _) = post("resume_schedules", &named).await;
    assert!(status.is_redirection());
    assert_eq!(schedule(&server, "p").await["paused"], Value::Null);
}

fn form_urlencoded(fields: &[(&str, &str)]) -> String {
    fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Many requests at once, in any order.
#[tokio::test]
async fn schedule_run_now_returns_the_waiting_run() {
    let folder = tempfile::tempdir().unwrap();
    let database = TestDatabase::of_file(&folder.path().join("t.db"));
    let store = database.open(Durability::Normal).await;
    let (journal, writer) = Journal::new(Arc::new(store.clone()), GroupCommit::default());
    tokio::spawn(writer.run());
    let ask = async |overlap: OverlapPolicy| {
        let slot = ScheduleSlot { schedule: "s".into(), name: "default".into(), overlap, by_hand: true };
        let asked = (0..8).map(|_| {
            let (journal, trigger) = (journal.clone(), Some(RunTrigger::Schedule(slot.clone())));
            tokio::spawn(async move { journal.create(CreateRun { trigger, ..new_run() }).await.unwrap().is_new })
        });
        let mut new = 0;
        for asked in asked.collect::<Vec<_>>() {
            new += u32::from(asked.await.unwrap());
        }
        new
    };
    assert_eq!(
        (ask(OverlapPolicy::Skip).await, ask(OverlapPolicy::One).await, ask(OverlapPolicy::Queue).await),
        (1, 0, 8)
    );
    // A pause that is there stays as it is.
    let pause = |reason: &str| runtrail::model::trigger::SchedulePause {
        at: Timestamp(1),
        by: "me".into(),
        reason: reason.into(),
        all: false,
    };
    let scope = ScheduleScope::One("p".into(), "default".into());
    for reason in ["first", "second"] {
        journal.execute(PauseSchedules { scope: scope.clone(), pause: pause(reason) }, None).await.unwrap();
    }
    assert_eq!(store.pauses().await.unwrap().into_values().collect::<Vec<_>>(), [pause("first")]);
    journal.execute(ResumeSchedules { scope, others: Vec::new() }, None).await.unwrap();
    assert!(store.pauses().await.unwrap().is_empty());
    let (runs, _) = store.list(&Default::default(), 200, None).await.unwrap();
    assert_eq!(runs.len(), 9);
}
