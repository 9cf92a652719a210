//! Clients that send slowly or hold connections without authenticating: they get nowhere and delay nobody.

use std::time::{Duration, Instant};

use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{LIMIT, Server, World, until};

const TOKEN: &str = "correct horse battery staple";

/// How long the server may take to drop a client that sends nothing more: its limit, and time for a slow machine.
const GIVEN_UP: Duration = Duration::from_secs(25);

/// A connection that has sent this.
async fn send(server: &Server, text: &str) -> TcpStream {
    let mut socket = TcpStream::connect(server.addr()).await.unwrap();
    socket.write_all(text.as_bytes()).await.unwrap();
    socket
}

/// The head of a request that promises a body.
fn head(server: &Server, method: &str, path: &str, lines: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{lines}\r\n", server.addr())
}

/// Sends a byte every second, until the server closes. Its answer, and how long that took.
async fn drip(server: &Server, head: &str) -> (String, Duration) {
    let begun = Instant::now();
    let socket = send(server, head).await;
    let (mut reader, mut writer) = socket.into_split();
    let dripping = tokio::spawn(async move {
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let mut answer = Vec::new();
    // A reset is an end, too.
    let _ = timeout(LIMIT, reader.read_to_end(&mut answer)).await.expect("the server closes");
    dripping.abort();
    (String::from_utf8_lossy(&answer).into_owned(), begun.elapsed())
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[tokio::test]
async fn slow_bodies_are_timed_out_on_every_route() {
    crate::support::open_files(3000);
    let world = World::new();
    world.toml(
        "x",
        "name = \"x\"\n[[phases]]\nname = \"a\"\nrun = \"true\"\n[hook]\nsecret_env = \"PATH\"\n[[schedules]]\ncron = \"0 0 1 1 *\"\n",
    );
    let server = world.serve_with(&["--token", TOKEN]);
    let mut paths = runtrail::http::addresses();
    for known in ["/login", "/api/v1/runs", "/api/v1/hooks/{pipeline}", "/events", "/runs/{id}/events"] {
        assert!(paths.iter().any(|path| path == known), "{known} in {paths:?}");
    }
    assert!(paths.iter().any(|path| path.starts_with("/fn/")), "{paths:?}");
    paths.push("/nowhere".to_owned());
    let named = |path: &str| {
        let parts = path.split('/').map(|part| if part.starts_with(['{', ':', '*']) { "x" } else { part });
        parts.collect::<Vec<_>>().join("/")
    };
    let shown = format!("Authorization: Bearer {TOKEN}\r\n");
    let signed = format!("X-Hub-Signature-256: sha256={}\r\n", "0".repeat(64));
    let mut asked = Vec::new();
    for path in paths.iter().map(|path| named(path)) {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let (json, form) = ("application/json", "application/x-www-form-urlencoded");
            for (who, kind) in [("", json), (&shown, json), (&shown, form), (&signed, json)] {
                let lines = format!("{who}Content-Type: {kind}\r\nContent-Length: 7000\r\n");
                asked.push((head(&server, method, &path, &lines), format!("{method} {path} {who}")));
            }
        }
    }
    // Fewer at once than bodies are waited for.
    let server = &server;
    let dripping = asked.iter().map(|(head, what)| async move { (drip(server, head).await, what) });
    let mut dripped = futures::stream::iter(dripping).buffer_unordered(900);
    let mut read = 0;
    while let Some(((answer, took), what)) = dripped.next().await {
        assert!(took < GIVEN_UP, "{what}: {took:?}, {answer}");
        assert!(!answer.is_empty(), "{what} is answered");
        assert!(!answer.starts_with("HTTP/1.1 5"), "{what}: {answer}");
        read += usize::from(status(&answer) == "408");
    }
    // The calls that read one, and the server functions.
    assert!(read > 20, "{read}");
}

#[tokio::test]
async fn slow_bodies_of_login_and_hooks_have_five_seconds() {
    let world = World::new();
    world.toml("p", "name = \"p\"\n[[phases]]\nname = \"a\"\nrun = \"true\"\n[hook]\nsecret_env = \"PATH\"\n");
    let server = world.serve_with(&["--token", TOKEN]);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let signed = format!("X-Hub-Signature-256: sha256={}\r\n", "0".repeat(64));
    for (path, lines) in [("/login", form), ("/api/v1/hooks/p", &signed)] {
        let head = head(&server, "POST", path, &format!("{lines}Content-Length: 7000\r\n"));
        crate::support::within(Duration::from_secs(8), path, async || {
            let (answer, took) = drip(&server, &head).await;
            assert_eq!(status(&answer), "408", "{answer}");
            took
        })
        .await;
    }
}

#[tokio::test]
async fn slow_bodies_do_not_delay_errors_of_the_header() {
    let world = World::new();
    let server = world.serve_with(&["--token", TOKEN]);
    let shown = format!("Authorization: Bearer {TOKEN}\r\n");
    let json = "Content-Type: application/json\r\n";
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let signed = format!("X-Hub-Signature-256: sha256={}\r\n", "0".repeat(64));
    for (path, lines, length, expected) in [
        ("/api/v1/runs", json.to_owned(), 1000, "401"),
        ("/fn/start", form.to_owned(), 1000, "401"),
        ("/api/v1/nothing", format!("{shown}{json}"), 1000, "404"),
        ("/nowhere", format!("{shown}{json}"), 1000, "404"),
        ("/api/v1/runs", format!("{shown}{json}"), 300_000, "413"),
        ("/api/v1/runs", format!("{shown}{form}"), 1000, "415"),
        ("/login", form.to_owned(), 10_000, "413"),
        ("/api/v1/hooks/p", signed.clone(), 30_000_000, "413"),
    ] {
        let head = head(&server, "POST", path, &format!("{lines}Content-Length: {length}\r\n"));
        crate::support::within(Duration::from_secs(3), path, async || {
            let begun = Instant::now();
            let mut socket = send(&server, &head).await;
            let mut answer = [0; 12];
            timeout(LIMIT, socket.read_exact(&mut answer)).await.unwrap().unwrap();
            assert_eq!(std::str::from_utf8(&answer).unwrap(), format!("HTTP/1.1 {expected}"), "{path}");
            begun.elapsed()
        })
        .await;
    }
}

#[tokio::test]
async fn large_bodies_are_refused_while_sent() {
    let world = World::new();
    let server = world.serve();
    let head = head(&server, "POST", "/api/v1/runs", "Content-Type: application/json\r\nContent-Length: 8000000\r\n");
    let mut socket = send(&server, &head).await;
    socket.write_all(&vec![b' '; 8_000_000]).await.unwrap();
    let mut answer = String::new();
    timeout(LIMIT, socket.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("body_too_large"), "{answer}");
}

#[tokio::test]
async fn header_section_size_is_limited() {
    let world = World::new();
    let server = world.serve();
    for (lines, expected) in [
        (format!("X-Pad: {}\r\n", "x".repeat(16_000)), "200"),
        (format!("X-Pad: {}\r\n", "x".repeat(300_000)), "431"),
        ("X-Pad: x\r\n".repeat(200), "431"),
    ] {
        let head = head(&server, "GET", "/healthz", &format!("Connection: close\r\n{lines}"));
        let mut socket = TcpStream::connect(server.addr()).await.unwrap();
        // The server may have closed its side before all is sent.
        let _ = socket.write_all(head.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = timeout(LIMIT, socket.read_to_end(&mut answer)).await.expect("the server closes");
        assert_eq!(status(&String::from_utf8_lossy(&answer)), expected, "{} bytes", head.len());
    }
}

/// Reads one answer of `/healthz`.
async fn healthz(server: &Server, socket: &mut TcpStream) {
    socket.write_all(head(server, "GET", "/healthz", "").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok\n") {
        assert_ne!(socket.read_buf(&mut answer).await.unwrap(), 0, "{}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test]
async fn slow_clients_do_not_exhaust_connections() {
    crate::support::open_files(3000);
    let world = World::new();
    world.pipeline("p", &["for i in 1 2 3 4; do sleep 0.5; echo $i; done", "echo second"]);
    let server = world.serve_with_few_files(512, &["--token", TOKEN]);
    let authorized = |request: reqwest::RequestBuilder| request.bearer_auth(TOKEN);
    let params = serde_json::json!({ "pipeline": "p", "params": { "project": world.project() } });
    let started =
        authorized(server.client.post(format!("{}/api/v1/runs", server.url))).json(&params).send().await.unwrap();
    assert_eq!(started.status(), 201);
    let run: serde_json::Value = started.json().await.unwrap();
    let mut kept = TcpStream::connect(server.addr()).await.unwrap();
    healthz(&server, &mut kept).await;

    let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7000\r\n";
    let slow = head(&server, "POST", "/login", form);
    let mut held = Vec::new();
    for at in 0..700 {
        // Some have sent a head, some a part of one, some nothing.
        let mut socket = TcpStream::connect(server.addr()).await.unwrap();
        let text = [slow.as_str(), "POST /login HTTP/1.1\r\n", ""][at % 3];
        // Refused, or made room for others.
        let _ = socket.write_all(text.as_bytes()).await;
        held.push(socket);
        if at % 50 == 49 {
            let mut fresh = TcpStream::connect(server.addr()).await.unwrap();
            timeout(Duration::from_secs(10), healthz(&server, &mut fresh)).await.expect("a fresh client is answered");
        }
    }
    timeout(Duration::from_secs(10), healthz(&server, &mut kept)).await.expect("a kept connection is answered");
    let ended = until("the run ends", async || {
        let path = format!("{}/api/v1/runs/{}", server.url, run["id"].as_str().unwrap());
        let run: serde_json::Value = authorized(server.client.get(path)).send().await.ok()?.json().await.ok()?;
        (run["finished_at"] != serde_json::Value::Null).then_some(run)
    })
    .await;
    assert_eq!(ended["status"], "completed", "{ended}");
    drop(held);
}

#[tokio::test]
async fn connections_beyond_the_limit_get_503() {
    let world = World::new();
    world.pipeline("p", &["sleep 100"]);
    let server = world.serve_with(&["--max-connections", "8"]);
    let id = server.start(&world, "p").await;
    // Streams are followed for hours, and never cut off.
    let mut streams = Vec::new();
    while streams.len() < 8 {
        let mut socket = send(&server, &head(&server, "GET", &format!("/runs/{id}/events"), "")).await;
        let mut first = [0; 12];
        socket.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        streams.push(socket);
    }
    let mut refused = TcpStream::connect(server.addr()).await.unwrap();
    let mut answer = String::new();
    timeout(LIMIT, refused.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nRetry-After: 5\r\n"), "{answer}");
    assert!(answer.contains("too_many_connections"), "{answer}");
    // One of them closes.
    streams.pop();
    until("there is room", async || {
        let mut socket = TcpStream::connect(server.addr()).await.unwrap();
        let _ = socket.write_all(head(&server, "GET", "/healthz", "Connection: close\r\n").as_bytes()).await;
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        answer.ends_with(b"ok\n").then_some(())
    })
    .await;
}
