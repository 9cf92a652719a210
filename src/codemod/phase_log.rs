//! What a phase prints: frames and lines on its standard output, like the command of any pipeline (docs/CONTRACT.md,
//! "Frames").

use std::io::{self, BufWriter, StdoutLock, Write};
use std::time::{Duration, Instant};

use crate::model::FramePayload;
use crate::model::kinds::{Failure, Finding, Outcome, Patch, Progress};

/// Progress is printed at most this often.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// Writes frames and lines. An error means that the server closed the pipe.
pub struct PhaseLog {
    out: BufWriter<StdoutLock<'static>>,
    last_progress: Option<Instant>,
}

impl PhaseLog {
    /// A log on standard output, which it locks.
    pub fn new() -> Self {
        Self { out: BufWriter::with_capacity(64 * 1024, io::stdout().lock()), last_progress: None }
    }

    /// Prints a line. Line breaks in it, and a beginning that would make it a frame, are neutralized: file names may
    /// contain both.
    pub fn line(&mut self, line: &str) -> io::Result<()> {
        let line = line.trim_end().replace(['\n', '\r'], "⏎");
        let prefix = if line.starts_with("::") { " " } else { "" };
        writeln!(self.out, "{prefix}{line}")
    }

    pub fn finding(&mut self, finding: Finding) -> io::Result<()> {
        self.frame(&FramePayload::Finding(finding))
    }

    pub fn patch(&mut self, patch: Patch) -> io::Result<()> {
        self.frame(&FramePayload::Patch(patch))
    }

    pub fn outcome(&mut self, outcome: Outcome) -> io::Result<()> {
        self.frame(&FramePayload::Outcome(outcome))
    }

    pub fn failure(&mut self, code: &str, message: String) -> io::Result<()> {
        self.frame(&FramePayload::Error(Failure { code: code.to_owned(), message, retryable: false }))
    }

    /// Prints progress, unless it did so a moment ago. The last step is always printed.
    pub fn progress(&mut self, done: usize, total: usize, unit: &str) -> io::Result<()> {
        if done < total && self.last_progress.is_some_and(|last| last.elapsed() < PROGRESS_INTERVAL) {
            return Ok(());
        }
        self.last_progress = Some(Instant::now());
        let progress = Progress { done: done as u64, total: Some(total as u64), unit: unit.to_owned() };
        self.frame(&FramePayload::Progress(progress))?;
        self.out.flush()
    }

    fn frame(&mut self, payload: &FramePayload) -> io::Result<()> {
        writeln!(self.out, "::frame {{\"kind\":\"{}\",\"data\":{}}}", payload.kind(), payload.data())
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A number of things, for a sentence: `3 files`.
pub fn count(count: usize, thing: &str) -> String {
    let plural = match thing {
        _ if count == 1 => "",
        "fix" | "more fix" | "match" | "patch" => "es",
        _ => "s",
    };
    format!("{count} {thing}{plural}")
}
