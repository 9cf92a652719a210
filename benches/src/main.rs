//! Measures the real program, each figure beside a peer or a limit of the same run. See `scripts/bench.sh`.
//!
//! `bench SCENARIO…` measures and writes one Markdown part a scenario; the other commands are what it starts as
//! processes of
//! their own: the sources (`print`, `post`) and the raw writer (`raw`), so that their work is not counted as a
//! server's.
//! `bench probe KIND READERS RATE` keeps a server under one load for a while and names its process, for a profiler.

mod append;
mod attach;
mod client;
mod fanout;
mod http;
mod line;
mod machine;
mod memory;
mod process;
mod raw;
mod search;
mod servers;
mod source;
mod stop;
mod table;

use std::path::PathBuf;

use servers::Programs;

/// How often each figure is taken; the median counts.
const ROUNDS: usize = 3;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["print", rest @ ..] => source::print(rest),
        ["post", rest @ ..] => source::post(rest),
        ["raw", rest @ ..] => raw::serve(rest),
        ["probe", kind, readers, rate] => fanout::probe(kind, readers.parse().unwrap(), rate.parse().unwrap()),
        [out, scenarios @ ..] => measure(&PathBuf::from(out), scenarios),
        [] => panic!("bench OUT-FOLDER SCENARIO…"),
    }
}

fn measure(out: &std::path::Path, scenarios: &[&str]) {
    let programs = Programs::from_environment();
    for &scenario in scenarios {
        eprintln!("· measuring {scenario}");
        let part = match scenario {
            "machine" => machine::describe(&programs),
            "fanout" => fanout::measure(&programs),
            "append" => append::measure(&programs),
            "attach" => attach::measure(&programs),
            "memory" => memory::measure(&programs),
            "search" => search::measure(&programs),
            "stop" => stop::measure(&programs),
            other => panic!("no scenario {other}"),
        };
        std::fs::write(out.join(format!("{scenario}.md")), part).unwrap();
    }
}
