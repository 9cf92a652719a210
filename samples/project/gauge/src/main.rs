//! Frames on standard input, `seconds,millimetres` on standard output. Faulty lines are counted, not fatal.

use std::io::{self, BufRead, Write};

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    let mut faults = 0_u32;
    for line in io::stdin().lock().lines() {
        match gauge::parse(&line?) {
            Ok(reading) => writeln!(out, "{},{}", reading.at, reading.level)?,
            Err(fault) => {
                faults += 1;
                eprintln!("gauge: {fault}");
            }
        }
    }
    if faults > 0 {
        eprintln!("gauge: {faults} lines skipped");
    }
    Ok(())
}
