//! The attempts of a run: kept as they were, and compared.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Server, World};

/// Two phases: one prints many lines, the other prints a word and fails on request.
fn pipeline(world: &World) {
    let params = "[[params]]\nname = \"project\"\ntype = \"path\"\n[[params]]\nname = \"word\"\ntype = \"string\"\n\
         [[params]]\nname = \"bad\"\ntype = \"boolean\"\n";
    let count = "seq -f 'line %g' 1 12000; echo same >&2";
    let say = "echo first; echo $RUNTRAIL_PARAM_WORD; echo last; test $RUNTRAIL_PARAM_BAD != true";
    world.toml(
        "p",
        &format!(
            "name = \"p\"\n{params}[[phases]]\nname = \"count\"\nrun = \"\"\"\n{count}\n\"\"\"\n\
             [[phases]]\nname = \"say\"\nrun = \"\"\"\n{say}\n\"\"\"\n"
        ),
    );
}

fn params(world: &World, word: &str, bad: bool) -> Value {
    json!({ "project": world.project(), "word": word, "bad": bad })
}

async fn start(server: &Server, world: &World, word: &str, bad: bool) -> String {
    let body = json!({ "pipeline": "p", "params": params(world, word, bad) });
    let started: Value = server.post("/api/v1/runs", body).await.json().await.unwrap();
    started["id"].as_str().unwrap().to_owned()
}

async fn rerun(server: &Server, id: &str, body: Value) {
    let answer = server.post(&format!("/api/v1/runs/{id}/rerun"), body).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED, "{}", answer.text().await.unwrap());
}

async fn attempts(server: &Server, id: &str, query: &str) -> Vec<Value> {
    let page = server.get_json(&format!("/api/v1/runs/{id}/attempts{query}")).await;
    page["attempts"].as_array().unwrap().clone()
}

/// Invariants of the attempts of any run: they are numbered, their frames are the journal without gaps, and the newest
/// one agrees with the run.
async fn check(server: &Server, id: &str) -> Vec<Value> {
    let (run, attempts) = (server.run(id).await, attempts(server, id, "").await);
    let frames = server.frames(id).await;
    for (attempt, number) in attempts.iter().zip(1..) {
        assert_eq!(attempt["attempt"], number);
        let seqs: Vec<u64> = frames
            .iter()
            .filter(|frame| frame["attempt"] == number)
            .map(|frame| frame["seq"].as_u64().unwrap())
            .collect();
        let (first, last) = (attempt["first"].as_u64().unwrap(), attempt["last"].as_u64().unwrap());
        assert_eq!(seqs, (first..=last).collect::<Vec<_>>(), "the frames of attempt {number}");
        for phase in attempt["phases"].as_array().unwrap() {
            for (place, state) in [("first", vec!["started"]), ("last", vec!["completed", "failed"])] {
                let Some(seq) = phase[place].as_u64() else { continue };
                let data = &frames[seq as usize - 1]["data"];
                assert_eq!(data["name"], phase["name"]);
                assert!(state.contains(&data["state"].as_str().unwrap()), "{place} of {phase}: {data}");
            }
        }
    }
    let newest = attempts.last().unwrap();
    for field in ["attempt", "status", "phase", "params", "queued_at", "started_at", "finished_at", "error"] {
        assert_eq!(newest[field], run[field], "{field}");
    }
    for (phase, known) in newest["phases"].as_array().unwrap().iter().zip(run["phases"].as_array().unwrap()) {
        for field in ["name", "state", "exit_code", "started_at", "finished_at"] {
            assert_eq!(phase[field], known[field], "{field}");
        }
    }
    attempts
}

fn statuses(attempts: &[Value]) -> Vec<&str> {
    attempts.iter().map(|attempt| attempt["status"].as_str().unwrap()).collect()
}

/// A run that failed, was resumed from there, was interrupted by a kill, and was cancelled while pending.
async fn eventful(world: &World) -> (Server, String) {
    pipeline(world);
    world.pipeline("long", &["echo begun; sleep 1000"]);
    let server = world.serve_with(&["--workers", "1"]);
    let id = start(&server, world, "one", true).await;
    server.until_status(&id, "failed").await;
    check(&server, &id).await;
    rerun(&server, &id, json!({ "from": "failed", "params": params(world, "two", false) })).await;
    server.until_status(&id, "completed").await;
    check(&server, &id).await;
    // The only worker is busy, so the next attempt waits.
    let busy = server.start(world, "long").await;
    server.until_line(&busy, "begun").await;
    rerun(&server, &id, json!({})).await;
    assert_eq!(statuses(&check(&server, &id).await), ["failed", "completed", "pending"]);
    server.post(&format!("/api/v1/runs/{id}/cancel"), json!({})).await;
    server.until_status(&id, "cancelled").await;
    server.kill_and_lapse();
    let server = world.serve();
    server.until_status(&busy, "interrupted").await;
    let attempts = check(&server, &busy).await;
    assert_eq!(statuses(&attempts), ["interrupted"]);
    assert!(attempts[0]["error"].as_str().unwrap().contains(world.database().loss()), "{}", attempts[0]);
    rerun(&server, &busy, json!({})).await;
    server.until_line(&busy, "begun").await;
    server.post(&format!("/api/v1/runs/{busy}/cancel"), json!({})).await;
    server.until_status(&busy, "cancelled").await;
    assert_eq!(statuses(&check(&server, &busy).await), ["interrupted", "cancelled"]);
    (server, id)
}

#[tokio::test]
async fn attempt_is_kept_unchanged() {
    let world = World::new();
    let (server, id) = eventful(&world).await;
    let all = check(&server, &id).await;
    assert_eq!(statuses(&all), ["failed", "completed", "cancelled"]);
    assert_eq!((&all[0]["params"]["word"], &all[1]["params"]["word"]), (&json!("one"), &json!("two")));
    assert!(all[0]["error"].as_str().unwrap().contains("say"), "{}", all[0]["error"]);
    assert_eq!((&all[1]["error"], &all[2]["error"], &all[2]["started_at"]), (&Value::Null, &Value::Null, &Value::Null));
    let carried = |attempt: &Value| -> Vec<bool> {
        attempt["phases"].as_array().unwrap().iter().map(|phase| phase["carried"].as_bool().unwrap()).collect()
    };
    assert_eq!([carried(&all[0]), carried(&all[1]), carried(&all[2])], [[false, false], [true, false], [false, false]]);
    assert_eq!(all[1]["phases"][0]["started_at"], all[0]["phases"][0]["started_at"]);
    assert_eq!(all[1]["phases"][0]["first"], Value::Null, "it did not begin in this attempt");

    // In pages.
    let path = format!("/api/v1/runs/{id}/attempts");
    let page = server.get_json(&format!("{path}?limit=2")).await;
    assert_eq!((page["attempts"].as_array().unwrap(), &page["next"]), (&all[1..].to_vec(), &json!(2)));
    let page = server.get_json(&format!("{path}?limit=2&before=2")).await;
    assert_eq!((page["attempts"].as_array().unwrap(), &page["next"]), (&all[..1].to_vec(), &Value::Null));
    for (query, status) in [
        ("?limit=0", StatusCode::BAD_REQUEST),
        ("?limit=201", StatusCode::BAD_REQUEST),
        ("?before=x", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(server.get(&format!("{path}{query}")).await.status(), status, "{query}");
    }
    let unknown = server.get("/api/v1/runs/01939f1c-8f2a-7c3e-9d5b-0123456789ab/attempts").await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
}

/// Times of a change and of its frame are taken a moment apart.
fn near(one: &Value, other: &Value) -> bool {
    let at = |value: &Value| value.as_str().map(|text| text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
    match (at(one), at(other)) {
        (Some(one), Some(other)) => (one - other).abs() < 1000,
        (one, other) => one == other,
    }
}

/// A database from before attempts had rows: its journals contain what is needed.
#[tokio::test]
async fn attempts_of_older_databases_are_migrated_from_frames() {
    let world = World::new();
    let (server, id) = eventful(&world).await;
    let before = check(&server, &id).await;
    let compared = server.get_json(&format!("/api/v1/runs/{id}/compare?a=1&b=2")).await;
    assert_eq!(server.terminate().await, Some(0));
    let database = rusqlite::Connection::open(world.data().join("runtrail.db")).unwrap();
    // It had no triggers on these tables either.
    let newer = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name IN ('attempts', 'phases')";
    let triggers: Vec<String> =
        database.prepare(newer).unwrap().query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    for trigger in triggers {
        database.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    for (table, columns) in [
        ("attempts", vec!["status", "started_at", "finished_at", "error", "first"]),
        ("phases", vec!["carried", "first", "last"]),
    ] {
        for column in columns {
            database.execute_batch(&format!("ALTER TABLE {table} DROP COLUMN {column}")).unwrap();
        }
    }
    assert_eq!(database.execute("DELETE FROM _sqlx_migrations WHERE version = 6", []).unwrap(), 1);
    database.close().unwrap();

    let server = world.serve();
    let after = check(&server, &id).await;
    assert_eq!(after.len(), before.len());
    for (old, new) in before.iter().zip(&after) {
        for field in ["status", "params", "error", "first", "last", "queued_at"] {
            assert_eq!(old[field], new[field], "{field} of {old}");
        }
        for field in ["started_at", "finished_at"] {
            assert!(near(&old[field], &new[field]), "{field}: {old} {new}");
        }
        for (old, new) in old["phases"].as_array().unwrap().iter().zip(new["phases"].as_array().unwrap()) {
            assert_eq!((&old["carried"], &old["state"]), (&new["carried"], &new["state"]));
            assert_eq!(new["first"], Value::Null);
        }
    }
    // Compared all the same, by looking through the whole of each attempt.
    let again = server.get_json(&format!("/api/v1/runs/{id}/compare?a=1&b=2")).await;
    let logs = |compared: &Value| -> Vec<Value> {
        compared["phases"].as_array().unwrap().iter().map(|pair| pair["log"].clone()).collect()
    };
    assert_eq!(logs(&compared), logs(&again));
    // It continues like any other run.
    rerun(&server, &id, json!({})).await;
    server.until_status(&id, "completed").await;
    assert_eq!(check(&server, &id).await.len(), 4);
}

#[tokio::test]
async fn compare_finds_the_first_differing_line() {
    let world = World::new();
    pipeline(&world);
    let server = world.serve();
    let id = start(&server, &world, "one", false).await;
    server.until_status(&id, "completed").await;
    let path = format!("/api/v1/runs/{id}/compare");
    let alone = server.get(&path).await;
    assert_eq!(alone.status(), StatusCode::NOT_FOUND);
    assert!(alone.text().await.unwrap().contains("one attempt only"));
    rerun(&server, &id, json!({ "params": params(&world, "two", true) })).await;
    server.until_status(&id, "failed").await;
    rerun(&server, &id, json!({ "from": "failed", "params": params(&world, "two", false) })).await;
    server.until_status(&id, "completed").await;

    let compared = server.get_json(&format!("{path}?a=1&b=2")).await;
    assert_eq!((&compared["a"]["attempt"], &compared["b"]["attempt"]), (&json!(1), &json!(2)));
    assert_eq!((&compared["a"]["status"], &compared["b"]["status"]), (&json!("completed"), &json!("failed")));
    let differ = json!([{ "name": "bad", "a": false, "b": true }, { "name": "word", "a": "one", "b": "two" }]);
    assert_eq!(compared["params"], differ);
    let phases = &compared["phases"];
    assert_eq!((&phases[0]["name"], &phases[1]["name"]), (&json!("count"), &json!("say")));
    // More than one read has.
    assert_eq!(phases[0]["log"], json!({ "result": "same", "lines": 12_001 }));
    assert_eq!((&phases[1]["a"]["exit_code"], &phases[1]["b"]["exit_code"]), (&json!(0), &json!(1)));
    let log = &phases[1]["log"];
    assert_eq!((&log["result"], &log["line"]), (&json!("differs"), &json!(2)));
    let frames = server.frames(&id).await;
    for (side, attempt, text) in [("a", 1, "one"), ("b", 2, "two")] {
        let found = &log[side];
        assert_eq!((&found["text"], &found["stream"]), (&json!(text), &json!("output")));
        let frame = &frames[found["seq"].as_u64().unwrap() as usize - 1];
        assert_eq!(
            (&frame["data"]["line"], &frame["attempt"], &frame["phase"]),
            (&json!(text), &json!(attempt), &json!("say"))
        );
    }

    // By default the newest and the one before; carried-over phases have no log of their own.
    let compared = server.get_json(&path).await;
    assert_eq!((&compared["a"]["attempt"], &compared["b"]["attempt"]), (&json!(2), &json!(3)));
    assert_eq!((&compared["phases"][0]["b"]["carried"], &compared["phases"][0]["log"]), (&json!(true), &Value::Null));
    assert_eq!(compared["phases"][1]["log"], json!({ "result": "same", "lines": 3 }));
    // The other way round it is the same.
    let there = server.get_json(&format!("{path}?a=1&b=3")).await;
    let back = server.get_json(&format!("{path}?a=3&b=1")).await;
    assert_eq!(there["phases"][1]["log"]["a"], back["phases"][1]["log"]["b"]);
    assert_eq!(there["phases"][1]["log"]["line"], back["phases"][1]["log"]["line"]);
    for (query, status) in
        [("?a=1&b=4", StatusCode::NOT_FOUND), ("?a=0", StatusCode::BAD_REQUEST), ("?b=x", StatusCode::BAD_REQUEST)]
    {
        assert_eq!(server.get(&format!("{path}{query}")).await.status(), status, "{query}");
    }
}
