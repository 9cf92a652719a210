//! Secrets reach commands and nothing else, and are erased when the run has ended.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::support::{Server, World, until};

const SECRET: &str = "hunter-Ü '2\"/+";

fn toml(name: &str, top: &str, run: &str, more: &str) -> String {
    format!(
        "name = \"{name}\"\n{top}\n[[params]]\nname = \"password\"\ntype = \"secret\"\nrequired = true\n[[params]]\nname = \"word\"\ntype = \"string\"\n\
         [[phases]]\nname = \"use\"\nrun = '''{run}'''\n{more}"
    )
}

async fn start(server: &Server, name: &str, params: Value) -> Response {
    server.post("/api/v1/runs", json!({"pipeline": name, "params": params})).await
}

async fn started(response: Response) -> String {
    let (status, run) = (response.status(), response.json::<Value>().await.unwrap());
    assert!(status.is_success(), "{status}: {run}");
    run["id"].as_str().unwrap().to_owned()
}

/// Whether these bytes are in any file of the database.
fn in_database(world: &World, bytes: &[u8]) -> bool {
    let has = |path: &Path| std::fs::read(path).is_ok_and(|file| file.windows(bytes.len()).any(|part| part == bytes));
    ["runtrail.db", "runtrail.db-wal", "runtrail.db-shm"].iter().any(|name| has(&world.data().join(name)))
}

#[tokio::test]
async fn secret_reaches_only_the_command() {
    let world = World::new();
    let base64 = "printf 'user:%s' \"$RUNTRAIL_PARAM_PASSWORD\" | base64; printf %s \"$RUNTRAIL_PARAM_PASSWORD\" | base64 | tr '+/' '-_' | tr -d =";
    let run = format!(
        "printf %s \"$RUNTRAIL_PARAM_PASSWORD\" > \"$RUNTRAIL_PARAM_WORD/got\"\n\
         echo \"plain $RUNTRAIL_PARAM_PASSWORD.\"\necho \"error $RUNTRAIL_PARAM_PASSWORD.\" >&2\n{base64}\n\
         printf 'url %s.\\n' hunter-%C3%9C%20%272%22%2F%2B hunter-%c3%9c+%272%22%2f%2b\n\
         printf 'half: %s' 'hunter-'; printf '%s.\\n' \"Ü '2\\\"/+\"\n\
         printf '%070000d%s.\\n' 0 \"$RUNTRAIL_PARAM_PASSWORD\"\n\
         printf '::frame {{\"kind\":\"error\",\"code\":\"x\",\"message\":\"said %s\",\"retryable\":false}}\\n' 'hunter-\\u00dc \\u00272\\\"/+'\n\
         printf '::output got=%s\\n' \"$RUNTRAIL_PARAM_PASSWORD\"\n\
         set -x; : curl -u \"u:$RUNTRAIL_PARAM_PASSWORD\"; exit 3"
    );
    // Not in the pipeline's file, which everybody sees.
    std::fs::write(world.file("script"), run).unwrap();
    world.toml("p", &toml("p", "", "exec sh \"$RUNTRAIL_PARAM_WORD/script\"", ""));
    let server = world.serve_logged(&[], &[]);
    let folder = world.project();
    let id = started(start(&server, "p", json!({"password": SECRET, "word": folder})).await).await;
    let run = server.until_status(&id, "failed").await;
    assert_eq!(std::fs::read_to_string(folder.join("got")).unwrap(), SECRET);
    assert_eq!(run["params"], json!({"word": folder}));
    assert_eq!(run["error"], "phase use failed: said ***");

    let lines = server.lines(&id).await;
    for line in ["plain ***.", "error ***.", "url ***.", "half: ***."] {
        assert!(lines.iter().any(|printed| printed == line), "{line}: {lines:?}");
    }
    assert!(lines.iter().filter(|line| line.contains("***")).count() >= 8, "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("+ : curl") && line.contains("***")), "{lines:?}");

    // Whatever can be asked for.
    let mut seen = Vec::new();
    for path in ["", "/frames?limit=5000", "/log", "/attempts", "/compare"] {
        seen.push(server.get(&format!("/api/v1/runs/{id}{path}")).await.text().await.unwrap());
    }
    for path in [
        "/",
        "/api/v1/runs",
        "/api/v1/pipelines",
        "/?pipeline=p",
        &format!("/runs/{id}"),
        &format!("/runs/{id}?edit=1"),
        &format!("/runs/{id}/events"),
    ] {
        seen.push(server.get(path).await.text().await.unwrap());
    }
    seen.push(world.log());
    let escaped = serde_json::to_string(SECRET).unwrap().trim_matches('"').to_owned();
    let core = STANDARD.encode(SECRET);
    for spelled in
        [SECRET, &escaped, "hunter-", "hunter-%", core.trim_end_matches('='), &URL_SAFE_NO_PAD.encode(SECRET)]
    {
        assert!(seen.iter().all(|seen| !seen.contains(spelled)), "{spelled}");
    }
}

#[tokio::test]
async fn secret_is_erased_when_the_run_ends() {
    let world = World::new();
    // Larger than a page, so it has pages of its own.
    let key: String = (0..400).map(|line| format!("line {line:03} of a long secret key\n")).collect();
    world.toml("p", &toml("p", "", "until [ -e \"$RUNTRAIL_PARAM_WORD/go\" ]; do sleep 0.02; done", ""));
    let server = world.serve();
    let mut runs = Vec::new();
    for (number, secret) in [&key, "a short one 123", &key.replace("line", "LINE")].into_iter().enumerate() {
        let params = json!({"password": secret, "word": world.project()});
        runs.push((started(start(&server, "p", params).await).await, number));
    }
    assert!(
        in_database(&world, b"a short one 123") && in_database(&world, b"line 200 of a long"),
        "there while they run"
    );
    // One is cancelled, the others end by themselves.
    assert_eq!(
        server.post(&format!("/api/v1/runs/{}/cancel", runs[1].0), json!({})).await.status(),
        StatusCode::ACCEPTED
    );
    std::fs::write(world.file("go"), "").unwrap();
    for (id, number) in &runs {
        server.until_status(id, if *number == 1 { "cancelled" } else { "completed" }).await;
    }
    let gone = |text: &str| !in_database(&world, text.as_bytes());
    until("the secrets are gone", async || {
        let texts = ["a short one 123", "of a long secret", "line 000", "LINE 399 of"];
        texts.into_iter().all(gone).then_some(())
    })
    .await;
    // Neither is a digest of them kept.
    server.kill();
    let server = world.serve();
    assert!(gone("of a long secret"));
    drop(server);
}

#[tokio::test]
async fn secret_is_requested_again_by_a_rerun() {
    let world = World::new();
    world.toml("p", &toml("p", "", "echo \"${#RUNTRAIL_PARAM_PASSWORD} $RUNTRAIL_PARAM_WORD\"", ""));
    let optional = toml("o", "", "echo \"${RUNTRAIL_PARAM_PASSWORD-none}\"", "").replace("required = true", "");
    world.toml("o", &optional);
    let server = world.serve();
    for name in ["p", "o"] {
        let id = started(start(&server, name, json!({"password": "hunter-2", "word": "x"})).await).await;
        server.until_status(&id, "completed").await;
        let rerun = async |body: Value| server.post(&format!("/api/v1/runs/{id}/rerun"), body).await;
        let refused = rerun(json!({"from": "start"})).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "{name}");
        let problem: Value = refused.json().await.unwrap();
        let error = &problem["errors"][0];
        assert_eq!((&error["param"], &error["code"]), (&json!("password"), &json!("missing")), "{name}");
        assert!(error["message"].as_str().unwrap().contains("Give it again"), "{problem}");
        let unknown = rerun(json!({"secrets": {"password": "hunter-3", "word": "y"}})).await;
        assert_eq!(unknown.status(), StatusCode::UNPROCESSABLE_ENTITY, "{name}");
        let again = rerun(json!({"secrets": {"password": "hunter-333"}})).await;
        assert_eq!(again.status(), StatusCode::ACCEPTED, "{name}");
        let run = server.until_status(&id, "completed").await;
        assert_eq!(run["params"], json!({"word": "x"}), "{name}");
    }
    // All parameters are given again except this one.
    let id = server.get_json("/api/v1/runs?pipeline=o").await["runs"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        server.post(&format!("/api/v1/runs/{id}/rerun"), json!({"params": {}})).await.status(),
        StatusCode::ACCEPTED
    );
    server.until_status(&id, "completed").await;
    assert_eq!(server.lines(&id).await, ["***", "***", "none"]);
}

#[tokio::test]
async fn secret_survives_a_crash() {
    let world = World::new();
    let run = "echo \"attempt $RUNTRAIL_ATTEMPT has $RUNTRAIL_PARAM_PASSWORD, ${#RUNTRAIL_PARAM_PASSWORD} long\"\n\
               [ \"$RUNTRAIL_ATTEMPT\" = 2 ] || { : > \"$RUNTRAIL_PARAM_WORD/begun\"; sleep 1000; }";
    world.toml("p", &toml("p", "on_interrupt = \"resume\"", run, ""));
    let server = world.serve();
    let id = started(start(&server, "p", json!({"password": "hunter-22", "word": world.project()})).await).await;
    until("it has begun", async || world.file("begun").exists().then_some(())).await;
    server.until_line(&id, "attempt 1 has ***, 9 long").await;
    server.kill_and_lapse();
    let server = world.serve();
    let run = server.until_status(&id, "completed").await;
    assert_eq!(run["attempt"], 2);
    assert_eq!(server.lines(&id).await, ["attempt 1 has ***, 9 long", "attempt 2 has ***, 9 long"]);
    until("the secret is gone", async || (!in_database(&world, b"hunter-22")).then_some(())).await;
}

#[tokio::test]
async fn secret_is_part_of_the_idempotency_key() {
    let world = World::new();
    world.toml("p", &toml("p", "", "until [ -e \"$RUNTRAIL_PARAM_WORD/go\" ]; do sleep 0.02; done", ""));
    let server = world.serve();
    let post = async |secret: &str, word: &Path| {
        let body = json!({"pipeline": "p", "params": {"password": secret, "word": word}});
        let request = server.client.post(format!("{}/api/v1/runs", server.url)).header("Idempotency-Key", "one");
        request.json(&body).send().await.unwrap()
    };
    let project = world.project();
    let first = post("hunter-2", &project).await;
    assert_eq!(first.status(), StatusCode::CREATED);
    let id = started(first).await;
    assert_eq!(post("hunter-2", &project).await.status(), StatusCode::OK);
    assert_eq!(post("hunter-3", &project).await.status(), StatusCode::CONFLICT);
    std::fs::write(world.file("go"), "").unwrap();
    server.until_status(&id, "completed").await;
    // Nothing identifies it any more.
    assert_eq!(post("hunter-3", &project).await.status(), StatusCode::OK);
    assert_eq!(post("hunter-2", Path::new("/elsewhere")).await.status(), StatusCode::CONFLICT);
}

#[tokio::test]
async fn secret_too_short_is_refused() {
    let world = World::new();
    world.toml("p", &toml("p", "", "true", ""));
    let server = world.serve();
    for (secret, code) in [
        (json!("abc"), "too_short"),
        (json!(" a \n"), "too_short"),
        (json!(""), "missing"),
        (json!(12345), "wrong_type"),
    ] {
        let response = start(&server, "p", json!({"password": secret})).await;
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY, "{secret}");
        let text = response.text().await.unwrap();
        assert!(text.contains(code), "{secret}: {text}");
    }
}

#[tokio::test]
async fn secret_of_a_pipeline_comes_from_the_server() {
    let world = World::new();
    std::fs::write(world.data().join("key"), "from-a-file\nwith two lines\n\n").unwrap();
    let text = format!(
        r#"name = "p"
[secrets]
FROM_ENV = {{ env = "CI_SECRET" }}
FROM_FILE = {{ file = "{}" }}
FROM_COMMAND = {{ command = "printf 'from-%s\n' a-command; echo from-a-command >&2" }}
[[phases]]
name = "all"
run = '''printf '%s|%s|%s|%s' "$FROM_ENV" "$FROM_FILE" "$FROM_COMMAND" "${{CI_SECRET-none}}" > all; echo "$FROM_ENV $FROM_COMMAND"; echo "$FROM_FILE"'''
[[phases]]
name = "one"
secrets = ["FROM_ENV"]
run = 'echo "${{FROM_ENV+set}} ${{FROM_FILE-none}} from-a-command"'
[[phases]]
name = "none"
secrets = []
run = 'echo "${{FROM_ENV-none}} from-the-env"; cat all'
"#,
        world.data().join("key").display()
    );
    world.toml("p", &text);
    let server = world.serve_logged(&[("CI_SECRET", "from-the-env")], &[]);
    let id = started(start(&server, "p", json!({})).await).await;
    server.until_status(&id, "completed").await;
    let all = std::fs::read_to_string(world.data().join("scratch").join(&id).join("all")).unwrap();
    assert_eq!(all, "from-the-env|from-a-file\nwith two lines|from-a-command|none");
    assert_eq!(server.lines(&id).await, ["*** ***", "***", "set none ***", "none ***", "***|***|***|none"]);
    let pipelines = server.get("/api/v1/pipelines").await.text().await.unwrap();
    assert!(
        pipelines.contains("FROM_ENV") && !pipelines.contains("from-%s") && !pipelines.contains("\"CI_SECRET\""),
        "{pipelines}"
    );
    assert!(!in_database(&world, b"from-a-file"));
}

#[tokio::test]
async fn secret_unavailable_fails_the_run() {
    let world = World::new();
    let pipeline = |name: &str, source: &str| {
        let phases = "[[phases]]\nname = \"a\"\nrun = 'echo never'\n";
        world.toml(name, &format!("name = \"{name}\"\n[secrets]\nTOKEN = {{ {source} }}\n{phases}"));
    };
    pipeline("unset", "env = \"CI_NOT_SET\"");
    pipeline("file", "file = \"/no/such/file\"");
    pipeline("command", "command = \"echo half-a-secret; exit 3\"");
    pipeline("short", "command = \"echo abc\"");
    pipeline("large", "command = \"yes\"");
    let server = world.serve();
    for (name, why) in [
        ("unset", "the secret TOKEN cannot be used: the server's variable CI_NOT_SET is not set"),
        ("file", "the secret TOKEN cannot be used: the file /no/such/file cannot be read (No such file"),
        ("command", "the secret TOKEN cannot be used: its command ended with exit code 3"),
        ("short", "the secret TOKEN cannot be used: it has less than 4 bytes"),
        ("large", "the secret TOKEN cannot be used: it is longer than 100000 bytes"),
    ] {
        let id = started(start(&server, name, json!({})).await).await;
        let run = server.until_status(&id, "failed").await;
        assert!(run["error"].as_str().unwrap().starts_with(why), "{run}");
        assert_eq!(run["phases"][0]["state"], "skipped");
        assert!(server.frames(&id).await.iter().all(|frame| !frame.to_string().contains("half-a-secret")));
    }
}
