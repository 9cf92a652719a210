//! A run's stream against CONTRACT.md, "The stream", over real connections.

use reqwest::StatusCode;
use runtrail::model::sse::{SseEvent, SseParser};
use serde_json::Value;

use crate::support::http::{self, Version};
use crate::support::{Events, World, until};

fn seqs(events: &[SseEvent]) -> Vec<u64> {
    events.iter().filter(|event| event.event == "message").map(|event| event.last_event_id.parse().unwrap()).collect()
}

#[tokio::test]
async fn stream_sends_ready_frames_and_end() {
    let world = World::new();
    world.pipeline("count", &["for i in 1 2 3 4 5; do echo $i; done"]);
    let server = world.serve();
    let id = server.start(&world, "count").await;
    let head = server.until_status(&id, "completed").await["head"].as_u64().unwrap();
    let frames = server.frames(&id).await;

    let events = Events::open(&server, &format!("/runs/{id}/events")).await.all().await;
    assert_eq!((events[0].event.as_str(), events[0].last_event_id.as_str()), ("ready", "0"));
    let ready: Value = serde_json::from_str(&events[0].data).unwrap();
    assert_eq!((&ready["head"], &ready["status"], &ready["attempt"]), (&head.into(), &"completed".into(), &1.into()));
    assert_eq!(seqs(&events), (1..=head).collect::<Vec<_>>());
    for (event, frame) in events[1..].iter().zip(&frames) {
        assert_eq!(&serde_json::from_str::<Value>(&event.data).unwrap(), frame, "the stream says what the poll says");
    }
    let end = events.last().unwrap();
    assert_eq!(end.event, "end");
    assert_eq!(
        serde_json::from_str::<Value>(&end.data).unwrap(),
        serde_json::json!({"status": "completed", "head": head})
    );

    // From a cursor, by URL and by header; the header wins.
    let from = |after: &str| format!("/runs/{id}/events?after={after}");
    assert_eq!(seqs(&Events::open(&server, &from("3")).await.all().await), (4..=head).collect::<Vec<_>>());
    let reconnect = |after: &str, last: &str| {
        server.client.get(format!("{}{}", server.url, from(after))).header("Last-Event-ID", last).send()
    };
    let body = reconnect("1", &(head - 1).to_string()).await.unwrap().text().await.unwrap();
    assert!(body.starts_with(&format!("retry: 3000\nid: {}\nevent: ready\n", head - 1)), "{body}");
    assert_eq!(seqs(&SseParser::new("").push(body.as_bytes())), [head]);
    assert_eq!(reconnect("1", &head.to_string()).await.unwrap().status(), StatusCode::NO_CONTENT);

    // Cursors that are refused.
    assert_eq!(server.get(&from(&head.to_string())).await.status(), StatusCode::NO_CONTENT);
    for (response, status, code) in [
        (server.get(&from(&(head + 1).to_string())).await, 409, "cursor_ahead"),
        (server.get(&from("x")).await, 400, "bad_cursor"),
        (reconnect("1", "x").await.unwrap(), 400, "bad_cursor"),
        (server.get("/runs/01939f1c-8f2a-7c3e-9d5b-0123456789ab/events").await, 404, "run_not_found"),
        (server.get("/runs/nonsense/events").await, 404, "run_not_found"),
    ] {
        assert_eq!(response.status(), status);
        assert_eq!(response.json::<Value>().await.unwrap()["code"], code);
    }
}

#[tokio::test]
async fn stream_heartbeats_keep_the_cursor() {
    let world = World::new();
    world.pipeline("hold", &["while [ ! -e go ]; do sleep 0.02; done"]);
    let server = world.serve_with(&["--heartbeat", "50ms"]);
    let id = server.start(&world, "hold").await;
    server.until_status(&id, "running").await;
    let mut events = Events::open(&server, &format!("/runs/{id}/events")).await;
    let mut last = String::new();
    loop {
        let event = events.next().await.unwrap();
        if event.event == "heartbeat" {
            assert_eq!(event.last_event_id, last);
            // A heartbeat with the new head may precede it.
            let head = serde_json::from_str::<Value>(&event.data).unwrap()["head"].as_u64();
            if head == last.parse().ok() {
                break;
            }
            continue;
        }
        last = event.last_event_id;
    }
    std::fs::write(world.file("go"), "").unwrap();
    let rest = events.all().await;
    assert_eq!(rest.last().unwrap().event, "end");
}

/// Frames sent by a broadcast group reset the heartbeat just as a stream's own do.
#[tokio::test]
async fn stream_heartbeats_only_in_silence() {
    let world = World::new();
    world.pipeline("drip", &["for i in $(seq 120); do echo $i; sleep 0.05; done"]);
    let server = world.serve_with(&["--heartbeat", "2s"]);
    let id = server.start(&world, "drip").await;
    let events = Events::open(&server, &format!("/runs/{id}/events")).await.all().await;
    let told_at = |event: &SseEvent| {
        let ts = serde_json::from_str::<Value>(&event.data).unwrap()["ts"].as_str().map(str::to_owned);
        ts.map(|ts| ts.parse::<jiff::Timestamp>().unwrap())
    };
    let unfounded = events.windows(3).filter(|events| {
        let around = told_at(&events[0]).zip(told_at(&events[2]));
        events[1].event == "heartbeat" && around.is_some_and(|(a, b)| b.duration_since(a).as_millis() < 150)
    });
    // A machine that pauses creates silence. By the clock alone there would be three.
    assert!(unfounded.count() < 2);
    assert!(events.len() > 120);
}

/// Readers that join at any moment while the run prints get the same frames, each once.
#[tokio::test(flavor = "multi_thread")]
async fn stream_readers_joining_anytime_agree() {
    let world = World::new();
    world.pipeline("many", &["i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; echo same; echo same"]);
    let server = world.serve();
    let id = server.start(&world, "many").await;
    let path = format!("/runs/{id}/events");
    let mut readers = Vec::new();
    // One more reader each time the journal has grown, until the run is over.
    let mut seen = 0;
    loop {
        let run = server.run(&id).await;
        let head = run["head"].as_u64().unwrap();
        if head > seen || readers.is_empty() {
            seen = head;
            for after in [0, head / 2, head] {
                let path = format!("{path}?after={after}");
                let url = format!("{}{path}", server.url);
                let client = server.client.clone();
                readers.push(tokio::spawn(async move {
                    let response = client.get(url).send().await.unwrap();
                    let status = response.status();
                    let body = response.bytes().await.unwrap();
                    (after, status, seqs(&SseParser::new("").push(&body)))
                }));
            }
        }
        if run["status"] == "completed" || readers.len() > 150 {
            break;
        }
    }
    let head = server.until_status(&id, "completed").await["head"].as_u64().unwrap();
    for reader in readers {
        let (after, status, seqs) = reader.await.unwrap();
        if status == StatusCode::NO_CONTENT {
            assert_eq!(after, head);
        } else {
            assert_eq!(seqs, (after + 1..=head).collect::<Vec<_>>(), "a reader from {after}");
        }
    }
    let lines = server.lines(&id).await;
    assert_eq!(lines.len(), 3002);
    assert_eq!(lines[3000..], ["same", "same"], "two equal lines are two frames");
}

#[tokio::test]
async fn stream_stalled_reader_blocks_nobody() {
    let world = World::new();
    world.pipeline("flood", &["yes 0123456789012345678901234567890123456789 | head -n 100000"]);
    let server = world.serve();
    let id = server.start(&world, "flood").await;
    // Takes the head of the answer and nothing more, so that the connection fills. However long that takes.
    let (host, path) = (server.addr(), format!("/runs/{id}/events"));
    let mut stalled = http::get(host, host, &path, None, Version::Http11, 16 * 1024).await.unwrap();
    server.until_status(&id, "completed").await;
    assert_eq!(server.lines(&id).await.len(), 100_000);
    // And it still gets everything, when it likes to.
    let (mut parser, mut events) = (SseParser::new(""), Vec::new());
    while let Some(piece) = stalled.piece().await.unwrap() {
        events.extend(parser.push(&piece));
    }
    assert_eq!(seqs(&events), (1..=100_004).collect::<Vec<_>>());
}

#[tokio::test]
async fn stream_ends_cleanly_when_the_server_stops() {
    let world = World::new();
    world.pipeline("hold", &["echo $$ > pid; while [ ! -e go ]; do sleep 0.02; done"]);
    let server = world.serve();
    let id = server.start(&world, "hold").await;
    until("the command runs", async || world.file("pid").exists().then_some(())).await;
    let mut events = Events::open(&server, &format!("/runs/{id}/events")).await;
    assert_eq!(events.next().await.unwrap().event, "ready");
    let (code, rest) = tokio::join!(server.terminate(), events.all());
    assert!(rest.iter().all(|event| event.event == "message"), "only whole frames, then the end");
    assert_eq!(code, Some(0));

    // Handed back in order: no wait for a lease.
    let server = world.serve();
    let run = server.run(&id).await;
    assert_eq!(run["status"], "interrupted");
    assert!(run["error"].as_str().unwrap().contains("stopping"), "{run}");
}
