//! Secrets of hooks: short, missing, unknown.

use super::*;

/// A guessable secret is no secret once others can reach the server.
#[tokio::test]
async fn hook_short_secret_is_refused_on_public_servers() {
    let world = World::new();
    hooked(&world, "p", "");
    let (short, long) = ("fifteen letters", "sixteen letters!");
    for (flags, secret, expected) in [
        (&[][..], short, 201),
        (&["--allow-host", "localhost"], short, 201),
        (&["--allow-host", "runs.example"], short, 503),
        (&["--public-url", "https://runs.example"], short, 503),
        (&["--public-url", "https://runs.example"], long, 201),
    ] {
        std::fs::write(world.data().join("secret"), secret).unwrap();
        let server = world.serve_logged(&[], flags);
        // Each has its own body.
        let body = json!({ "ref": "refs/heads/main", "number": 7, "flags": flags, "secret": secret }).to_string();
        let (status, run) = answer(call(&server, "p", &github(secret, &body, "d"), &body).await).await;
        assert_eq!(status, expected, "{flags:?} {secret}: {run}");
        let faults = server.get_json("/fn/offer").await["faults"].to_string();
        assert_eq!(faults.contains("shorter than 16 bytes"), expected == 503, "{faults}");
        assert!(!faults.contains(secret));
    }
    assert!(world.log().contains("the secret of a hook is weak"), "{}", world.log());
}

#[tokio::test]
async fn hook_unknown_is_indistinguishable_from_wrong_secret() {
    let world = World::new();
    hooked(&world, "p", "");
    world.pipeline("plain", &["true"]);
    let server = world.serve();
    let mut answers = Vec::new();
    for name in ["plain", "unknown", "autofix", "%ff"] {
        let (status, mut body) = answer(call(&server, name, &github(SECRET, PUSH, "d"), PUSH).await).await;
        assert_eq!((status, &body["code"]), (401, &json!("bad_signature")), "{name}");
        body["detail"] = body["detail"].as_str().unwrap().replace(name, "NAME").into();
        answers.push(body);
    }
    let (status, wrong) = answer(call(&server, "p", &github("another secret", PUSH, "d"), PUSH).await).await;
    assert_eq!((status, &wrong["code"]), (401, &json!("bad_signature")));
    assert!(answers.iter().all(|answer| *answer == wrong), "{answers:?}");
    let get = server.get("/api/v1/hooks/p").await;
    assert_eq!(code(get).await, (405, "method_not_allowed".into()));
}

#[tokio::test]
async fn hook_missing_secret_is_reported_without_values() {
    let world = World::new();
    hooked(&world, "p", "");
    let file = world.data().join("secret");
    let env = "name = \"env\"\n[[phases]]\nname = \"a\"\nrun = \"true\"\n[hook]\nsecret_env = ";
    world.toml("env", &format!("{env}\"CARGO_PKG_NAME\"\n"));
    world.toml("unset", &format!("{env}\"RUNTRAIL_TEST_NOT_SET\"\n").replace("\"env\"", "\"unset\""));
    std::fs::remove_file(&file).unwrap();
    let server = world.serve();
    let faults = async || server.get_json("/fn/offer").await["faults"].as_array().unwrap().clone();
    for name in ["p", "unset"] {
        let missing = call(&server, name, &github("", PUSH, "d"), PUSH).await;
        assert_eq!(code(missing).await, (503, "hook_secret_missing".into()), "{name}");
    }
    let told = faults().await;
    let told: Vec<(&str, bool)> = told
        .iter()
        .map(|fault| (fault["file"].as_str().unwrap(), fault["reason"].as_str().unwrap().contains("no secret")))
        .collect();
    assert_eq!(told, [("p.toml", true), ("unset.toml", true)]);
    assert!(server.get("/").await.text().await.unwrap().contains("unset.toml:5"));
    // From a variable of the server's environment, which it has from this test.
    let from_env = call(&server, "env", &github("runtrail", PUSH, "d"), PUSH).await;
    assert_eq!(from_env.status(), StatusCode::CREATED);

    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    assert_eq!(faults().await.len(), 1);
    let (status, run) = answer(call(&server, "p", &github(SECRET, PUSH, "d"), PUSH).await).await;
    assert_eq!(status, 201, "{run}");
    server.until_status(run["id"].as_str().unwrap(), "completed").await;
    let token = [("x-gitlab-token", SECRET.to_owned()), ("x-gitlab-event", "Push Hook".to_owned())];
    assert_eq!(call(&server, "p", &token, PUSH).await.status(), StatusCode::CREATED);
    let pipelines = server.get("/api/v1/pipelines").await.text().await.unwrap();
    assert!(pipelines.contains("strip_prefix") && !pipelines.contains("secret"), "{pipelines}");
    assert!(!server.get("/").await.text().await.unwrap().contains(SECRET));
    assert_eq!(server.terminate().await, Some(0));
    std::fs::remove_file(&file).unwrap();
    for entry in
        std::fs::read_dir(world.data()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file())
    {
        let bytes = std::fs::read(&entry).unwrap();
        assert!(!bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()), "{}", entry.display());
    }
}

/// Hooks are called from other machines, without the token. The rest of the guard applies.
#[tokio::test]
async fn hook_signature_replaces_only_the_token() {
    let world = World::new();
    hooked(&world, "p", "repeat = true");
    let server = world.serve_with(&["--token", "correct horse battery staple", "--allow-host", "runs.example"]);
    let right = github(SECRET, PUSH, "d-1");
    let with = |name: &'static str, value: &str| {
        let mut headers = github(SECRET, PUSH, "d-2");
        headers.push((name, value.to_owned()));
        headers
    };
    assert_eq!(call(&server, "p", &right, PUSH).await.status(), StatusCode::CREATED);
    assert_eq!(call(&server, "p", &with("host", "runs.example"), PUSH).await.status(), StatusCode::CREATED);
    for (headers, expected) in [
        (with("host", "evil.example"), (421, "wrong_host")),
        (with("origin", "https://evil.example"), (403, "foreign_origin")),
        (with("sec-fetch-site", "cross-site"), (403, "foreign_origin")),
        // The token is no signature.
        (vec![("authorization", "Bearer correct horse battery staple".to_owned())], (401, "bad_signature")),
    ] {
        let (status, code) = code(call(&server, "p", &headers, PUSH).await).await;
        assert_eq!((status, code.as_str()), expected, "{headers:?}");
    }
    let mut start = server.client.post(format!("{}/api/v1/runs", server.url)).body(PUSH);
    for (name, value) in &right {
        start = start.header(*name, value);
    }
    assert_eq!(code(start.send().await.unwrap()).await, (401, "unauthorized".into()));
    let list = server.client.get(format!("{}/api/v1/runs", server.url)).bearer_auth("correct horse battery staple");
    let list: Value = list.send().await.unwrap().json().await.unwrap();
    assert_eq!(list["runs"].as_array().unwrap().len(), 2);
}
