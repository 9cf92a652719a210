//! Memory: of readers that wait, and of readers that never read.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use crate::ROUNDS;
use crate::client::Client;
use crate::servers::{Kind, Load, Programs, Server};
use crate::table::{medians, met, short, table};

/// Readers that wait.
const IDLE: usize = 2000;
/// Readers that never read, and as many that do.
const STALLED: usize = 20;
/// The load that they are sent.
const FLOOD: Load = Load { readers: STALLED, rate: 300.0, length: 4096, count: u64::MAX };
/// For so long.
const WINDOW: Duration = Duration::from_secs(8);

const KINDS: [Kind; 3] = [Kind::Runtrail, Kind::DurableStreams, Kind::BetterSse];

/// Measures; the part of the results.
pub fn measure(programs: &Programs) -> String {
    let mut rows = Vec::new();
    let mut ours = [f64::NAN; 4];
    for kind in KINDS {
        let mut rounds: Vec<[f64; 4]> = Vec::new();
        for _ in 0..ROUNDS {
            let Some(idle) = idle(programs, kind) else { break };
            let [beside_none, without] = stalled(programs, kind, 0);
            let [beside, with] = stalled(programs, kind, STALLED);
            #[expect(clippy::cast_precision_loss, reason = "twenty")]
            let each = (with - without) / STALLED as f64;
            rounds.push([idle, each, beside_none, beside]);
            eprintln!("  {kind:?}: {:.2?}", rounds[rounds.len() - 1]);
        }
        let figures = medians(&rounds);
        if kind == Kind::Runtrail {
            ours = figures;
        }
        rows.push([vec![kind.name().to_owned()], figures.map(short).to_vec()].concat());
    }
    let head = [
        "server",
        "idle reader, KiB",
        "reader that never reads, KiB",
        "p99 without such, ms",
        "p99 of the others beside 20 such, ms",
    ];
    format!(
        "## Memory\n\nGrowth of the server's resident memory: by {IDLE} readers that wait, a reader; at its peak, by {STALLED} readers that \
         never read beside {STALLED} that do, while 300 lines of 4 KiB a second come for {} s ({} MiB each).\n\n{}\n\
         - Goal: an idle reader at most 8 KiB: {} ({} KiB).\n- Goal: a reader that never reads at most 1 MiB: {} ({} KiB).\n\
         - Goal: such readers do not move the others' p99: {} ({} ms, {} ms without).\n\n",
        WINDOW.as_secs(),
        300 * 4096 * WINDOW.as_secs() >> 20,
        table(&head, &rows),
        met(ours[0] <= 8.0),
        short(ours[0]),
        met(ours[1] <= 1024.0),
        short(ours[1]),
        // Within the accuracy of two medians of three.
        met(ours[3] <= ours[2] * 1.25 + 0.5),
        short(ours[3]),
        short(ours[2]),
    )
}

/// KiB a reader that waits.
#[expect(clippy::cast_precision_loss, reason = "a count of readers")]
fn idle(programs: &Programs, kind: Kind) -> Option<f64> {
    let server = Server::start(programs, kind, Load::endless(IDLE, 1.0), 1)?;
    // One-time costs of the first readers are not counted.
    let first = Client::attach(server.address, vec![server.reader(); 50], false);
    std::thread::sleep(Duration::from_millis(500));
    let before = server.process.rss();
    let client = Client::attach(server.address, vec![server.reader(); IDLE], false);
    std::thread::sleep(Duration::from_millis(1000));
    let after = server.process.rss();
    client.finish();
    first.finish();
    Some((after - before) / IDLE as f64)
}

/// The readers' p99 in milliseconds, and the peak of memory above its earlier value in KiB.
fn stalled(programs: &Programs, kind: Kind, stalled: usize) -> [f64; 2] {
    let Some(mut server) = Server::start(programs, kind, FLOOD, 1) else { return [f64::NAN; 2] };
    let before = server.process.rss();
    let client = Client::attach(server.address, vec![server.reader(); STALLED], false);
    let attach = |_| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(server.reader().as_bytes()).unwrap();
        stream
    };
    let never_read: Vec<TcpStream> = (0..stalled).map(attach).collect();
    server.go();
    std::thread::sleep(Duration::from_millis(500));
    client.measure(true);
    std::thread::sleep(WINDOW);
    let peak = server.process.peak_rss();
    drop(never_read);
    [client.finish().quantile(0.99), peak - before]
}
