//! What a phase tells: frames and lines on its standard output, as any command of a pipeline does (CONTRACT.md, "Pipelines in
//! TOML").

use std::io::{self, BufWriter, StdoutLock, Write};
use std::time::{Duration, Instant};

use crate::model::FramePayload;
use crate::model::kinds::{Failure, Finding, Outcome, Patch, Progress};

/// How often progress is told at most.
const PROGRESS: Duration = Duration::from_millis(250);

/// The way to the journal. An error is that of a closed pipe: nobody listens any more.
pub struct Report {
    out: BufWriter<StdoutLock<'static>>,
    told: Option<Instant>,
}

impl Report {
    /// On standard output, which it holds.
    pub fn new() -> Self {
        Self { out: BufWriter::with_capacity(64 * 1024, io::stdout().lock()), told: None }
    }

    /// A line for people. It stays one, and a line: what it says of a file's name, say, cannot pass for a report of its own.
    pub fn line(&mut self, line: &str) -> io::Result<()> {
        let line = line.trim_end().replace(['\n', '\r'], "⏎");
        let apart = if line.starts_with("::") { " " } else { "" };
        writeln!(self.out, "{apart}{line}")
    }

    /// Something that was found.
    pub fn finding(&mut self, finding: Finding) -> io::Result<()> {
        self.frame(&FramePayload::Finding(finding))
    }

    /// A change of a file.
    pub fn patch(&mut self, patch: Patch) -> io::Result<()> {
        self.frame(&FramePayload::Patch(patch))
    }

    /// What became of it all.
    pub fn outcome(&mut self, outcome: Outcome) -> io::Result<()> {
        self.frame(&FramePayload::Outcome(outcome))
    }

    /// Why the phase cannot go on.
    pub fn failure(&mut self, code: &str, message: String) -> io::Result<()> {
        self.frame(&FramePayload::Error(Failure { code: code.to_owned(), message, retryable: false }))
    }

    /// How far it is; not every call is told, but the last is.
    pub fn progress(&mut self, done: usize, total: usize, unit: &str) -> io::Result<()> {
        if done < total && self.told.is_some_and(|told| told.elapsed() < PROGRESS) {
            return Ok(());
        }
        self.told = Some(Instant::now());
        let progress = Progress { done: done as u64, total: Some(total as u64), unit: unit.to_owned() };
        self.frame(&FramePayload::Progress(progress))?;
        self.out.flush()
    }

    fn frame(&mut self, payload: &FramePayload) -> io::Result<()> {
        writeln!(self.out, "::frame {{\"kind\":\"{}\",\"data\":{}}}", payload.kind(), payload.data())
    }

    /// All of it, now.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A number of things, for a sentence.
pub fn count(count: usize, thing: &str) -> String {
    let plural = match thing {
        _ if count == 1 => "",
        "fix" | "more fix" | "match" | "patch" => "es",
        _ => "s",
    };
    format!("{count} {thing}{plural}")
}
