//! `[limits]` in a pipeline file: what an attempt may use.

use serde::Deserialize;
use toml::{Spanned, Value};

use super::refusal::{Refusal, check_duration, refuse};
use crate::model::limits::Limits;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimits {
    output: Option<Spanned<Value>>,
    frames: Option<Spanned<i64>>,
    duration: Option<Spanned<Value>>,
    scratch: Option<Spanned<Value>>,
    memory: Option<Spanned<Value>>,
    processes: Option<Spanned<i64>>,
}

/// Checks the limits. Those that the file leaves out are taken from `defaults`.
pub(super) fn check_limits(given: RawLimits, defaults: Limits) -> Result<Limits, Refusal> {
    let RawLimits { output, frames, duration, scratch, memory, processes } = given;
    let mut limits = defaults;
    if let Some(output) = output {
        limits.output = check_size("output", &output)?;
    }
    if let Some(frames) = frames {
        limits.frames = match u64::try_from(*frames.get_ref()) {
            Ok(frames @ 1..) => frames,
            Ok(_) | Err(_) => return refuse(&frames, "`frames` is how many frames an attempt may make: at least 1."),
        };
    }
    if let Some(duration) = duration {
        limits.duration_ms = match check_duration("duration", &duration, "6h")? {
            0 => return refuse(&duration, "`duration` is at least 1ms: how long an attempt may take."),
            milliseconds => Some(milliseconds),
        };
    }
    if let Some(scratch) = scratch {
        limits.scratch = Some(check_size("scratch", &scratch)?);
    }
    if let Some(memory) = memory {
        limits.memory = Some(check_size("memory", &memory)?);
    }
    if let Some(processes) = processes {
        limits.processes = match u64::try_from(*processes.get_ref()) {
            Ok(processes @ 1..) => Some(processes),
            Ok(_) | Err(_) => {
                return refuse(
                    &processes,
                    "`processes` is how many processes and threads an attempt may have: at least 1.",
                );
            }
        };
    }
    Ok(limits)
}

/// Reads a size in bytes: a whole number, or text with a unit K, M, G or T (powers of 1024). Crates for sizes also
/// accept `2GB`, whose meaning is ambiguous.
fn check_size(name: &str, given: &Spanned<Value>) -> Result<u64, Refusal> {
    let size = match given.get_ref() {
        Value::Integer(bytes) => u64::try_from(*bytes).ok(),
        Value::String(text) => read_size(text),
        _ => None,
    };
    match size {
        Some(size @ 1..) => Ok(size),
        Some(0) | None => {
            refuse(given, format!("`{name}` is a size such as \"64M\" or \"2G\" (K, M, G, T), or a number of bytes."))
        }
    }
}

fn read_size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().trim_end_matches("iB") {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, size) in [
            ("1", Some(1)),
            ("64K", Some(65_536)),
            ("64M", Some(64 << 20)),
            ("2G", Some(2 << 30)),
            ("2 GiB", Some(2 << 30)),
            ("3T", Some(3 << 40)),
            ("", None),
            ("G", None),
            ("1.5G", None),
            ("-1", None),
            ("2g", None),
            ("2GB", None),
            ("99999999999T", None),
        ] {
            assert_eq!(read_size(text), size, "{text}");
        }
    }
}
