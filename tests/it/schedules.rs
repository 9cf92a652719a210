//! Schedules: each due time has one run, whatever happens around it. With six fields, so that a test waits for seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use runtrail::journal::{GroupCommit, Journal, WriteError};
use runtrail::model::Timestamp;
use runtrail::store::{AdvanceSchedule, CreateRun, Durability};
use rusqlite::OptionalExtension;
use serde_json::{Value, json};

use crate::support::rng::{self, Rng};
use crate::support::writes::new_run;
use crate::support::{Server, TestDatabase, World, until};

/// A pipeline with these lines about its schedule, in the world's project.
fn scheduled(world: &World, name: &str, lines: &str) {
    scheduled_in(world, name, world.project().to_str().unwrap(), lines);
}

fn scheduled_in(world: &World, name: &str, project: &str, lines: &str) {
    let text = format!(
        "name = \"{name}\"\n[[params]]\nname = \"project\"\ntype = \"path\"\nrequired = true\n\
         [[phases]]\nname = \"a\"\nrun = \"true\"\n\
         [[schedules]]\noverlap = \"queue\"\nparams = {{ project = \"{project}\" }}\n{lines}\n"
    );
    world.toml(name, &text);
}

/// All runs of a pipeline, newest first.
async fn runs(server: &Server, pipeline: &str) -> Vec<Value> {
    let page = server.get_json(&format!("/api/v1/runs?pipeline={pipeline}&limit=200")).await;
    assert_eq!(page["next"], Value::Null);
    page["runs"].as_array().unwrap().clone()
}

/// The origin in the first frame of a run.
async fn asked_by(server: &Server, run: &Value) -> String {
    let frames = server.frames(run["id"].as_str().unwrap()).await;
    assert_eq!(frames[0]["kind"], "origin", "{}", frames[0]);
    frames[0]["data"]["by"].as_str().unwrap().to_owned()
}

async fn due_of(server: &Server, run: &Value) -> Timestamp {
    asked_by(server, run).await.rsplit_once("due ").unwrap().1.parse().unwrap()
}

async fn faults(server: &Server) -> Vec<Value> {
    server.get_json("/fn/offer").await["faults"].as_array().unwrap().clone()
}

fn database(world: &World) -> rusqlite::Connection {
    rusqlite::Connection::open(world.data().join("runtrail.db")).unwrap()
}

/// As if no server had run for this long.
fn age(world: &World, days: i64) {
    let moved = database(world).execute("UPDATE schedules SET done = done - ?", [days * 24 * 60 * 60 * 1000]).unwrap();
    assert!(moved > 0);
}

/// How far a pipeline's schedule is done.
fn done(world: &World, pipeline: &str) -> Option<i64> {
    let found =
        database(world).query_row("SELECT done FROM schedules WHERE pipeline = ?", [pipeline], |row| row.get(0));
    found.optional().unwrap()
}

fn marks(world: &World) -> Vec<String> {
    let database = database(world);
    let mut marks = database.prepare("SELECT schedule FROM schedules ORDER BY 1").unwrap();
    marks.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn schedule_starts_runs_and_shows_the_next() {
    let world = World::new();
    let server = world.serve();
    // While it runs: it begins when the file is there.
    scheduled(&world, "often", "name = \"busy\"\ncron = \"* * * * * *\"\ntimezone = \"Europe/Berlin\"");
    let done =
        until("three runs are there", async || Some(runs(&server, "often").await).filter(|runs| runs.len() >= 3)).await;
    let mut dues = Vec::new();
    for run in done.iter().rev() {
        let by = asked_by(&server, run).await;
        assert!(by.starts_with("schedule busy * * * * * * (Europe/Berlin), due 20"), "{by}");
        let due = due_of(&server, run).await;
        let created: Timestamp = run["created_at"].as_str().unwrap().parse().unwrap();
        assert!(due <= created && due.0 % 1000 == 0, "{due} {created}");
        dues.push(due.0);
        assert_eq!(run["params"], json!({ "project": world.project() }));
    }
    let expected: Vec<i64> = (dues[0]..).step_by(1000).take(dues.len()).collect();
    assert_eq!(dues, expected, "each second has its run, in order");
    let id = done[0]["id"].as_str().unwrap();
    server.until_status(id, "completed").await;
    let kinds: Vec<Value> = server.frames(id).await.iter().map(|frame| frame["kind"].clone()).collect();
    assert_eq!(kinds, ["origin", "status", "phase", "phase", "status"]);

    let pipelines = server.get_json("/api/v1/pipelines").await;
    let often = pipelines.as_array().unwrap().iter().find(|pipeline| pipeline["name"] == "often").unwrap();
    let schedule = &often["schedules"][0];
    assert_eq!((&schedule["cron"], &schedule["missed"]), (&json!("* * * * * *"), &json!("skip")));
    let next: Timestamp = schedule["next"].as_str().unwrap().parse().unwrap();
    assert!(next.0 - Timestamp::now().0 <= 1000, "{next}");
    let offer = server.get_json("/fn/offer").await;
    assert_eq!((&offer["upcoming"][0]["pipeline"], &offer["faults"]), (&json!("often"), &json!([])));
}

/// Killed at any moment around due times, again and again: none has two runs, and while a server runs, each has one, in
/// order.
///
/// RUNTRAIL_SEED takes other moments.
#[tokio::test]
async fn schedule_due_time_has_one_run_despite_crashes() {
    let world = World::new();
    scheduled(&world, "skip", "cron = \"* * * * * *\"");
    scheduled(&world, "once", "cron = \"* * * * * *\"\nmissed = \"once\"");
    let seed = rng::number("RUNTRAIL_SEED").unwrap_or(1);
    let mut rng = Rng::new(seed);
    // When each server was started, and when it served.
    let mut lives = Vec::new();
    let mut serve = async || {
        let began = Timestamp::now();
        let server = world.serve();
        // A schedule begins when it is seen for the first time.
        until("both have begun", async || (marks_of(&world) == 2).then_some(())).await;
        lives.push((began, Timestamp::now()));
        server
    };
    for _ in 0..12 {
        let server = serve().await;
        // Not a wait for an event: the moment of the kill is random.
        tokio::time::sleep(Duration::from_millis(rng.between(50, 2300))).await;
        server.kill();
    }
    let server = serve().await;
    let (_, last) = lives[lives.len() - 1];
    for pipeline in ["skip", "once"] {
        // The last one lives until it has started some.
        until("three more are due", async || {
            let newest = runs(&server, pipeline).await.into_iter().next()?;
            (due_of(&server, &newest).await.0 >= last.0 + 3000).then_some(())
        })
        .await;
        let mut counted: BTreeMap<Timestamp, u32> = BTreeMap::new();
        // The due times that each server has started runs for while they were due, not to make up for others.
        let mut started = vec![BTreeSet::new(); lives.len()];
        for run in runs(&server, pipeline).await {
            let due = due_of(&server, &run).await;
            *counted.entry(due).or_default() += 1;
            let created: Timestamp = run["created_at"].as_str().unwrap().parse().unwrap();
            let life = lives.iter().rposition(|(began, _)| *began <= created).unwrap();
            if due > lives[life].1 {
                started[life].insert(due.0);
            }
        }
        let twice: Vec<_> = counted.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "{pipeline}, seed {seed}: {twice:?}");
        // Each one up to the last that it came to before it was killed.
        for (started, (_, from)) in started.iter().zip(&lives) {
            let first = (from.0 / 1000 + 1) * 1000;
            let expected = (first..).step_by(1000).take(started.len());
            assert!(started.iter().copied().eq(expected), "{pipeline}, seed {seed}: from {first} on, not {started:?}");
        }
    }
}

/// Of many that claim the same due time, and one that tries again after a refusal, one advances the schedule cursor.
#[tokio::test]
async fn schedule_due_time_is_claimed_once() {
    let folder = tempfile::tempdir().unwrap();
    let database = TestDatabase::of_file(&folder.path().join("t.db"));
    let store = database.open(Durability::Normal).await;
    let (journal, writer) = Journal::new(Arc::new(store.clone()), GroupCommit::default());
    tokio::spawn(writer.run());
    let cursor = |from: Option<i64>, to: Option<i64>| AdvanceSchedule {
        pipeline: "p".into(),
        schedule: "s".into(),
        from: from.map(Timestamp),
        to: to.map(Timestamp),
    };
    journal.execute(cursor(None, Some(1000)), None).await.unwrap();
    assert!(
        matches!(journal.execute(cursor(None, Some(5000)), None).await, Err(WriteError::Refused)),
        "it is there already"
    );
    for step in 1..=20 {
        let (from, to) = (step * 1000, (step + 1) * 1000);
        let asked = (0..8).map(|_| {
            let (journal, schedule) = (journal.clone(), Some(cursor(Some(from), Some(to))));
            tokio::spawn(async move { journal.create(CreateRun { schedule, ..new_run() }).await })
        });
        let mut won = 0;
        for asked in asked.collect::<Vec<_>>() {
            match asked.await.unwrap() {
                Ok(created) => won += u32::from(created.is_new),
                Err(error) => assert!(matches!(error, WriteError::Refused), "{error}"),
            }
        }
        assert_eq!(won, 1);
    }
    let (runs, _) = store.list(&Default::default(), 200, None).await.unwrap();
    assert_eq!(runs.len(), 20, "who was refused has left nothing");
    assert_eq!(store.schedule_cursors().await.unwrap().values().collect::<Vec<_>>(), [&Timestamp(21_000)]);
    assert!(matches!(journal.execute(cursor(Some(1), None), None).await, Err(WriteError::Refused)));
    journal.execute(cursor(Some(21_000), None), None).await.unwrap();
    assert!(store.schedule_cursors().await.unwrap().is_empty());
}

#[tokio::test]
async fn schedule_missed_times_are_skipped_or_run_once() {
    let world = World::new();
    scheduled(&world, "skip", "cron = \"0 0 1 * *\"");
    scheduled(&world, "once", "cron = \"0 0 1 * *\"\nmissed = \"once\"");
    let server = world.serve();
    until("both have begun", async || (marks_of(&world) == 2).then_some(())).await;
    assert_eq!(server.terminate().await, Some(0));
    age(&world, 100);
    for _ in 0..3 {
        let server = world.serve();
        until("the missed ones are made up for", async || {
            Some(runs(&server, "once").await).filter(|runs| !runs.is_empty())
        })
        .await;
        // Schedules are checked in the same order, and again when a file changes: the last schedule's first run comes
        // after all of that.
        scheduled(&world, "z", "cron = \"* * * * * *\"");
        let z = runs(&server, "z").await.len();
        until("it has looked again", async || (runs(&server, "z").await.len() > z).then_some(())).await;
        let made_up = runs(&server, "once").await;
        assert_eq!((made_up.len(), runs(&server, "skip").await.len()), (1, 0));
        let due = due_of(&server, &made_up[0]).await;
        assert!(due.to_string().ends_with("-01T00:00:00.000Z"), "{due}");
        assert!(Timestamp::now().since(due) < 32 * 24 * 60 * 60 * 1000, "the last of them: {due}");
        server.kill();
    }
}

fn marks_of(world: &World) -> usize {
    marks(world).len()
}

#[tokio::test]
async fn schedule_changed_begins_now() {
    let world = World::new();
    let monthly = |day: u32| format!("cron = \"0 0 {day} * *\"\nmissed = \"once\"");
    for name in ["changed", "gone", "broken"] {
        scheduled(&world, name, &monthly(1));
    }
    let server = world.serve();
    until("all have begun", async || (marks_of(&world) == 3).then_some(())).await;
    server.kill();
    age(&world, 100);
    scheduled(&world, "changed", &monthly(2));
    world.toml("broken", "name = ");
    std::fs::remove_file(world.project().join("../pipelines/gone.toml")).unwrap();
    let server = world.serve();
    // As long as a file cannot be read nothing is forgotten: it may be one of its.
    until("the changed one has begun", async || (marks_of(&world) == 4).then_some(())).await;
    scheduled(&world, "broken", &monthly(1));
    until("what was broken is made up for", async || {
        Some(runs(&server, "broken").await).filter(|runs| runs.len() == 1)
    })
    .await;
    until("what is gone is forgotten", async || (marks(&world) == ["|0 0 1 * *|UTC", "|0 0 2 * *|UTC"]).then_some(()))
        .await;
    assert_eq!(runs(&server, "changed").await.len(), 0, "it does not run for its past");
    // Back again, it is a new one.
    scheduled(&world, "gone", &monthly(1));
    until("it begins", async || (marks_of(&world) == 3).then_some(())).await;
    assert_eq!(runs(&server, "gone").await.len(), 0);
}

#[tokio::test]
async fn schedule_without_its_project_is_reported() {
    let world = World::new();
    let project = world.project().join("later");
    scheduled_in(&world, "a-lost", project.to_str().unwrap(), "cron = \"* * * * * *\"");
    scheduled(&world, "fine", "cron = \"* * * * * *\"");
    let server = world.serve();
    until("the other one runs", async || (runs(&server, "fine").await.len() >= 2).then_some(())).await;
    assert_eq!(runs(&server, "a-lost").await.len(), 0);
    // Its due times pass all the same: they are not made up for when it can run again.
    let before = until("its mark is there", async || done(&world, "a-lost")).await;
    until("its mark moves", async || (done(&world, "a-lost") > Some(before)).then_some(())).await;
    let told = faults(&server).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0]["file"], &told[0]["line"]), (&json!("a-lost.toml"), &json!(9)));
    let reason = told[0]["reason"].as_str().unwrap();
    assert!(reason.contains("cannot start a run") && reason.contains("does not exist"), "{reason}");
    let page = server.get("/").await;
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.text().await.unwrap().contains("a-lost.toml:9"));

    std::fs::create_dir(&project).unwrap();
    until("it runs when its project is there", async || (!runs(&server, "a-lost").await.is_empty()).then_some(()))
        .await;
    assert_eq!(faults(&server).await, [] as [Value; 0]);
}

/// A group that refuses runs while it is busy refuses those of schedules too; their due times are done all the same.
#[tokio::test]
async fn schedule_due_time_refused_by_a_group_is_done() {
    let world = World::new();
    let text = "name = \"alone\"\nconcurrency = { per = \"pipeline\", when_busy = \"refuse\" }\n\
                [[params]]\nname = \"project\"\ntype = \"path\"\n[[phases]]\nname = \"hold\"\n\
                run = \"cd $RUNTRAIL_PARAM_PROJECT; while [ ! -e go ]; do sleep 0.02; done\"\n[[schedules]]\n";
    let params = format!("params = {{ project = \"{}\" }}\n", world.project().display());
    world.toml("alone", &format!("{text}cron = \"* * * * * *\"\noverlap = \"queue\"\nmissed = \"once\"\n{params}"));
    let server = world.serve();
    let first = until("a run holds the group", async || {
        runs(&server, "alone").await.into_iter().find(|run| run["status"] == "running")
    })
    .await;
    let held = due_of(&server, &first).await;
    // Times that become due in between advance the schedule cursor.
    let done = || -> i64 { database(&world).query_row("SELECT done FROM schedules", [], |row| row.get(0)).unwrap() };
    until("two more are done", async || (done() >= held.0 + 2000).then_some(())).await;
    assert_eq!(runs(&server, "alone").await.len(), 1);
    let skipped = server.get_json("/api/v1/schedules").await["schedules"][0]["skipped"].clone();
    assert!(skipped["kind"] == "group_busy" && skipped["count"].as_u64() >= Some(2), "{skipped}");
    std::fs::write(world.file("go"), "").unwrap();
    let next =
        until("the group is free", async || Some(runs(&server, "alone").await).filter(|runs| runs.len() >= 2)).await;
    let second = due_of(&server, &next[next.len() - 2]).await;
    assert!(second.0 > held.0 + 2000, "{second} after {held}");
}
