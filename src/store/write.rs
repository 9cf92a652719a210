//! One write: a change of a run, the frames that tell of it, and the guard that both stand under.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::access::NewAudit;
use super::{Change, Guard, PhaseUpdate, RunKey};
use crate::model::kinds::{CancelRequest, PhaseChange, PhaseState, StatusChange};
use crate::model::run::Cancellation;
use crate::model::{
    FramePayload, FrameRecord, Params, Pipeline, Run, RunOrigin, Secrets, Status, Timestamp, Transition,
};

/// A frame before it has its seq.
#[derive(Clone, Debug)]
pub struct NewFrame {
    /// When it happened.
    pub ts: Timestamp,
    /// The phase it belongs to.
    pub phase: Option<Arc<str>>,
    /// See [`FramePayload::kind`].
    pub kind: Arc<str>,
    /// See [`FramePayload::data`].
    pub data: Arc<str>,
}

impl NewFrame {
    /// A frame that says this, now.
    pub fn now(phase: Option<Arc<str>>, payload: &FramePayload) -> Self {
        Self { ts: Timestamp::now(), phase, kind: payload.kind().into(), data: payload.data().into() }
    }

    /// The frame of a change of status, now.
    pub fn status(moved: Transition, reason: String) -> Self {
        Self::now(None, &FramePayload::Status(StatusChange { from: moved.from(), to: moved.to(), reason }))
    }

    /// About how many bytes it takes.
    pub fn size(&self) -> usize {
        self.data.len() + 64
    }
}

/// A change of a run and its frames.
#[derive(Clone, Debug)]
pub struct Write {
    /// The run.
    pub run: RunKey,
    /// What must be so.
    pub guard: Guard,
    /// When it happens.
    pub at: Timestamp,
    /// What changes.
    pub change: Change,
    /// What became of phases.
    pub phases: Vec<PhaseUpdate>,
    /// What the journal says of it.
    pub frames: Vec<NewFrame>,
    /// The secrets of an attempt that somebody asks for. One that goes on by itself has those of the attempt before.
    pub secrets: Secrets,
    /// Who asks for the attempt that it adds. `None`: whoever asked for the one before.
    pub asked_by: Option<RunOrigin>,
    /// The line of the audit log, if the write is accepted.
    pub audit: Option<Box<NewAudit>>,
}

impl Write {
    /// A new attempt of a run that stands as it is here: from its first phase, or from this one. The first frames say
    /// why, and what is carried over. `None` if it is not finished.
    pub fn queue(
        key: RunKey,
        run: &Run,
        pipeline: Arc<Pipeline>,
        params: Params,
        from: usize,
        resumed: Option<u32>,
        reason: String,
    ) -> Option<Self> {
        let end = run.status.final_status()?;
        let change = Change::Queue { pipeline, params, from, resumed };
        let mut write = Self::new(key, Guard::Standing(run.status, run.attempt), change);
        write.frames.push(NewFrame::status(Transition::Queue(end), reason));
        for phase in run.phases.iter().take(from) {
            let took = phase.started_at.zip(phase.finished_at).map(|(from, to)| to.since(from));
            let change = PhaseChange {
                name: phase.name.clone(),
                state: phase.state,
                exit_code: phase.exit_code,
                signal: None,
                duration_ms: took,
                carried: true,
            };
            let name = Some(phase.name.as_str().into());
            // Its row in the database comes from the attempt before.
            write.frames.push(NewFrame::now(name, &FramePayload::Phase(change)));
        }
        Some(write)
    }

    /// The end of a run that no worker has yet. `None` if it does not wait for one.
    pub fn cancel_waiting(key: RunKey, run: &Run, by: &str) -> Option<Self> {
        if run.status != Status::Pending {
            return None;
        }
        let mut write = Self::new(key, Guard::Standing(run.status, run.attempt), Change::Withdraw);
        // Not those that were carried over from an earlier attempt.
        for phase in run.phases.iter().filter(|phase| phase.state == PhaseState::Pending) {
            write.add_phase(PhaseChange::skipped(phase.name.clone()));
        }
        write.frames.push(NewFrame::status(Transition::CancelPending, format!("cancelled by {by}")));
        Some(write)
    }

    /// Asks for the end of a running run: what runs is killed after this time, or without being asked first.
    pub fn ask_cancel(key: RunKey, run: &Run, by: String, grace: Duration, force: bool) -> Self {
        let at = Timestamp::now();
        let kill_at = Timestamp(at.0.saturating_add(i64::try_from(grace.as_millis()).unwrap_or(i64::MAX)));
        // Nothing runs while a person is asked.
        let kill_at = run.approval.is_none().then_some(kill_at);
        let request = CancelRequest { by: by.clone(), kill_at, force };
        let change = Change::AskCancel(Cancellation { by, at, kill_at, force });
        let mut write = Self::new(key, Guard::Standing(run.status, run.attempt), change);
        write.frames.push(NewFrame {
            ts: at,
            ..NewFrame::now(run.phase.as_deref().map(Into::into), &FramePayload::Cancel(request))
        });
        write
    }

    /// A change of a run, now, that says nothing yet.
    pub fn new(run: RunKey, guard: Guard, change: Change) -> Self {
        Self {
            run,
            guard,
            at: Timestamp::now(),
            change,
            phases: Vec::new(),
            frames: Vec::new(),
            secrets: Secrets::new(),
            asked_by: None,
            audit: None,
        }
    }

    /// The frames as the journal has them, from this seq on and of this attempt.
    pub fn records(&self, first: u64, attempt: u32) -> Vec<FrameRecord> {
        let record = |(seq, frame): (u64, &NewFrame)| FrameRecord {
            seq,
            ts: frame.ts,
            attempt,
            phase: frame.phase.clone(),
            kind: Arc::clone(&frame.kind),
            data: Arc::clone(&frame.data),
        };
        (first..).zip(&self.frames).map(record).collect()
    }

    /// About how many bytes it takes.
    pub fn size(&self) -> usize {
        let next = if let Change::Finish { next: Some(next), .. } = &self.change { next.size() } else { 0 };
        256 + self.frames.iter().map(NewFrame::size).sum::<usize>() + next
    }

    /// What became of a phase, both as its state and as a frame.
    pub fn add_phase(&mut self, change: PhaseChange) {
        self.add_ended_phase(change, BTreeMap::new());
    }

    /// The same of a phase that has given something to later ones, by name.
    pub fn add_ended_phase(&mut self, change: PhaseChange, outputs: BTreeMap<String, String>) {
        let name: Arc<str> = change.name.as_str().into();
        let (state, exit_code) = (change.state, change.exit_code);
        self.phases.push(PhaseUpdate { name: Arc::clone(&name), state, exit_code, outputs });
        self.frames.push(NewFrame::now(Some(name), &FramePayload::Phase(change)));
    }
}
