//! Several runs and the list over one connection (CONTRACT.md, "Many runs over one connection").

use std::collections::BTreeMap;

use reqwest::StatusCode;
use runtrail::model::sse::SseEvent;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::support::{Events, World, http, until};

fn data(event: &SseEvent) -> Value {
    serde_json::from_str(&event.data).unwrap()
}

#[tokio::test]
async fn many_stream_delivers_each_frame_once() {
    let world = World::new();
    world.pipeline("count", &["while [ ! -e go ]; do sleep 0.01; done; for i in $(seq 50); do echo $i; done"]);
    let server = world.serve_with(&["--workers", "4"]);
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(server.start(&world, "count").await);
    }
    // Two of them from further on, where they have to be first.
    for id in &ids {
        until("the run's phase has begun", async || (server.run(id).await["head"].as_u64() >= Some(2)).then_some(()))
            .await;
    }
    let runs: Vec<String> = ids.iter().zip([0, 0, 1, 2]).map(|(id, after)| format!("run={id}:{after}")).collect();
    let events = Events::open(&server, &format!("/events?{}", runs.join("&"))).await;
    std::fs::write(world.file("go"), "").unwrap();
    let events = events.all().await;

    assert_eq!(events[0].event, "ready");
    let ready = data(&events[0]);
    assert_eq!(ready["list"], false);
    let named: Vec<&str> = ready["runs"].as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap()).collect();
    assert_eq!(named, ids);
    let mut got: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut ended = Vec::new();
    for event in &events[1..] {
        let mut told = data(event);
        let run = told["run"].as_str().unwrap().to_owned();
        assert!(!ended.contains(&run), "nothing comes after a run's end");
        match event.event.as_str() {
            "message" => {
                assert_eq!(event.last_event_id, format!("{run}:{}", told["seq"]));
                told.as_object_mut().unwrap().remove("run");
                got.entry(run).or_default().push(told);
            }
            "end" => {
                assert_eq!(told["status"], "completed");
                assert_eq!(told["head"], got[&run].last().unwrap()["seq"]);
                ended.push(run);
            }
            other => panic!("{other}"),
        }
    }
    ended.sort();
    assert_eq!(ended, ids, "the answer ended when all runs had");
    for (id, after) in ids.iter().zip([0, 0, 1, 2]) {
        assert_eq!(got[id], server.frames(id).await[after..], "what the poll says, from the cursor on");
    }
    // Nothing more to report.
    let at_head: Vec<String> = ids.iter().map(|id| format!("run={id}:{}", got[id].last().unwrap()["seq"])).collect();
    let path = format!("/events?{}", at_head.join("&"));
    assert_eq!(server.get(&path).await.status(), StatusCode::NO_CONTENT);
}

/// A client that does not read stops its stream wherever it is, and that must not be between two rows of the database.
#[tokio::test]
async fn many_stream_stalled_reader_blocks_nothing() {
    let world = World::new();
    world.pipeline("much", &["seq -f '%01000.0f' 3000"]);
    let server = world.serve_with(&["--workers", "4"]);
    let mut ids = Vec::new();
    for _ in 0..12 {
        ids.push(server.start(&world, "much").await);
    }
    for id in &ids {
        server.until_status(id, "completed").await;
    }
    let runs: Vec<String> = ids.iter().map(|id| format!("run={id}:0")).collect();
    let request = format!("GET /events?{}&list=1 HTTP/1.1\r\nHost: {}\r\n\r\n", runs.join("&"), server.addr());
    let mut stalled = Vec::new();
    for _ in 0..5 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket.connect(server.addr()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_ne!(stream.read(&mut [0; 64]).await.unwrap(), 0);
        stalled.push(stream);
    }
    // A read that is stuck would be stuck by now.
    for _ in 0..20 {
        assert_eq!(server.get("/api/v1/runs").await.status(), StatusCode::OK);
        assert_eq!(server.frames(&ids[0]).await.len() as u64, server.run(&ids[0]).await["head"].as_u64().unwrap());
    }
}

#[tokio::test]
async fn list_stream_reports_every_change() {
    let world = World::new();
    let lines = "for i in $(seq 60); do echo $i; sleep 0.005; done";
    world.pipeline("two", &[&format!("{lines}; while [ ! -e go ]; do sleep 0.01; done"), "echo two"]);
    let server = world.serve();
    let mut events = Events::open(&server, "/events?list=1").await;
    assert_eq!(data(&events.next().await.unwrap())["list"], true);

    let id = server.start(&world, "two").await;
    let mut seen = Vec::new();
    let mut wait = async |status: &str, phase: Value, attempt: u32| {
        loop {
            let event = events.next().await.unwrap();
            if event.event == "heartbeat" {
                continue;
            }
            assert_eq!((event.event.as_str(), event.last_event_id.as_str()), ("list", ""));
            let run = data(&event);
            assert_eq!(run["id"], id.as_str());
            let done = (&run["status"], &run["phase"], &run["attempt"]) == (&json!(status), &phase, &json!(attempt));
            seen.push(run);
            if done {
                break;
            }
        }
    };
    wait("running", json!("phase1"), 1).await;
    std::fs::write(world.file("go"), "").unwrap();
    wait("completed", Value::Null, 1).await;
    server.post(&format!("/api/v1/runs/{id}/rerun"), json!({})).await;
    wait("completed", Value::Null, 2).await;
    assert_eq!(seen.last().unwrap(), &server.run(&id).await, "the run as in the API");
    // Two attempts of seven changes each. A late event may already describe the next change, and so repeat it.
    assert!(seen.len() < 60, "lines alone do not change the list, but it was told {} times", seen.len());
}

#[tokio::test]
async fn list_stream_outlives_its_runs() {
    let world = World::new();
    world.pipeline("quick", &["true"]);
    let server = world.serve_with(&["--heartbeat", "50ms"]);
    let id = server.start(&world, "quick").await;
    let head = server.until_status(&id, "completed").await["head"].as_u64().unwrap();
    let mut events = Events::open(&server, &format!("/events?run={id}:{head}&list=1")).await;
    let mut names = Vec::new();
    while names.len() < 3 {
        let event = events.next().await.unwrap();
        if event.event == "heartbeat" {
            assert_eq!(data(&event), json!({ "heads": { id.as_str(): head } }));
        }
        names.push(event.event);
    }
    assert_eq!(names, ["ready", "end", "heartbeat"]);
    // The end was sent; another attempt needs another stream, and the list reports it.
    server.post(&format!("/api/v1/runs/{id}/rerun"), json!({})).await;
    loop {
        let event = events.next().await.unwrap();
        assert_ne!(event.event, "message");
        if event.event == "list" && data(&event)["attempt"] == 2 {
            break;
        }
    }
}

#[tokio::test]
async fn many_stream_rejects_bad_requests() {
    let world = World::new();
    world.pipeline("quick", &["true"]);
    let server = world.serve();
    let id = server.start(&world, "quick").await;
    server.until_status(&id, "completed").await;
    let unknown = "01939f1c-8f2a-7c3e-9d5b-0123456789ab";
    for (query, status, code) in [
        (String::new(), 400, "bad_request"),
        (format!("run={id}"), 400, "bad_request"),
        (format!("run={id}:x"), 400, "bad_cursor"),
        (format!("run={id}:0&run={id}:1"), 400, "bad_request"),
        (format!("run={id}:0&list=maybe"), 400, "bad_request"),
        (format!("run={id}:0&run={unknown}:0"), 404, "run_not_found"),
        ("run=nonsense:0".to_owned(), 404, "run_not_found"),
        (format!("run={id}:999"), 409, "cursor_ahead"),
    ] {
        let response = server.get(&format!("/events?{query}")).await;
        assert_eq!(response.status(), status, "{query}");
        assert_eq!(response.json::<Value>().await.unwrap()["code"], code, "{query}");
    }
    until("refused streams are not counted", async || {
        let metrics = server.get("/metrics").await.text().await.unwrap();
        metrics.contains("runtrail_streams 0").then_some(())
    })
    .await;
}

/// A deleted run ends its own part of a shared stream; the others continue to their ends.
#[tokio::test]
async fn many_stream_continues_after_a_deleted_run() {
    let world = World::new();
    world.pipeline("much", &["yes 'a line that is longer than it would have to be, to fill buffers' | head -n 60000"]);
    world.pipeline("waits", &["while [ ! -e go ]; do sleep 0.01; done; echo done"]);
    let server = world.serve_with(&["--workers", "4"]);
    let goes = server.start(&world, "much").await;
    server.until_status(&goes, "completed").await;
    for list in [0, 1] {
        let _ = std::fs::remove_file(world.file("go"));
        let goes = if list == 0 {
            goes.clone()
        } else {
            let goes = server.start(&world, "much").await;
            server.until_status(&goes, "completed").await;
            goes
        };
        let stays = server.start(&world, "waits").await;
        server.until_status(&stays, "running").await;
        // Read by hand, so that the server cannot be done with the run before it is deleted.
        let path = format!("/events?run={goes}:0&run={stays}:0&list={list}");
        let mut answer =
            http::get(server.addr(), server.addr(), &path, None, http::Version::Http11, 16 * 1024).await.unwrap();
        let mut bytes = answer.piece().await.unwrap().unwrap();
        let deleted = server.client.delete(format!("{}/api/v1/runs/{goes}", server.url)).send().await.unwrap();
        assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
        let has = |bytes: &[u8], what: &str| String::from_utf8_lossy(bytes).contains(what);
        while !has(&bytes[bytes.len().saturating_sub(64 << 10)..], "event: problem") {
            bytes.extend(answer.piece().await.unwrap().expect("the stream goes on after the problem"));
        }
        std::fs::write(world.file("go"), "").unwrap();
        while !has(&bytes[bytes.len().saturating_sub(64 << 10)..], "event: end") {
            bytes.extend(answer.piece().await.unwrap().expect("the stream goes on to the other run's end"));
        }
        let events = runtrail::model::sse::SseParser::new("").push(&bytes);
        let told = |event: &str| {
            let of = events.iter().filter(|told| told.event == event).map(data).collect::<Vec<_>>();
            let [one] = &of[..] else { panic!("{event}: {of:?}") };
            one.clone()
        };
        let problem = told("problem");
        assert_eq!((&problem["run"], &problem["code"]), (&json!(goes), &json!("run_not_found")));
        assert_eq!(problem["retryable"], false);
        let end = told("end");
        assert_eq!((&end["run"], &end["status"]), (&json!(stays), &json!("completed")));
        if list == 0 {
            assert!(answer.piece().await.unwrap().is_none(), "nothing is left to tell");
        }
    }
}
