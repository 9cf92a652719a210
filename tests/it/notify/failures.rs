//! Receivers that fail, and servers that crash.

use super::*;

/// A receiver that never answers delays neither the others nor the end of the server, and the next server starts
/// afresh.
#[tokio::test]
async fn notification_to_a_silent_receiver_blocks_nothing() {
    let world = World::new();
    let silent = Receiver::with(&[Reply::Silence]).await;
    let well = Receiver::with(&[Reply::Status(200)]).await;
    pipeline(&world, "silent", "true", &receiver(&silent.url("/silent"), ""));
    pipeline(
        &world,
        "both",
        "true",
        &[receiver(&silent.url("/silent"), ""), receiver(&well.url("/well"), "")].concat(),
    );
    let server = world.serve();
    let mut ids = Vec::new();
    for _ in 0..40 {
        ids.push(server.start(&world, "silent").await);
    }
    for id in &ids {
        server.until_status(id, "completed").await;
    }
    // The other receiver gets its notification before any request to the silent one has ended. A request may time out
    // by itself on a machine that pauses; then it is retried.
    let mut waited_for = Vec::new();
    while waited_for.last() != Some(&0) {
        assert!(waited_for.len() < 3, "others had to end before: {waited_for:?}");
        silent.until(4).await;
        let ended = tries_that(&server, "retrying").await;
        ids.push(server.start(&world, "both").await);
        well.until(waited_for.len() + 1).await;
        waited_for.push(tries_that(&server, "retrying").await - ended);
        // Requests that arrived, and how many of them ended.
        let begun = silent.got().len();
        let at_once = begun - begun.min(tries_that(&server, "retrying").await);
        assert!(at_once <= 4, "{at_once} at once");
    }
    let waiting = i64::try_from(ids.len()).unwrap();
    until("each that is not delivered is there once", async || (outbox(&world) == waiting).then_some(())).await;

    let began = Instant::now();
    assert_eq!(server.terminate().await, Some(0));
    // Neither the grace time nor tries are waited for: all that have ended are journaled.
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    let ended = count(&world, "frames WHERE kind = 'notification' AND data LIKE '%\"retrying\"%'");
    assert!(usize::try_from(ended).unwrap() < silent.got().len(), "{ended} of {}", silent.got().len());
    silent.answers(Reply::Status(200));
    let before: BTreeSet<String> = silent.got().iter().map(|got| got.header("webhook-id").to_owned()).collect();
    let server = world.serve();
    until("all are delivered", async || (outbox(&world) == 0).then_some(())).await;
    for id in &ids {
        let last = notifications(&server, id).await.pop().unwrap();
        assert_eq!(last["data"]["state"], "delivered", "{last}");
    }
    let after: BTreeSet<String> = silent.got().iter().map(|got| got.header("webhook-id").to_owned()).collect();
    assert!(before.is_subset(&after) && after.len() == ids.len(), "{} of {}", after.len(), ids.len());
}

#[tokio::test]
async fn notification_attempt_times_out() {
    let world = World::new();
    let silent = Receiver::with(&[Reply::Silence]).await;
    pipeline(&world, "p", "true", &receiver(&silent.url("/silent"), ""));
    let server = world.serve();
    let id = server.start(&world, "p").await;
    let frame = until_journaled(&server, &id, 1).await.remove(0);
    assert_eq!(
        (&frame["data"]["state"], &frame["data"]["error"]),
        (&json!("retrying"), &json!("it did not answer within 10 s"))
    );
}

/// The delivery is stored with the end of the run: a server killed at any moment after it loses nothing, and no
/// receiver hears of an end that did not happen.
#[tokio::test]
async fn notification_survives_crashes_once() {
    let world = World::new();
    // As long as servers are killed it takes nothing, so each of them dies between the end of its run and the delivery.
    let well = Receiver::with(&[Reply::Silence]).await;
    pipeline(&world, "p", "true", &receiver(&well.url("/well"), ""));
    let mut ids = BTreeSet::new();
    for round in 0..8u64 {
        let tried = well.got().len();
        let server = world.serve();
        let id = server.start(&world, "p").await;
        server.until_status(&id, "completed").await;
        if round % 2 == 0 {
            // The moment of the kill: from before the try to the middle of it.
            tokio::time::sleep(Duration::from_millis(5 * round)).await;
        } else {
            well.until(tried + 1).await;
        }
        server.kill();
        ids.insert(id);
        assert_eq!(outbox(&world), i64::try_from(ids.len()).unwrap());
    }
    well.answers(Reply::Status(200));
    let server = world.serve();
    until("all are delivered", async || (outbox(&world) == 0).then_some(())).await;
    let got = well.got();
    let told: BTreeSet<String> = got.iter().map(|got| got.json()["run"]["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(told, ids);
    let messages: BTreeSet<&str> = got.iter().map(|got| got.header("webhook-id")).collect();
    assert_eq!(messages.len(), ids.len(), "one message a run, however often it was sent");
    for id in &ids {
        let frames = notifications(&server, id).await;
        let delivered = frames.iter().filter(|frame| frame["data"]["state"] == "delivered");
        assert_eq!(delivered.count(), 1, "{frames:?}");
        // And it is the last that is heard of it.
        assert_eq!(frames.last().unwrap()["data"]["state"], "delivered", "{frames:?}");
    }
}

#[tokio::test]
async fn notification_of_interruption_unless_resumed() {
    let world = World::new();
    let well = Receiver::with(&[Reply::Status(200)]).await;
    pipeline(&world, "ends", WAIT_FOR_GO, &receiver(&well.url("/ends"), ""));
    pipeline(&world, "goes-on", WAIT_FOR_GO, &receiver(&well.url("/goes-on"), ""));
    let text = std::fs::read_to_string(world.file("../pipelines/goes-on.toml")).unwrap();
    world.toml("goes-on", &format!("on_interrupt = \"resume\"\n{text}"));
    let server = world.serve();
    let (ends, goes_on) = (server.start(&world, "ends").await, server.start(&world, "goes-on").await);
    for id in [&ends, &goes_on] {
        server.until_status(id, "running").await;
    }
    server.kill_and_lapse();
    let server = world.serve();
    until_journaled(&server, &ends, 1).await;
    let told = well.got()[0].json();
    assert_eq!((&told["status"], &told["run"]["id"]), (&json!("interrupted"), &json!(ends)));
    std::fs::write(world.file("go"), "").unwrap();
    let run = until("it goes on to its end", async || {
        Some(server.run(&goes_on).await).filter(|run| run["status"] == "completed")
    })
    .await;
    assert_eq!(run["attempt"], 2);
    let frames = until_journaled(&server, &goes_on, 1).await;
    assert_eq!((frames.len(), &frames[0]["attempt"]), (1, &json!(2)));
    let paths: Vec<_> = well.got().iter().map(|got| got.uri.path().to_owned()).collect();
    assert_eq!(paths, ["/ends", "/goes-on"]);
    assert_eq!(
        well.got()[1].json()["text"].as_str().unwrap().split(" after").next(),
        Some("The goes-on one completed")
    );
}

/// A late notification belongs to its attempt and describes the run as it was then.
#[tokio::test]
async fn notification_does_not_delay_a_rerun() {
    let world = World::new();
    let busy = Receiver::with(&[Reply::Later(503, 3), Reply::Status(200)]).await;
    pipeline(&world, "p", "[ $RUNTRAIL_ATTEMPT = 2 ] || exit 3", &receiver(&busy.url("/busy"), "on = [\"failed\"]"));
    let text = std::fs::read_to_string(world.file("../pipelines/p.toml")).unwrap();
    world.toml("p", &text.replace("|| exit 3", &format!("|| exit 3; {WAIT_FOR_GO}")));
    let server = world.serve();
    let id = server.start(&world, "p").await;
    server.until_status(&id, "failed").await;
    until_journaled(&server, &id, 1).await;
    assert_eq!(server.post(&format!("/api/v1/runs/{id}/rerun"), json!({})).await.status(), StatusCode::ACCEPTED);
    server.until_status(&id, "running").await;
    let frames = until_journaled(&server, &id, 2).await;
    assert_eq!((&frames[1]["attempt"], &frames[1]["data"]["state"]), (&json!(1), &json!("delivered")));
    let told = busy.got()[1].json();
    assert_eq!((&told["attempt"], &told["status"], &told["run"]["attempt"]), (&json!(1), &json!("failed"), &json!(1)));
    let run = server.run(&id).await;
    assert_eq!((&run["status"], &run["attempt"]), (&json!("running"), &json!(2)));
    std::fs::write(world.file("go"), "").unwrap();
    server.until_status(&id, "completed").await;
    assert_eq!(notifications(&server, &id).await.len(), 2, "it asked for failures only");
}
