//! What a worker writes, for tests of the journal without a server.

use std::sync::Arc;

use runtrail::model::{
    FinalStatus, FramePayload, Log, LogStream, Params, PhaseSpec, Pipeline, RunId, Secrets, Timestamp,
};
use runtrail::store::{
    AppendFrames, ClaimRun, CreateRun, FinishAttempt, Lease, LeaseHolder, NewFrame, RunCommand, RunKey, RunWrite,
};

/// A run of one phase.
pub fn new_run() -> CreateRun {
    let phase = PhaseSpec { name: "a".into(), run: "true".into(), ..PhaseSpec::default() };
    let pipeline = Pipeline { name: "p".into(), title: "P".into(), phases: vec![phase], ..Pipeline::default() };
    CreateRun {
        id: RunId::generate(),
        pipeline: Arc::new(pipeline),
        params: Params::new(),
        secrets: Secrets::new(),
        priority: 0,
        at: Timestamp(0),
        idempotency: None,
        origin: None,
        schedule: None,
        trigger: None,
        max_pending: None,
        asked_by: None,
        audit: None,
    }
}

/// A line that a command printed at the beginning of time, so that equal lines are equal frames.
pub fn log(line: &str) -> NewFrame {
    let body = FramePayload::Log(Log { stream: LogStream::Stdout, line: line.to_owned(), cont: false, replaces: None });
    NewFrame { ts: Timestamp(0), ..NewFrame::now(None, &body) }
}

/// A change of a run with lines.
pub fn write(command: impl Into<RunCommand>, lines: &[&str]) -> RunWrite {
    RunWrite { frames: lines.iter().map(|line| log(line)).collect(), ..RunWrite::new(command) }
}

/// A claim whose lease never expires.
pub fn claim(run: RunKey, attempt: u32) -> RunWrite {
    let lease_until = Timestamp(i64::MAX);
    write(ClaimRun { run, attempt, owner: "test".into(), lease_until, hands_over: false }, &["claimed"])
}

/// Lines under a lease.
pub fn append(lease: Lease, lines: &[&str]) -> RunWrite {
    write(AppendFrames::new(lease), lines)
}

/// The attempt completes, with this line.
pub fn complete(lease: Lease, line: &str) -> RunWrite {
    let holder = LeaseHolder::Worker(lease);
    write(FinishAttempt { holder, to: FinalStatus::Completed, error: None, next: None }, &[line])
}
