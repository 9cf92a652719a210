//! HTTP/1.1 over plain sockets: what happens to a connection whose response is an event stream (`http/connections/`).

use runtrail::model::sse::SseParser;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{LIMIT, Server, World, until};

/// One answer of a connection.
struct Answer {
    /// Status line and headers, in lower case.
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    fn seqs(&self) -> Vec<u64> {
        let events = SseParser::new("").push(&self.body);
        let frames = events.iter().filter(|event| event.event == "message");
        frames.map(|event| event.last_event_id.parse().unwrap()).collect()
    }
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// Splits the first response off. `head_only`: it answers a HEAD.
fn take(bytes: &mut Vec<u8>, head_only: bool) -> Answer {
    let end = position(bytes, b"\r\n\r\n").expect("a whole head");
    let head = String::from_utf8(bytes.drain(..end + 4).collect()).unwrap().to_ascii_lowercase();
    let mut body = Vec::new();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    if head_only {
    } else if head.contains("transfer-encoding: chunked") {
        loop {
            let end = position(bytes, b"\r\n").expect("a chunk's size");
            let line: Vec<u8> = bytes.drain(..end + 2).collect();
            let size = usize::from_str_radix(std::str::from_utf8(&line[..end]).unwrap(), 16).unwrap();
            let mut chunk: Vec<u8> = bytes.drain(..size + 2).collect();
            assert!(chunk.ends_with(b"\r\n"));
            chunk.truncate(size);
            body.extend(chunk);
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = length {
        body.extend(bytes.drain(..length.parse::<usize>().unwrap()));
    }
    Answer { head, body }
}

/// Sends everything at once and returns all bytes until the server closes.
async fn talk(server: &Server, requests: &str) -> Vec<u8> {
    let mut socket = TcpStream::connect(server.addr()).await.unwrap();
    socket.write_all(requests.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let all = tokio::time::timeout(LIMIT, socket.read_to_end(&mut bytes));
    all.await.expect("the server closes").unwrap();
    bytes
}

fn request(server: &Server, method: &str, path: &str, rest: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{rest}\r\n", server.addr())
}

/// A server with a finished run of that many lines of this length; its id and head.
async fn finished(lines: usize, length: usize) -> (World, Server, String, u64) {
    let world = World::new();
    let line = format!("$(printf '%*s' {length} '' | tr ' ' x)");
    world.pipeline("lines", &[&format!("l={line}; i=0; while [ $i -lt {lines} ]; do i=$((i+1)); echo \"$l\"; done")]);
    let server = world.serve();
    let id = server.start(&world, "lines").await;
    let head = server.until_status(&id, "completed").await["head"].as_u64().unwrap();
    (world, server, id, head)
}

#[tokio::test]
async fn connection_answers_pipelined_requests_before_a_stream() {
    let (_world, server, id, head) = finished(5, 10).await;
    let requests = [
        request(&server, "GET", "/healthz", ""),
        request(&server, "GET", &format!("/api/v1/runs/{id}"), ""),
        request(&server, "GET", &format!("/runs/{id}/events"), ""),
    ];
    let mut bytes = talk(&server, &requests.concat()).await;
    assert_eq!(take(&mut bytes, false).body, b"ok\n");
    assert_eq!(take(&mut bytes, false).status(), "200");
    let stream = take(&mut bytes, false);
    assert!(stream.head.contains("content-type: text/event-stream"), "{}", stream.head);
    assert!(stream.head.contains("connection: close") && stream.head.contains("date: "), "{}", stream.head);
    assert_eq!(stream.seqs(), (1..=head).collect::<Vec<_>>());
    assert!(bytes.is_empty(), "nothing comes behind a stream");
}

/// The earlier answer does not fit the socket's buffers, and the client reads nothing while the stream is asked for.
#[tokio::test]
async fn connection_keeps_the_order_of_responses() {
    let (_world, server, id, head) = finished(300, 50_000).await;
    let requests = [
        request(&server, "GET", &format!("/api/v1/runs/{id}/log"), ""),
        request(&server, "GET", &format!("/runs/{id}/events?after={}", head - 1), ""),
    ];
    let mut socket = TcpStream::connect(server.addr()).await.unwrap();
    socket.write_all(requests.concat().as_bytes()).await.unwrap();
    // As much as waits without being read: then the server is held back.
    let mut before = 0;
    until("the server is held back", async || {
        let mut peeked = vec![0; 1 << 20];
        let now = socket.peek(&mut peeked).await.unwrap();
        (now == std::mem::replace(&mut before, now) && now > 0).then_some(())
    })
    .await;
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).await.unwrap();
    let log = take(&mut bytes, false);
    assert_eq!(log.body.len(), 300 * 50_001);
    let stream = take(&mut bytes, false);
    assert_eq!(stream.seqs(), [head]);
    assert!(bytes.is_empty());
}

#[tokio::test]
async fn connection_is_reused_for_requests() {
    let (_world, server, id, head) = finished(1, 10).await;
    let mut socket = TcpStream::connect(server.addr()).await.unwrap();
    let mut bytes = Vec::new();
    for _ in 0..3 {
        socket.write_all(request(&server, "GET", "/healthz", "").as_bytes()).await.unwrap();
        while !bytes.ends_with(b"ok\n") {
            assert_ne!(socket.read_buf(&mut bytes).await.unwrap(), 0);
        }
        take(&mut bytes, false);
    }
    // A refused stream is no stream.
    socket.write_all(request(&server, "GET", &format!("/runs/{id}/events?after=x"), "").as_bytes()).await.unwrap();
    while position(&bytes, b"bad_cursor").is_none() {
        assert_ne!(socket.read_buf(&mut bytes).await.unwrap(), 0);
    }
    bytes.clear();
    let rest = [
        request(&server, "HEAD", &format!("/runs/{id}/events"), ""),
        request(&server, "GET", &format!("/runs/{id}/events"), ""),
    ];
    socket.write_all(rest.concat().as_bytes()).await.unwrap();
    socket.read_to_end(&mut bytes).await.unwrap();
    let head_only = take(&mut bytes, true);
    assert_eq!(head_only.status(), "200");
    assert_eq!(take(&mut bytes, false).seqs(), (1..=head).collect::<Vec<_>>());
}

#[tokio::test]
async fn connections_of_slow_clients_are_replaced() {
    let (_world, server, id, head) = finished(1, 10).await;
    // More than may make their first request at once. Half of them say half of it, half of them nothing.
    let mut dawdlers = Vec::new();
    for number in 0..200 {
        let mut socket = TcpStream::connect(server.addr()).await.unwrap();
        if number % 2 == 0 {
            socket.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
        }
        dawdlers.push(socket);
    }
    let all = request(&server, "GET", &format!("/runs/{id}/events"), "");
    let mut bytes = talk(&server, &all).await;
    assert_eq!(take(&mut bytes, false).seqs(), (1..=head).collect::<Vec<_>>());
}

#[tokio::test]
async fn stream_frames_larger_than_a_write_are_whole() {
    let (_world, server, id, head) = finished(40, 60_000).await;
    let mut bytes = talk(&server, &request(&server, "GET", &format!("/runs/{id}/events"), "")).await;
    let stream = take(&mut bytes, false);
    assert_eq!(stream.seqs(), (1..=head).collect::<Vec<_>>());
    assert!(stream.body.len() > 40 * 60_000);
}

#[tokio::test]
async fn stream_over_http_1_0_ends_with_the_connection() {
    let (_world, server, id, head) = finished(3, 10).await;
    let request = format!("GET /runs/{id}/events HTTP/1.0\r\nHost: {}\r\n\r\n", server.addr());
    let bytes = talk(&server, &request).await;
    let body = position(&bytes, b"\r\n\r\n").unwrap() + 4;
    let stream = Answer { head: String::new(), body: bytes[body..].to_vec() };
    assert_eq!(stream.seqs(), (1..=head).collect::<Vec<_>>());
}

#[tokio::test]
async fn connection_closed_by_the_client_is_released() {
    let world = World::new();
    world.pipeline("hold", &["while [ ! -e go ]; do sleep 0.02; done"]);
    let server = world.serve();
    let id = server.start(&world, "hold").await;
    server.until_status(&id, "running").await;
    let streams = async |wanted: &str| {
        until(&format!("{wanted} streams are open"), async || {
            let metrics = server.get("/metrics").await.text().await.unwrap();
            metrics.lines().any(|line| line == format!("runtrail_streams {wanted}")).then_some(())
        })
        .await;
    };
    let mut sockets = Vec::new();
    for _ in 0..3 {
        let mut socket = TcpStream::connect(server.addr()).await.unwrap();
        socket.write_all(request(&server, "GET", &format!("/runs/{id}/events"), "").as_bytes()).await.unwrap();
        sockets.push(socket);
    }
    streams("3").await;
    // One closes, one resets; what the third writes into its stream is ignored.
    drop(sockets.pop());
    let reset = sockets.pop().unwrap();
    reset.set_zero_linger().unwrap();
    drop(reset);
    sockets[0].write_all(request(&server, "GET", "/healthz", "").as_bytes()).await.unwrap();
    streams("1").await;
    std::fs::write(world.file("go"), "").unwrap();
    let mut bytes = Vec::new();
    sockets[0].read_to_end(&mut bytes).await.unwrap();
    let stream = take(&mut bytes, false);
    assert!(stream.body.ends_with(b"}\n\n") && bytes.is_empty());
}
