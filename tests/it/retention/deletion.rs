//! Deleting runs, and purging what they leave.

use super::*;

#[tokio::test]
async fn delete_removes_the_run_everywhere() {
    let world = World::new();
    world.toml("p", &toml("p", "")).pipeline("long", &["sleep 1000"]);
    let server = world.serve();
    assert_eq!(delete(&server, "nonsense").await, StatusCode::NOT_FOUND);
    let active = server.start(&world, "long").await;
    server.until_status(&active, "running").await;
    assert_eq!(delete(&server, &active).await, StatusCode::CONFLICT);

    let body = json!({ "pipeline": "p" });
    let keyed = async |key: &str, body: &Value| {
        let request = server.client.post(format!("{}/api/v1/runs", server.url)).header("Idempotency-Key", key);
        let answer = request.json(body).send().await.unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap())
    };
    let id = keyed("one", &body).await.1["id"].as_str().unwrap().to_owned();
    server.until_status(&id, "completed").await;
    assert_eq!(keyed("one", &body).await.0, StatusCode::OK);
    pin(&server, &id, "pin").await;
    assert_eq!(server.get_json(&format!("/api/v1/runs/{id}/frames")).await["pinned"], true);
    let refused = server.client.delete(format!("{}/api/v1/runs/{id}", server.url)).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "run_pinned");
    pin(&server, &id, "unpin").await;
    assert_eq!(delete(&server, &id).await, StatusCode::NO_CONTENT);

    let gone = (StatusCode::NOT_FOUND, json!("run_not_found"));
    let run = format!("/api/v1/runs/{id}");
    for path in [
        run.clone(),
        format!("{run}/frames"),
        format!("{run}/log"),
        format!("/runs/{id}/events"),
        format!("/events?run={id}:0"),
    ] {
        assert_eq!(code(&server, &path).await, gone, "{path}");
    }
    for call in ["rerun", "cancel", "pin", "unpin", "approve"] {
        assert_eq!(server.post(&format!("{run}/{call}"), json!({})).await.status(), StatusCode::NOT_FOUND, "{call}");
    }
    assert_eq!(server.get(&format!("/runs/{id}")).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(delete(&server, &id).await, StatusCode::NOT_FOUND);
    assert_eq!(listed(&server).await, [active]);
    let metrics = server.get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("runtrail_runs{status=\"completed\"} 0"), "{metrics}");
    until("its rows go", async || (count(&look(&world), "runs") == 1).then_some(())).await;
    // The key is kept for its day: it starts nothing, whether the run's row is there or not.
    let (status, problem) = keyed("one", &body).await;
    assert_eq!(
        (status, &problem["code"], &problem["retryable"]),
        (StatusCode::GONE, &json!("run_deleted"), &json!(false))
    );
    assert_eq!(keyed("one", &json!({ "pipeline": "p", "params": {} })).await.0, StatusCode::GONE);
    assert_eq!(keyed("one", &json!({ "pipeline": "long" })).await.0, StatusCode::CONFLICT);
    assert_eq!(keyed("two", &body).await.0, StatusCode::CREATED);
}

/// The page after a run that was deleted begins where it would have.
#[tokio::test]
async fn list_pages_continue_after_a_deleted_run() {
    let world = World::new();
    world.toml("p", &toml("p", ""));
    let server = world.serve();
    let mut runs = Vec::new();
    for _ in 0..5 {
        runs.push(completed(&server, "p").await);
    }
    assert_eq!(delete(&server, &runs[2]).await, StatusCode::NO_CONTENT);
    let look = look(&world);
    for _ in 0..2 {
        let page = server.get_json(&format!("/api/v1/runs?before={}", runs[2])).await;
        let ids: Vec<&str> = page["runs"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap()).collect();
        assert_eq!(ids, [&runs[1], &runs[0]]);
        until("its row goes", async || (count(&look, "runs") == 4).then_some(())).await;
    }
}

/// A reader in the middle of a journal gets a problem that is not retryable.
#[tokio::test]
async fn delete_ends_streams_with_a_problem() {
    let world = World::new();
    world.pipeline(
        "much",
        &["yes 'a line that is repeated many times, so that no buffer takes all of them' | head -n 150000"],
    );
    let server = world.serve();
    let id = server.start(&world, "much").await;
    server.until_status(&id, "completed").await;
    let mut answers = Vec::new();
    for path in [format!("/runs/{id}/events"), format!("/events?run={id}:0")] {
        let mut answer =
            http::get(server.addr(), server.addr(), &path, None, Version::Http11, 16 * 1024).await.unwrap();
        let first = answer.piece().await.unwrap().unwrap();
        answers.push((answer, first));
    }
    assert_eq!(delete(&server, &id).await, StatusCode::NO_CONTENT);
    for (mut answer, mut bytes) in answers {
        while let Some(piece) = answer.piece().await.unwrap() {
            bytes.extend(piece);
        }
        let text = String::from_utf8(bytes).unwrap();
        let told = text.split("\n\n").filter_map(|event| event.strip_prefix("event: problem\ndata: "));
        let told: Vec<Value> = told.map(|data| serde_json::from_str(data).unwrap()).collect();
        let [problem] = &told[..] else { panic!("{told:?}") };
        assert_eq!((&problem["code"], &problem["retryable"]), (&json!("run_not_found"), &json!(false)));
        assert!(
            text.trim_end().ends_with('}') && text.rfind("event:") == text.rfind("event: problem"),
            "it is the last"
        );
        assert!(!text.contains("\"seq\":150000"), "it was deleted while it was read");
    }
}

/// Of a re-run or a pin and a deletion at the same moment one wins, and the other is refused.
#[tokio::test]
async fn delete_against_rerun_or_pin_has_one_winner() {
    let world = World::new();
    world.toml("p", &toml("p", ""));
    let server = world.serve();
    let (mut deleted, mut stayed) = (0, 0);
    for round in 0..40 {
        let id = completed(&server, "p").await;
        let (call, done) = if round % 2 == 0 { ("rerun", StatusCode::ACCEPTED) } else { ("pin", StatusCode::OK) };
        let path = format!("/api/v1/runs/{id}/{call}");
        let other = async {
            // Now the one, now the other is first.
            if round % 4 < 2 {
                tokio::task::yield_now().await;
            }
            server.post(&path, json!({})).await.status()
        };
        let (gone, other) = tokio::join!(delete(&server, &id), other);
        let is_there = server.get(&format!("/api/v1/runs/{id}")).await.status() == StatusCode::OK;
        match gone {
            StatusCode::NO_CONTENT => {
                // A re-run or a pin may have completed before.
                assert!(other == StatusCode::NOT_FOUND || other == done, "{other}");
                assert!(!is_there);
                deleted += 1;
            }
            StatusCode::CONFLICT => {
                assert_eq!(other, done);
                assert!(is_there);
                stayed += 1;
            }
            status => panic!("{status}"),
        }
    }
    assert_eq!(deleted + stayed, 40);
    let look = look(&world);
    until("what was deleted goes", async || (count(&look, "runs") == stayed).then_some(())).await;
    is_sound(&look);
}

/// Killed repeatedly while a large run is purged: each next server continues, no reader sees a part of the run, and
/// nothing else is affected.
#[tokio::test]
async fn delete_is_finished_after_a_crash() {
    const FRAMES: u64 = 200_000;
    let world = World::new();
    world.toml("p", &toml("p", ""));
    let server = world.serve();
    let stays = completed(&server, "p").await;
    let before = server.frames(&stays).await;
    assert_eq!(server.terminate().await, Some(0));
    let id = add_large_run(&world, FRAMES);
    let scratch = world.data().join("scratch").join(&id);
    std::fs::create_dir_all(scratch.join("deep")).unwrap();
    let mut server = world.serve();
    assert_eq!(server.run(&id).await["head"], FRAMES);
    assert_eq!(delete(&server, &id).await, StatusCode::NO_CONTENT);
    let mut left = FRAMES as i64;
    let mut in_the_middle = 0;
    // Everything may be purged between two checks.
    while in_the_middle < 3 && left > 0 {
        let look = look(&world);
        left = until("some more of it is gone", async || {
            let now = count(&look, "frames") - before.len() as i64;
            (now == 0 || now < left - 5000).then_some(now)
        })
        .await;
        in_the_middle += i32::from(left > 0);
        server.kill();
        server = world.serve();
        assert_eq!(
            code(&server, &format!("/api/v1/runs/{id}/frames")).await,
            (StatusCode::NOT_FOUND, json!("run_not_found"))
        );
        assert_eq!(listed(&server).await, std::slice::from_ref(&stays));
        assert_eq!(delete(&server, &id).await, StatusCode::NOT_FOUND);
    }
    assert!(in_the_middle > 0, "it was in the middle");
    until("all of it is gone", async || (count(&look(&world), "runs") == 1).then_some(())).await;
    assert!(!scratch.exists());
    assert_eq!(server.frames(&stays).await, before);
    assert_eq!(count(&look(&world), "frames"), before.len() as i64);
    // And then the file shrinks, though the server runs.
    until("room is given back", async || {
        let size = server.get_json("/api/v1/database").await;
        (size["free_bytes"].as_u64().unwrap() <= 4 << 20 && size["bytes"].as_u64().unwrap() < 8 << 20).then_some(())
    })
    .await;
    assert_eq!(server.terminate().await, Some(0));
    is_sound(&look(&world));
}

/// While a large run is purged, another run's frames arrive about as fast as ever.
#[tokio::test]
async fn purge_does_not_block_writes() {
    let world = World::new();
    world.toml("p", &toml("p", "")).fed();
    let server = world.serve();
    completed(&server, "p").await;
    assert_eq!(server.terminate().await, Some(0));
    let id = add_large_run(&world, 200_000);
    let server = world.serve();
    let mut feed = Feed::start(&world, &server).await;
    let mut events = Events::open(&server, &format!("/runs/{}/events", feed.id)).await;
    let mut took = async |number: u32| {
        let line = format!("line {number};\n");
        let began = std::time::Instant::now();
        feed.print(line.as_bytes()).await;
        while !events.next().await.unwrap().data.contains(line.trim()) {}
        began.elapsed()
    };
    let mut alone = Vec::new();
    for number in 0..200 {
        alone.push(took(number).await);
    }
    assert_eq!(delete(&server, &id).await, StatusCode::NO_CONTENT);
    let (look, mut beside) = (look(&world), Vec::new());
    for number in 200.. {
        beside.push(took(number).await);
        if number % 20 == 0 && count(&look, "runs") == 2 {
            break;
        }
    }
    for times in [&mut alone, &mut beside] {
        times.sort();
    }
    let at = |times: &[Duration], part: usize| times[(times.len() - 1) * part / 100];
    println!(
        "alone: median {:?}, 99 % {:?}; while a run goes: median {:?}, 99 % {:?}, of {}",
        at(&alone, 50),
        at(&alone, 99),
        at(&beside, 50),
        at(&beside, 99),
        beside.len()
    );
    assert!(beside.len() > 50, "it was measured while the run went: {}", beside.len());
    // A loose bound, since other tests run at the same time: one transaction for everything would take seconds and let
    // few lines through.
    assert!(
        at(&beside, 50) < at(&alone, 50) * 3 + Duration::from_millis(500),
        "{:?} {:?}",
        at(&alone, 50),
        at(&beside, 50)
    );
}

/// What cannot be removed now is removed later, and the run is deleted all the same.
#[tokio::test]
async fn purge_retries_folders() {
    let world = World::new();
    world.toml("p", &toml("p", ""));
    let server = world.serve();
    let id = completed(&server, "p").await;
    let scratch = world.data().join("scratch").join(&id);
    // A mounted file system is left alone.
    let mount = std::process::Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&scratch).status();
    if !mount.is_ok_and(|done| done.success()) {
        println!("skipped: only root can mount something");
        return;
    }
    assert_eq!(delete(&server, &id).await, StatusCode::NO_CONTENT);
    let look = look(&world);
    until("its frames go", async || (count(&look, "frames") == 0).then_some(())).await;
    assert_eq!(listed(&server).await, Vec::<String>::new());
    assert_eq!(count(&look, "runs"), 1);
    assert!(std::process::Command::new("umount").arg(&scratch).status().unwrap().success());
    server.kill();
    let _server = world.serve();
    until("the rest goes", async || (count(&look, "runs") == 0).then_some(())).await;
}
