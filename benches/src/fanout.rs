//! Fan-out: one run, many readers; the cost of a delivery on the server, and its latency.

use std::time::{Duration, Instant};

use crate::ROUNDS;
use crate::client::Client;
use crate::servers::{Kind, Load, Programs, Server};
use crate::table::{medians, met, short, table};

/// Before measuring begins.
const WARM_UP: Duration = Duration::from_secs(1);
/// Measured.
const WINDOW: Duration = Duration::from_secs(3);

const KINDS: [Kind; 6] =
    [Kind::Raw, Kind::Runtrail, Kind::DurableStreams, Kind::DurableStreamsMemory, Kind::BetterSse, Kind::RawCommits];

/// Deliveries a second, deliveries a CPU-second, p50, p99, CPU share, jumps.
type Figures = [f64; 6];

/// How many deliveries a CPU-second are asked for, and of which load.
struct Case {
    title: &'static str,
    readers: usize,
    rate: f64,
    goal: f64,
}

const CASES: [Case; 3] = [
    Case { title: "100 readers × 100 lines/s, a frame at a time", readers: 100, rate: 100.0, goal: 120e3 },
    Case { title: "1000 readers × 50 lines/s, a frame at a time", readers: 1000, rate: 50.0, goal: 120e3 },
    Case { title: "100 readers × 5000 lines/s, coalesced", readers: 100, rate: 5000.0, goal: 500e3 },
];

/// Measures; the part of the results.
pub fn measure(programs: &Programs) -> String {
    let mut part = "## Fan-out\n\nOne run (peers: one stream), lines of 120 bytes. Latency is from the command's `write` (peers: \
        before the request is sent) to the reading client, so it includes the commit. Deliveries per CPU-second count the \
        server's process only.\n\n"
        .to_owned();
    for case in CASES {
        let mut rounds: Vec<Vec<Figures>> = vec![Vec::new(); KINDS.len()];
        for round in 0..ROUNDS {
            for step in 0..KINDS.len() {
                // Another order each round.
                let index = (step + round) % KINDS.len();
                if let Some(figures) = once(programs, KINDS[index], case.readers, case.rate) {
                    eprintln!("  {} × {}: {:?} {figures:.2?}", case.readers, case.rate, KINDS[index]);
                    rounds[index].push(figures);
                }
            }
        }
        let all: Vec<Figures> = rounds.iter().map(|rounds| medians(rounds)).collect();
        let ours = all[1];
        let rows = KINDS.iter().zip(&all).map(|(kind, figures)| {
            let [rate, per_cpu, p50, p99, _, jumps] = figures;
            if per_cpu.is_nan() {
                return vec![kind.name().to_owned(), "absent".to_owned()];
            }
            let cells = [*rate, *per_cpu, ours[1] / per_cpu, *p50, *p99].map(short);
            [
                vec![kind.name().to_owned()],
                cells.to_vec(),
                vec![if jumps.is_nan() { "—".to_owned() } else { format!("{jumps:.0}") }],
            ]
            .concat()
        });
        part += &format!("### {}\n\n", case.title);
        part += &table(
            &["server", "deliveries/s", "per CPU-s", "Runtrail (full) is × this", "p50 ms", "p99 ms", "gaps, repeats"],
            &rows.collect::<Vec<_>>(),
        );
        let ahead = |index: usize| all[index][1].is_nan() || ours[1] > all[index][1];
        part += &format!(
            "\n- Goal: at least {} deliveries per CPU-s: {} ({}).\n- Goal: ahead of both peers: {}.\n\
             - Goal: p99 within the floor + 5 ms ({} ms): {} ({} ms).\n\n",
            short(case.goal),
            met(ours[1] >= case.goal),
            short(ours[1]),
            met(ahead(2) && ahead(4)),
            short(all[0][3] + 5.0),
            met(ours[3] <= all[0][3] + 5.0),
            short(ours[3]),
        );
    }
    part
}

#[expect(clippy::cast_precision_loss, reason = "counts of seconds")]
fn once(programs: &Programs, kind: Kind, readers: usize, rate: f64) -> Option<Figures> {
    let mut server = Server::start(programs, kind, Load::endless(readers, rate), 1)?;
    let client = Client::attach(server.address, vec![server.reader(); readers], false);
    server.go();
    std::thread::sleep(WARM_UP);
    let (began, cpu, deliveries) = (Instant::now(), server.process.cpu(), client.deliveries());
    client.measure(true);
    std::thread::sleep(WINDOW);
    client.measure(false);
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), server.process.cpu() - cpu);
    let deliveries = (client.deliveries() - deliveries) as f64;
    let mut report = client.finish();
    let posted_by_many = rate > 200.0 && !matches!(kind, Kind::Raw | Kind::RawCommits | Kind::Runtrail);
    // Several connections post in no order.
    let jumps = if posted_by_many { f64::NAN } else { report.readers.iter().map(|seen| seen.jumps as f64).sum() };
    let (p50, p99) = (report.quantile(0.5), report.quantile(0.99));
    Some([deliveries / seconds, deliveries / cpu, p50, p99, cpu / seconds, jumps])
}

/// A server, named by the beginning of its name in the tables, under this load for 12 seconds.
pub fn probe(kind: &str, readers: usize, rate: f64) {
    let programs = Programs::from_environment();
    let kind = Kind::ALL.into_iter().find(|known| known.name().starts_with(kind)).unwrap();
    let mut server = Server::start(&programs, kind, Load::endless(readers, rate), 1).unwrap();
    let client = Client::attach(server.address, vec![server.reader(); readers], false);
    server.go();
    println!("{}", server.process.0.id());
    std::thread::sleep(Duration::from_secs(2));
    let (cpu, deliveries) = (server.process.cpu(), client.deliveries());
    client.measure(true);
    std::thread::sleep(Duration::from_secs(10));
    let (cpu, deliveries) = (server.process.cpu() - cpu, client.deliveries() - deliveries);
    let mut report = client.finish();
    #[expect(clippy::cast_precision_loss, reason = "a count of seconds")]
    let per_cpu = deliveries as f64 / cpu;
    println!("{} per CPU-s, p50 {:.2} ms, p99 {:.2} ms", short(per_cpu), report.quantile(0.5), report.quantile(0.99));
}
