//! The audit log.

use super::*;

#[tokio::test]
async fn audit_log_records_changes_and_outlives_runs() {
    let world = World::new();
    world.pipeline("p", &["true"]);
    let file = world.file("audit.jsonl");
    let server = world.serve_guarded(&["--audit-log", file.to_str().unwrap()]);
    let own = token(&world);
    let ci = printed(&ask_program(&world, &server, &["token", "create", "ci", "--role", "operator"]));
    let id = start(&server, &ci, &world, "p").await;
    until("the run has ended", async || {
        let run = json_of(get(&server, &own, &format!("/api/v1/runs/{id}")).await, 200).await;
        (run["status"] == "completed").then_some(())
    })
    .await;
    let rerun = post(&server, &own, &format!("/api/v1/runs/{id}/rerun"), json!({ "from": "start" })).await;
    assert_eq!(json_of(rerun, 202).await["origin"], json!({ "kind": "token", "name": "operator" }));
    until("the run has ended again", async || {
        let run = json_of(get(&server, &own, &format!("/api/v1/runs/{id}")).await, 200).await;
        (run["status"] == "completed").then_some(())
    })
    .await;
    let delete = browser().delete(format!("{}/api/v1/runs/{id}", server.url)).bearer_auth(&own).send().await.unwrap();
    assert_eq!(delete.status(), 204);
    assert_eq!(post(&server, &ci, "/api/v1/tokens", json!({ "name": "x", "role": "admin" })).await.status(), 403);
    let actions = |entries: &[Value]| {
        let words = entries.iter().map(|entry| {
            let word = |field: &str| entry[field].as_str().unwrap_or("-").to_owned();
            [word("actor"), word("action"), word("outcome")].join(" ")
        });
        words.collect::<Vec<_>>()
    };
    let expected = [
        "operator token_create done",
        "ci run_start done",
        "operator run_rerun done",
        "operator run_delete done",
        "ci refused forbidden",
    ];
    let entries = until("all is in the log", async || {
        let page = json_of(get(&server, &own, "/api/v1/audit").await, 200).await;
        let mut entries = page["entries"].as_array().unwrap().clone();
        entries.reverse();
        (entries.len() >= expected.len()).then_some(entries)
    })
    .await;
    assert_eq!(actions(&entries), expected);
    assert_eq!(entries[1]["run"], id.as_str());
    assert_eq!(entries[1]["address"], "127.0.0.1");
    let of_run = json_of(get(&server, &own, &format!("/api/v1/audit?run={id}&limit=2")).await, 200).await;
    assert_eq!(of_run["entries"].as_array().unwrap().len(), 2);
    assert!(of_run["next"].is_number());
    // The database rejects changes, even by its owner.
    let database = rusqlite::Connection::open(world.data().join("runtrail.db")).unwrap();
    let replaced =
        "REPLACE INTO audit (id, at, actor, via, action, outcome) VALUES (1, 0, 'nobody', 'none', 'login', 'done')";
    for statement in ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit", replaced] {
        let refused = database.execute(statement, []).unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{refused}");
    }
    drop(database);
    // The file has the same, once, however the server ended.
    server.kill();
    let server = world.serve_guarded(&["--audit-log", file.to_str().unwrap()]);
    let lines = until("the file has all lines", async || {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (lines.len() >= expected.len()).then_some(lines)
    })
    .await;
    assert_eq!(lines, entries);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    drop(server);
}

#[tokio::test]
async fn audit_log_bounds_failed_logins() {
    let world = World::new();
    let server = world.serve_guarded(&[]);
    let guesses = (0..20).map(|_| get(&server, "rt_wrong", "/api/v1/runs"));
    for answer in futures::future::join_all(guesses).await {
        assert!([401, 429].contains(&answer.status().as_u16()));
    }
    let own = token(&world);
    let noted = until("it is noted", async || {
        let page = json_of(get(&server, &own, "/api/v1/audit?action=login_refused").await, 200).await;
        let entries = page["entries"].as_array().unwrap().clone();
        (!entries.is_empty()).then_some(entries)
    })
    .await;
    assert!(noted.len() < 4, "{noted:?}");
}
