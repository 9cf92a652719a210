//! The machine on which the figures were taken.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::process::Command;
use std::time::Instant;

use crate::servers::Programs;
use crate::table::short;

/// The part of the results that describes the machine.
pub fn describe(programs: &Programs) -> String {
    let said = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output().map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&output).trim().to_owned()
    };
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default();
    let memory: f64 = memory.trim().trim_end_matches(" kB").parse().unwrap_or(f64::NAN);
    let [median, p99] = fdatasync(programs);
    format!(
        "{}, {} cores of {}, {:.0} GiB, Linux {}; node {}. Server, sources and the measuring client share these cores. \
         A write of 4 KiB with fdatasync takes {} ms (median; p99 {} ms). Medians of {} rounds, each in another order; a server is \
         started anew, on an empty folder, for each figure.\n\n",
        said("date", &["-u", "+%F"]),
        std::thread::available_parallelism().map_or(0, usize::from),
        cpu.trim_matches([':', ' ', '\t']),
        memory / f64::from(1 << 20),
        said("uname", &["-r"]).split('-').next().unwrap_or_default(),
        said("node", &["--version"]),
        short(median),
        short(p99),
        crate::ROUNDS,
    )
}

/// Milliseconds of appending a page durably: the median and the 99th percentile.
fn fdatasync(programs: &Programs) -> [f64; 2] {
    let mut file = File::create(programs.data.join("fdatasync")).unwrap();
    // Like SQLite's log, the file exists and is overwritten.
    file.write_all(&vec![0; 1 << 20]).unwrap();
    file.sync_all().unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    let mut times: Vec<f64> = (0..200)
        .map(|_| {
            let began = Instant::now();
            file.write_all(&[1; 4096]).unwrap();
            file.sync_data().unwrap();
            began.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    [times[times.len() / 2], times[times.len() * 99 / 100]]
}
