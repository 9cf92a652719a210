//! SIGTERM with a thousand readers attached: all are told when to reconnect, the program ends at once, and each
//! continues at the next instance.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::feed::{self, Feed};
use crate::support::reader::{Kind, Reader, ReaderOptions, journal};
use crate::support::rng::Rng;
use crate::support::{World, open_files, steady_port, until, within};

const READERS: usize = 1000;
/// Far more than it takes and far less than the grace time: a slow machine passes, a stream that is waited for does
/// not.
const AT_ONCE: Duration = Duration::from_secs(25);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_ends_a_thousand_streams_at_once() {
    // This test holds the other ends of all connections.
    open_files(READERS as u64);

    let world = World::new();
    world.fed();
    let addr = format!("127.0.0.1:{}", steady_port());
    let flags = ["--addr", &addr, "--grace", "60s"];
    // As little as some systems start programs with.
    let server = world.serve_limited(256, &flags);
    let mut rng = Rng::new(3);
    let mut feed = Feed::start(&world, &server).await;
    for number in 0..40 {
        feed.print(&feed::line(&mut rng, number)).await;
    }
    let head = until("the first lines are there", async || {
        let head = server.run(&feed.id).await["head"].as_u64().unwrap();
        (head >= 42).then_some(head)
    })
    .await;

    let attaching = Instant::now();
    let mut readers = JoinSet::new();
    for number in 0..READERS as u64 {
        let cursors = BTreeMap::from([(feed.id.clone(), rng.below(head + 1))]);
        let mut reader = Reader::new(server.addr(), server.addr(), Kind::One, cursors, ReaderOptions::plain(), number);
        readers.spawn(async move {
            let closed = reader.until_closed().await;
            (reader, closed)
        });
    }
    until("every reader is attached", async || {
        let numbers = server.get("/metrics").await.text().await.unwrap();
        numbers.lines().any(|line| line == format!("runtrail_streams {READERS}")).then_some(())
    })
    .await;
    println!("{READERS} readers: attached in {} ms", attaching.elapsed().as_millis());
    // Frames are being sent when the signal arrives.
    for number in 40..80 {
        feed.print(&feed::line(&mut rng, number)).await;
    }
    let signalled = Instant::now();
    let code = server.terminate().await;
    let took = signalled.elapsed();
    assert_eq!(code, Some(0));
    println!("{READERS} readers: ended {} ms after SIGTERM", took.as_millis());
    assert!(took < AT_ONCE, "took {took:?}");

    let mut away = Vec::new();
    while let Some(reader) = readers.join_next().await {
        let (reader, closed) = reader.unwrap();
        // In order, behind a whole frame, and not all at the same moment.
        let retry = closed.unwrap();
        assert!((500..3000).contains(&retry), "retry: {retry}");
        if reader.failures() > 0 {
            println!("a reader needed {} more tries; the last was lost by: {}", reader.failures(), reader.last_loss());
        }
        away.push((reader, retry));
    }
    let different: std::collections::BTreeSet<u64> = away.iter().map(|(_, retry)| *retry).collect();
    assert!(different.len() > READERS / 10, "they come back spread over time");

    let server = world.serve_limited(256, &flags);
    let head = server.until_status(&feed.id, "interrupted").await["head"].as_u64().unwrap();
    let journal = journal(server.addr(), &feed.id, head).await;
    let mut readers = JoinSet::new();
    for (mut reader, _) in away {
        readers.spawn(async move {
            reader.follow().await.unwrap();
            reader
        });
    }
    while let Some(reader) = readers.join_next().await {
        let reader = reader.unwrap();
        let held = reader.one();
        assert_eq!(held.end, Some(head));
        assert_eq!(held.frames, journal[usize::try_from(held.first).unwrap()..]);
    }
}

/// Readers that do not read any more get no final event and are not waited for.
#[tokio::test]
async fn stop_is_not_delayed_by_stalled_readers() {
    // When it does not wait for connections any longer it has waited for two seconds.
    within(Duration::from_secs(2), "SIGTERM with readers who do not read", end_with_readers_that_do_not_read).await;
}

/// How long a server took to end.
async fn end_with_readers_that_do_not_read() -> Duration {
    const LINES: u64 = 4000;
    let world = World::new();
    world.pipeline(
        "much",
        &[&format!(
            "i=0; l=$(printf '%*s' 4000 '' | tr ' ' x); while [ $i -lt {LINES} ]; do i=$((i+1)); echo \"$l\"; done"
        )],
    );
    let server = world.serve_with(&["--grace", "60s"]);
    let id = server.start(&world, "much").await;
    server.until_status(&id, "completed").await;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        let mut socket = TcpStream::connect(server.addr()).await.unwrap();
        let request = format!("GET /runs/{id}/events HTTP/1.1\r\nHost: {}\r\n\r\n", server.addr());
        socket.write_all(request.as_bytes()).await.unwrap();
        // It is attached, and what is left to send exceeds the system's buffers.
        assert_ne!(socket.read(&mut [0; 1024]).await.unwrap(), 0);
        sockets.push(socket);
    }
    let signalled = Instant::now();
    assert_eq!(server.terminate().await, Some(0));
    signalled.elapsed()
}

/// The commands that runs carry out find the limit that the server found, whatever the server made of its own.
#[tokio::test]
async fn command_has_the_original_open_files_limit() {
    let world = World::new();
    world.pipeline("limit", &["ulimit -Sn"]);
    let server = world.serve_limited(256, &[]);
    let id = server.start(&world, "limit").await;
    server.until_status(&id, "completed").await;
    assert_eq!(server.lines(&id).await, ["256"]);
}
