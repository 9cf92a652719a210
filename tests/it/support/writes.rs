//! Writes of a worker, made by hand: for tests of the journal without a server.

use std::sync::Arc;

use runtrail::model::{FramePayload, Log, LogStream, Params, PhaseSpec, Pipeline, RunId, Secrets, Status, Timestamp};
use runtrail::store::{Change, Guard, NewFrame, NewRun, RunKey, Write};

/// A run of one phase.
pub fn new_run() -> NewRun {
    let phase = PhaseSpec { name: "a".into(), run: "true".into(), ..PhaseSpec::default() };
    let pipeline = Pipeline { name: "p".into(), title: "P".into(), phases: vec![phase], ..Pipeline::default() };
    NewRun {
        id: RunId::generate(),
        pipeline: Arc::new(pipeline),
        params: Params::new(),
        secrets: Secrets::new(),
        priority: 0,
        at: Timestamp(0),
        idempotency: None,
        origin: None,
        mark: None,
        trigger: None,
        most_waiting: None,
        asked_by: None,
        audit: None,
    }
}

/// A line that a command printed at the beginning of time, so that equal lines are equal frames.
pub fn log(line: &str) -> NewFrame {
    let body = FramePayload::Log(Log { stream: LogStream::Stdout, line: line.to_owned(), cont: false, replaces: None });
    NewFrame { ts: Timestamp(0), ..NewFrame::now(None, &body) }
}

/// A write of lines.
pub fn write(run: RunKey, guard: Guard, change: Change, lines: &[&str]) -> Write {
    Write { frames: lines.iter().map(|line| log(line)).collect(), ..Write::new(run, guard, change) }
}

/// A claim that never lapses.
pub fn claim(run: RunKey, attempt: u32) -> Write {
    let change = Change::Claim { owner: "test".into(), until: Timestamp(i64::MAX) };
    write(run, Guard::Standing(Status::Pending, attempt), change, &["claimed"])
}
