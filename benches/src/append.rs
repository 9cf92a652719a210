//! Appending: runs that print as fast as their pipes take it; frames a second that are durable, beside SQLite itself.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::servers::{Kind, Load, Programs, Server};
use crate::table::{medians, met, short, table};
use crate::{ROUNDS, line};

/// How many runs print at once.
const RUNS: [usize; 3] = [1, 8, 64];
/// Rows of a transaction of the limit.
const ROWS: usize = 1000;
/// Before measuring begins.
const WARM_UP: Duration = Duration::from_secs(1);
/// Measured.
const WINDOW: Duration = Duration::from_secs(3);

/// Measures; the part of the results.
pub fn measure(programs: &Programs) -> String {
    let mut rows = Vec::new();
    let mut verdicts = String::new();
    for runs in RUNS {
        // Frames a second of: Runtrail full, raw full, Runtrail normal, raw normal; then Runtrail's CPU share, full.
        let mut rounds: Vec<[f64; 5]> = Vec::new();
        for round in 0..ROUNDS {
            let (mut full, mut normal) = ([0.0; 2], [0.0; 2]);
            let mut raw = [0.0; 2];
            for step in 0..4 {
                match (step + round) % 4 {
                    0 => full = runtrail(programs, Kind::Runtrail, runs),
                    1 => raw[0] = sqlite(programs, "FULL", runs),
                    2 => normal = runtrail(programs, Kind::RuntrailNormal, runs),
                    _ => raw[1] = sqlite(programs, "NORMAL", runs),
                }
            }
            rounds.push([full[0], raw[0], normal[0], raw[1], full[1]]);
            eprintln!("  {runs} runs: {:.0?}", rounds[rounds.len() - 1]);
        }
        let [full, raw_full, normal, raw_normal, cpu] = medians(&rounds);
        let cells = [full, raw_full, full / raw_full, normal, raw_normal, normal / raw_normal, cpu];
        rows.push([vec![runs.to_string()], cells.map(short).to_vec()].concat());
        verdicts += &format!(
            "- Goal: at least 0.5 of raw, {runs} at once: {} ({}), normal {} ({}).\n",
            met(full >= raw_full / 2.0),
            short(full / raw_full),
            met(normal >= raw_normal / 2.0),
            short(normal / raw_normal),
        );
    }
    let head = [
        "runs at once",
        "frames/s, full",
        "raw, FULL",
        "ratio",
        "frames/s, normal",
        "raw, NORMAL",
        "ratio",
        "server's cores, full",
    ];
    format!(
        "## Append\n\nRuns whose commands print lines of 120 bytes as fast as their pipes take them; the commands and the server \
         share the cores. Raw: rusqlite with the same SQLite, one prepared statement a row, {ROWS} rows a transaction, the same \
         table, nothing else on the machine.\n\n{}\n{verdicts}\n",
        table(&head, &rows)
    )
}

fn runtrail(programs: &Programs, kind: Kind, runs: usize) -> [f64; 2] {
    let mut server = Server::start(programs, kind, Load::endless(0, 0.0), runs).unwrap();
    server.go();
    std::thread::sleep(WARM_UP);
    let (began, cpu, frames) = (Instant::now(), server.process.cpu(), server.metric("runtrail_journal_frames_total"));
    std::thread::sleep(WINDOW);
    let frames = server.metric("runtrail_journal_frames_total") - frames;
    let seconds = began.elapsed().as_secs_f64();
    [frames / seconds, (server.process.cpu() - cpu) / seconds]
}

/// A row of a frame.
pub const INSERT: &str = "INSERT INTO frames VALUES (?, ?, ?, ?, ?, ?, ?)";

/// A new database with the table of frames alone.
pub fn open(file: &Path, synchronous: &str) -> Connection {
    let connection = Connection::open(file).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "synchronous", synchronous).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE frames (run INTEGER NOT NULL, seq INTEGER NOT NULL, ts INTEGER NOT NULL, attempt INTEGER NOT NULL,
             phase TEXT, kind TEXT NOT NULL, data TEXT NOT NULL, PRIMARY KEY (run, seq)) WITHOUT ROWID",
        )
        .unwrap();
    connection
}

#[expect(clippy::cast_precision_loss, reason = "counts of seconds")]
fn sqlite(programs: &Programs, synchronous: &str, runs: usize) -> f64 {
    let folder = tempfile::tempdir_in(&programs.data).unwrap();
    let mut connection = open(&folder.path().join("raw.db"), synchronous);
    let mut heads = vec![0i64; runs];
    let mut rows = 0;
    let mut began = Instant::now();
    let mut warm = false;
    let mut text = Vec::new();
    loop {
        let tx = connection.transaction().unwrap();
        let mut insert = tx.prepare_cached(INSERT).unwrap();
        for row in 0..ROWS {
            let run = row * runs / ROWS;
            heads[run] += 1;
            text.clear();
            text.extend_from_slice(b"{\"stream\":\"stdout\",\"line\":\"");
            line::write(&mut text, heads[run].unsigned_abs(), 120);
            text.pop();
            text.extend_from_slice(b"\"}");
            let data = str::from_utf8(&text).unwrap();
            let ts = i64::try_from(line::now() / 1_000_000).unwrap();
            insert.execute((i64::try_from(run).unwrap() + 1, heads[run], ts, 1, "print", "log", data)).unwrap();
        }
        drop(insert);
        tx.commit().unwrap();
        rows += ROWS;
        if !warm && began.elapsed() > WARM_UP {
            (warm, rows, began) = (true, 0, Instant::now());
        }
        if warm && began.elapsed() > WINDOW {
            return rows as f64 / began.elapsed().as_secs_f64();
        }
    }
}
