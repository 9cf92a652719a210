//! Attaching to a finished run: how long until the first frame and until the last.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use crate::ROUNDS;
use crate::http;
use crate::servers::{Kind, Load, Programs, Server};
use crate::table::{medians, met, short, table};

/// Frames of the runs.
const FRAMES: [u64; 3] = [10_000, 100_000, 1_000_000];

/// Measures; the part of the results.
#[expect(clippy::cast_precision_loss, reason = "counts of frames")]
pub fn measure(programs: &Programs) -> String {
    let mut rows = Vec::new();
    let mut all = Vec::new();
    for frames in FRAMES {
        let mut server =
            Server::start(programs, Kind::Runtrail, Load { readers: 1, rate: 0.0, length: 120, count: frames }, 1)
                .unwrap();
        server.go();
        while http::member(server.run().split_once("\r\n\r\n").unwrap().1, "status") != "completed" {
            std::thread::sleep(Duration::from_millis(100));
        }
        let mut rounds: Vec<[f64; 4]> = Vec::new();
        for _ in 0..ROUNDS {
            let [first, last] = once(&server, "");
            let [tail, _] = once(&server, &format!("Last-Event-ID: {}\r\n", frames - 100));
            rounds.push([first, last, tail, raw(&server)]);
            eprintln!("  {frames} frames: {:.2?} ms", rounds[rounds.len() - 1]);
        }
        let [first, last, tail, raw] = medians(&rounds);
        all.push([first, last]);
        let per_second = frames as f64 / last * 1000.0;
        let cells = [first, tail, last, per_second, raw, last / raw].map(short);
        rows.push([vec![frames.to_string()], cells.to_vec()].concat());
    }
    let head = [
        "frames",
        "to the first, ms",
        "first of the last 100, ms",
        "to the last, ms",
        "frames/s",
        "rusqlite reads them, ms",
        "× rusqlite",
    ];
    let growth = all[2][1] / all[1][1];
    format!(
        "## Attach\n\nOne reader of a finished run, from connecting. The limit: rusqlite reads the same rows of the same file, 512 a \
         statement, and makes nothing of them.\n\n{}\n- Goal: flat to the first: {} ({} ms with 10 k frames, {} ms with 1 M).\n\
         - Goal: linear to the last: {} (ten times the frames take {} times as long).\n\n",
        table(&head, &rows),
        met(all[2][0] <= all[0][0] * 2.0 + 1.0),
        short(all[0][0]),
        short(all[2][0]),
        met(growth < 12.0),
        short(growth),
    )
}

/// Milliseconds to the first frame and to the end.
fn once(server: &Server, headers: &str) -> [f64; 2] {
    let began = Instant::now();
    let mut stream = TcpStream::connect(server.address).unwrap();
    let request = server.get(&format!("/runs/{}/events", server.runs[0]), headers);
    stream.write_all(request.as_bytes()).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut kept = 0;
    let mut first = f64::NAN;
    loop {
        let count = stream.read(&mut buffer[kept..]).unwrap();
        assert!(count > 0, "the server closed before the end");
        let bytes = &buffer[..kept + count];
        if first.is_nan() && memchr::memmem::find(bytes, b"data: {\"seq\":").is_some() {
            first = began.elapsed().as_secs_f64() * 1000.0;
        }
        if memchr::memmem::find(bytes, b"event: end\n").is_some() {
            return [first, began.elapsed().as_secs_f64() * 1000.0];
        }
        kept = bytes.len().min(20);
        let end = bytes.len();
        buffer.copy_within(end - kept..end, 0);
    }
}

/// Milliseconds in which rusqlite reads the same rows.
fn raw(server: &Server) -> f64 {
    let file = server.data().join("runtrail.db");
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let began = Instant::now();
    let mut statement = connection
        .prepare(
            "SELECT seq, ts, attempt, phase, kind, data FROM frames WHERE run = 1 AND seq > ? ORDER BY seq LIMIT 512",
        )
        .unwrap();
    let (mut after, mut bytes) = (0i64, 0);
    loop {
        let mut rows = statement.query([after]).unwrap();
        let mut found = false;
        while let Some(row) = rows.next().unwrap() {
            found = true;
            after = row.get(0).unwrap();
            let _: (i64, i64) = (row.get(1).unwrap(), row.get(2).unwrap());
            for column in 3..6 {
                bytes += row.get_ref(column).unwrap().as_str_or_null().unwrap().map_or(0, str::len);
            }
        }
        if !found {
            assert!(bytes > 0);
            return began.elapsed().as_secs_f64() * 1000.0;
        }
    }
}
