//! The JSON API against CONTRACT.md, "HTTP".

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{World, until};

async fn problem(response: reqwest::Response) -> (u16, String) {
    let status = response.status().as_u16();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    assert_eq!(kind, "application/problem+json");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["status"], status);
    for member in ["type", "title", "detail", "code"] {
        assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{body}");
    }
    assert!(body["retryable"].is_boolean());
    (status, body["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn api_run_completes_and_journals_it() {
    let world = World::new();
    world.pipeline("two", &["echo one; echo oops >&2", "echo two"]);
    let server = world.serve();
    let response =
        server.post("/api/v1/runs", json!({"pipeline": "two", "params": {"project": world.project()}})).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let created: Value = response.json().await.unwrap();
    assert_eq!(location, format!("/api/v1/runs/{}", created["id"].as_str().unwrap()));
    assert_eq!(created["attempt"], 1);

    let id = created["id"].as_str().unwrap();
    let run = server.until_status(id, "completed").await;
    let phases: Vec<_> = run["phases"].as_array().unwrap().iter().map(|phase| &phase["state"]).collect();
    assert_eq!(phases, ["completed", "completed"]);
    assert_eq!(run["phase"], Value::Null);
    assert_eq!(run["error"], Value::Null);

    let frames = server.frames(id).await;
    assert_eq!(run["head"], frames.len());
    let said: Vec<String> = frames
        .iter()
        .map(|frame| match frame["kind"].as_str().unwrap() {
            "status" => format!("{} to {}", frame["data"]["from"], frame["data"]["to"]),
            "phase" => format!("{} {}", frame["data"]["name"], frame["data"]["state"]),
            kind => format!("{kind} {} {}", frame["phase"], frame["data"]["line"]),
        })
        .collect();
    let mut expected = vec![
        r#""pending" to "running""#,
        r#""phase1" "started""#,
        r#"log "phase1" "one""#,
        r#"log "phase1" "oops""#,
        r#""phase1" "completed""#,
        r#""phase2" "started""#,
        r#"log "phase2" "two""#,
        r#""phase2" "completed""#,
        r#""running" to "completed""#,
    ];
    if said[2] == expected[3] {
        expected.swap(2, 3); // Two pipes have no common order.
    }
    assert_eq!(said, expected);

    let log = server.get(&format!("/api/v1/runs/{id}/log")).await;
    assert_eq!(log.headers()["content-type"], "text/plain; charset=utf-8");
    let mut lines: Vec<_> = log.text().await.unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["one", "oops", "two"]);
}

#[tokio::test]
async fn api_failing_phase_fails_the_run() {
    let world = World::new();
    world.pipeline("bad", &["echo fine", "echo broken >&2; exit 3", "echo never"]);
    let server = world.serve();
    let id = server.start(&world, "bad").await;
    let run = server.until_status(&id, "failed").await;
    let phases: Vec<_> =
        run["phases"].as_array().unwrap().iter().map(|phase| (&phase["state"], &phase["exit_code"])).collect();
    assert_eq!(
        phases,
        [(&json!("completed"), &json!(0)), (&json!("failed"), &json!(3)), (&json!("skipped"), &Value::Null)]
    );
    assert!(run["error"].as_str().unwrap().contains("phase2"));
    assert_eq!(server.lines(&id).await, ["fine", "broken"]);
}

#[tokio::test]
async fn api_bad_input_gets_its_problem() {
    let world = World::new();
    world.pipeline("ok", &["echo hello"]).toml(
        "strict",
        "name = \"strict\"\n[[params]]\nname = \"level\"\ntype = \"integer\"\nrequired = true\n\
         [[params]]\nname = \"project\"\ntype = \"path\"\n[[phases]]\nname = \"a\"\nrun = \"true\"\n",
    );
    let server = world.serve();
    let post = |body: Value| server.post("/api/v1/runs", body);

    assert_eq!(problem(post(json!({"pipeline": "nope"})).await).await, (404, "pipeline_not_found".into()));
    for (params, name, code) in [
        (json!({}), "level", "missing"),
        (json!({"level": "x"}), "level", "wrong_type"),
        (json!({"level": 1, "project": "x".repeat(200_000)}), "project", "too_long"),
        (json!({"level": 1, "more": 2}), "more", "unknown"),
        (json!({"level": 1, "project": "/etc"}), "project", "invalid_path"),
        (json!({"level": 1, "project": world.project().join("../data")}), "project", "invalid_path"),
    ] {
        let response = post(json!({"pipeline": "strict", "params": params})).await;
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["code"], "invalid_params");
        assert_eq!((&body["errors"][0]["param"], &body["errors"][0]["code"]), (&json!(name), &json!(code)), "{body}");
    }
    for body in
        ["", "{", "[]", "[\"ok\", {}]", "{}", "{\"pipeline\": 1}", "{\"pipeline\": \"ok\", \"extra\": 1}", "\u{0}"]
    {
        let request = server.client.post(format!("{}/api/v1/runs", server.url)).body(body);
        assert_eq!(problem(request.send().await.unwrap()).await, (400, "invalid_body".into()), "{body}");
    }
    let large = format!("{{\"pipeline\": \"{}\"}}", "x".repeat(1 << 20));
    let request = server.client.post(format!("{}/api/v1/runs", server.url)).body(large);
    let refused = request.send().await.unwrap();
    // Where a body is left unread, the client must not send its next request.
    assert_eq!(refused.headers()["connection"], "close");
    assert_eq!(problem(refused).await, (413, "body_too_large".into()));
    let form = server.client.post(format!("{}/fn/start_run", server.url));
    let form = form.header("content-type", "application/x-www-form-urlencoded").body("x".repeat(1 << 20));
    assert_eq!(problem(form.send().await.unwrap()).await, (413, "body_too_large".into()), "nor a server function");
    let form = server.client.post(format!("{}/fn/rerun", server.url)).form(&[("id", "x")]);
    assert_eq!(form.send().await.unwrap().status(), StatusCode::BAD_REQUEST);

    let unknown = "01939f1c-8f2a-7c3e-9d5b-0123456789ab";
    for path in ["", "/frames", "/log"] {
        let problem = problem(server.get(&format!("/api/v1/runs/{unknown}{path}")).await).await;
        assert_eq!(problem, (404, "run_not_found".into()), "{path}");
    }
    let failed = server.post(&format!("/api/v1/runs/{unknown}/rerun"), json!({"from": "failed"})).await;
    assert_eq!(problem(failed).await, (404, "run_not_found".into()));
    for (method, path) in [("rerun", unknown), ("cancel", unknown), ("rerun", "x"), ("cancel", "..%2f..")] {
        let problem = problem(server.post(&format!("/api/v1/runs/{path}/{method}"), json!({})).await).await;
        assert_eq!(problem, (404, "run_not_found".into()));
    }
    assert_eq!(problem(server.get("/api/v1/nothing").await).await, (404, "not_found".into()));
    for path in ["/api/v1/runs/%ff", "/runs/%ff/events"] {
        assert_eq!(problem(server.get(path).await).await, (404, "run_not_found".into()), "{path}");
    }
    for path in ["/healthz", "/runs/x/events"] {
        assert_eq!(problem(server.post(path, json!({})).await).await, (405, "method_not_allowed".into()), "{path}");
    }
    let put = server.client.put(format!("{}/api/v1/runs", server.url)).send().await.unwrap();
    assert_eq!(problem(put).await, (405, "method_not_allowed".into()));
    for query in ["status=odd", "limit=0", "limit=201", "limit=x", "before=x"] {
        assert_eq!(
            problem(server.get(&format!("/api/v1/runs?{query}")).await).await,
            (400, "bad_request".into()),
            "{query}"
        );
    }
    assert_eq!(server.get_json("/api/v1/runs").await["runs"], json!([]), "nothing was created");
}

#[tokio::test]
async fn api_poll_is_bounded() {
    let world = World::new();
    world.pipeline("count", &["for i in 1 2 3 4 5; do echo $i; done"]);
    let server = world.serve();
    let id = server.start(&world, "count").await;
    let head = server.until_status(&id, "completed").await["head"].as_u64().unwrap();
    let frames = format!("/api/v1/runs/{id}/frames");

    let page = server.get_json(&format!("{frames}?after=2&limit=3")).await;
    let seqs: Vec<_> = page["frames"].as_array().unwrap().iter().map(|frame| frame["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, [3, 4, 5]);
    assert_eq!((&page["head"], &page["status"], &page["active"]), (&json!(head), &json!("completed"), &json!(false)));
    let page = server.get_json(&format!("{frames}?after={head}")).await;
    assert_eq!(page["frames"], json!([]));

    for (query, expected) in [
        (format!("after={}", head + 1), (409, "cursor_ahead")),
        ("after=x".to_owned(), (400, "bad_cursor")),
        ("after=-1".to_owned(), (400, "bad_cursor")),
        ("after=".to_owned(), (400, "bad_cursor")),
        ("limit=0".to_owned(), (400, "bad_request")),
        ("limit=5001".to_owned(), (400, "bad_request")),
    ] {
        let (status, code) = problem(server.get(&format!("{frames}?{query}")).await).await;
        assert_eq!((status, code.as_str()), expected, "{query}");
    }
}

#[tokio::test]
async fn api_idempotency_key_gives_the_same_run() {
    let world = World::new();
    world.pipeline("ok", &["echo hello"]);
    let server = world.serve();
    let start = async |key: &str, params: Value| {
        let url = format!("{}/api/v1/runs", server.url);
        let body = json!({"pipeline": "ok", "params": params});
        server.client.post(url).header("Idempotency-Key", key).json(&body).send().await.unwrap()
    };
    let (first, second) = tokio::join!(start("k", json!({})), start("k", json!({})));
    let mut statuses = [first.status().as_u16(), second.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 201]);
    let (first, second): (Value, Value) = (first.json().await.unwrap(), second.json().await.unwrap());
    assert_eq!(first["id"], second["id"]);
    let other = start("k", json!({"project": world.project()})).await;
    assert_eq!(problem(other).await, (409, "idempotency_conflict".into()));
    let other = start("k", json!({"project": "/nowhere"})).await;
    assert_eq!(problem(other).await, (409, "idempotency_conflict".into()), "the key is looked at first");
    assert_eq!(start("other", json!({})).await.status(), StatusCode::CREATED);
    assert_eq!(problem(start("", json!({})).await).await, (400, "bad_request".into()));
    assert_eq!(server.get_json("/api/v1/runs").await["runs"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn api_rerun_adds_one_attempt() {
    let world = World::new();
    world.pipeline("once", &["echo start >> starts; echo hello; while [ -e hold ]; do sleep 0.02; done"]);
    let server = world.serve();
    let id = server.start(&world, "once").await;
    let before = server.until_status(&id, "completed").await["head"].as_u64().unwrap();

    std::fs::write(world.file("hold"), "").unwrap();
    let path = format!("/api/v1/runs/{id}/rerun");
    let answers = futures::future::join_all((0..8).map(|_| server.post(&path, json!({"from": "start"})))).await;
    let won = answers.iter().filter(|answer| answer.status() == StatusCode::ACCEPTED).count();
    let lost = answers.iter().filter(|answer| answer.status() == StatusCode::CONFLICT).count();
    assert_eq!((won, lost), (1, 7));
    std::fs::remove_file(world.file("hold")).unwrap();

    let run = server.until_status(&id, "completed").await;
    assert_eq!(run["attempt"], 2);
    let frames = server.frames(&id).await;
    assert!(frames[..before as usize].iter().all(|frame| frame["attempt"] == 1));
    assert!(frames[before as usize..].iter().all(|frame| frame["attempt"] == 2));
    assert_eq!(frames[before as usize]["data"]["to"], "pending");
    assert_eq!(std::fs::read_to_string(world.file("starts")).unwrap().lines().count(), 2);
}

#[tokio::test]
async fn api_reading_starts_nothing() {
    let world = World::new();
    world
        .pipeline("hold", &["while [ ! -e go ]; do sleep 0.02; done"])
        .pipeline("note", &["echo $RUNTRAIL_RUN_ID >> order"]);
    let server = world.serve_with(&["--workers", "1"]);
    let first = server.start(&world, "hold").await;
    server.until_status(&first, "running").await;
    let mut waiting = Vec::new();
    for _ in 0..4 {
        waiting.push(server.start(&world, "note").await);
    }
    // Reading a waiting run starts nothing, however often it is read.
    for id in &waiting {
        let page = server.get(&format!("/runs/{id}")).await;
        assert_eq!(page.status(), StatusCode::OK);
        assert_eq!(server.frames(id).await.len(), 0);
        let stream = server.get(&format!("/runs/{id}/events")).await;
        assert_eq!(stream.status(), StatusCode::OK);
        assert_eq!(server.run(id).await["status"], "pending");
    }
    // One of them is ended before it began.
    let cancelled = waiting.remove(1);
    let path = format!("/api/v1/runs/{cancelled}/cancel");
    assert_eq!(server.post(&path, json!({})).await.status(), StatusCode::ACCEPTED);
    assert_eq!(problem(server.post(&path, json!({})).await).await, (409, "run_finished".into()));
    std::fs::write(world.file("go"), "").unwrap();
    for id in &waiting {
        server.until_status(id, "completed").await;
    }
    let order = std::fs::read_to_string(world.file("order")).unwrap();
    assert_eq!(order.lines().collect::<Vec<_>>(), waiting);
    let run = server.run(&cancelled).await;
    assert_eq!((&run["status"], &run["phases"][0]["state"]), (&json!("cancelled"), &json!("skipped")));
}

#[tokio::test]
async fn api_list_is_paged_and_filtered() {
    let world = World::new();
    world.pipeline("good", &["true"]).pipeline("bad", &["false"]);
    let server = world.serve();
    let mut ids = Vec::new();
    for index in 0..5 {
        let (name, end) = if index % 2 == 0 { ("good", "completed") } else { ("bad", "failed") };
        let id = server.start(&world, name).await;
        server.until_status(&id, end).await;
        ids.insert(0, id);
    }
    let listed = |page: &Value| -> Vec<String> {
        page["runs"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap().to_owned()).collect()
    };
    let mut seen = Vec::new();
    let mut next = String::new();
    loop {
        let page = server.get_json(&format!("/api/v1/runs?limit=2&before={next}")).await;
        seen.extend(listed(&page));
        match page["next"].as_str() {
            Some(more) => next = more.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, ids);
    assert_eq!(listed(&server.get_json("/api/v1/runs?status=failed").await).len(), 2);
    assert_eq!(listed(&server.get_json("/api/v1/runs?pipeline=good").await).len(), 3);
    assert_eq!(listed(&server.get_json(&format!("/api/v1/runs?q={}", &ids[2][20..])).await), [ids[2].clone()]);
    assert_eq!(listed(&server.get_json("/api/v1/runs?q=project%3D%2F").await).len(), 5, "as the list shows it");
    assert_eq!(listed(&server.get_json("/api/v1/runs?q=%25").await).len(), 0, "a percent sign is a percent sign");
}

#[tokio::test]
async fn api_pipelines_are_reloaded() {
    let world = World::new();
    world.pipeline("one", &["true"]);
    let server = world.serve();
    let names = async || {
        let list = server.get_json("/api/v1/pipelines").await;
        list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["autofix", "one", "refactor"]);
    world.pipeline("two", &["true"]).toml("broken", "name = ");
    until("the new pipeline is there", async || (names().await == ["autofix", "one", "refactor", "two"]).then_some(()))
        .await;
}

#[tokio::test]
async fn api_health_is_reported() {
    let world = World::new();
    world.pipeline("ok", &["echo hello"]);
    let server = world.serve();
    assert_eq!(server.get("/healthz").await.status(), StatusCode::OK);
    assert_eq!(server.get("/readyz").await.status(), StatusCode::OK);
    let id = server.start(&world, "ok").await;
    server.until_status(&id, "completed").await;
    // They are counted when they are there to be read, or a moment later.
    let counted = ["runtrail_runs{status=\"completed\"} 1\n", "runtrail_journal_frames_total 5\n"];
    until("they are counted", async || {
        let metrics = server.get("/metrics").await.text().await.unwrap();
        counted.iter().all(|line| metrics.contains(line)).then_some(())
    })
    .await;
    let kind = server.get("/metrics").await.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
}

#[tokio::test]
async fn api_security_contact_needs_no_token() {
    let world = World::new();
    let server =
        world.serve_with(&["--token", "a-token-of-some-length", "--security-contact", "mailto:security@example.com"]);
    let response = server.get("/.well-known/security.txt").await;
    assert_eq!(response.status(), StatusCode::OK);
    let text = response.text().await.unwrap();
    assert!(text.starts_with("Contact: mailto:security@example.com\nExpires: 2"), "{text}");
    server.terminate().await;
    let server = world.serve();
    assert_eq!(problem(server.get("/.well-known/security.txt").await).await, (404, "not_found".to_owned()));
}
