//! Shutdown: SIGTERM with many readers attached, and what they read afterwards.

use std::time::Duration;

use crate::ROUNDS;
use crate::client::Client;
use crate::http;
use crate::servers::{Kind, Load, Programs, Server};
use crate::table::{median, met, short, table};

/// Readers.
const READERS: usize = 1000;

/// Measures; the part of the results.
pub fn measure(programs: &Programs) -> String {
    let rounds: Vec<[f64; 2]> = (0..ROUNDS).map(|_| once(programs)).collect();
    let took = median(rounds.iter().map(|round| round[0]).collect());
    let exact = rounds.iter().map(|round| round[1]).fold(f64::INFINITY, f64::min);
    #[expect(clippy::cast_precision_loss, reason = "a count of readers")]
    let all = exact >= READERS as f64;
    format!(
        "## SIGTERM\n\n{READERS} readers of a run that prints 50 lines/s; then SIGTERM, a new start on the same data, and each reader \
         comes back with the id of its last whole event.\n\n{}\n- Goal: exit within 1 s: {}.\n- Goal: all resume exactly: {}.\n\n",
        table(
            &["signal to exit, ms", "readers with every line once, in order (fewest of all rounds)"],
            &[vec![short(took), format!("{exact} of {READERS}")]]
        ),
        met(took <= 1000.0),
        met(all),
    )
}

/// Milliseconds from the signal to the exit, and the number of readers that had everything.
#[expect(clippy::cast_precision_loss, reason = "a count of readers")]
fn once(programs: &Programs) -> [f64; 2] {
    let mut server = Server::start(programs, Kind::Runtrail, Load::endless(READERS, 50.0), 1).unwrap();
    let client = Client::attach(server.address, vec![server.reader(); READERS], true);
    server.go();
    std::thread::sleep(Duration::from_secs(2));
    let (status, took) = server.process.terminate();
    assert!(status.success(), "{status}");
    let before = client.until_closed().readers;

    let server = server.again(programs);
    let run = server.run();
    assert_eq!(http::member(run.split_once("\r\n\r\n").unwrap().1, "status"), "interrupted");
    let path = format!("/runs/{}/events", server.runs[0]);
    let come_back = |seen: &crate::client::Seen| {
        server.get(&path, &format!("Last-Event-ID: {}\r\nConnection: close\r\n", String::from_utf8_lossy(&seen.id)))
    };
    let after = Client::attach(server.address, before.iter().map(come_back).collect(), true).until_closed().readers;
    let total =
        after.iter().map(|seen| seen.last).max().unwrap().max(before.iter().map(|seen| seen.last).max().unwrap());
    assert!(total > 50, "only {total} lines were printed");
    let exact = before.iter().zip(&after).filter(|(before, after)| {
        // Without a jump up to the end, and from there on so many as are missing.
        let last = after.last.max(before.last);
        let first_part = before.jumps == 0 && before.lines == before.last;
        first_part && last == total && after.lines == total - before.last && after.jumps <= 1
    });
    let exact = exact.count();
    eprintln!("  {took:.0?}, {exact} of {READERS} exact, {total} lines");
    [took.as_secs_f64() * 1000.0, exact as f64]
}
