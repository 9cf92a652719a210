//! What can be written: a change of one run together with the frames that tell of it, under a guard.
//!
//! A change and its frames are one: both are there after the commit, or neither. A guard that does not hold refuses
//! just its own write, not those of other runs in the same transaction.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::kinds::PhaseState;
use crate::model::run::Cancellation;
use crate::model::{
    ApprovalDecision, FinalStatus, FrameRecord, Params, Pipeline, Run, RunId, RunOrigin, Secrets, Status, Timestamp,
};

use super::access::{AccessOp, NewAudit};
use super::trigger::{RunTrigger, TriggerOp};
use super::{NewFrame, Pulse, RunKey, Write};
use crate::model::trigger::SkipKind;

/// One thing to do in a transaction.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "few of them are alive at a time, and most are the large ones")]
pub enum Op {
    /// A new pending run.
    Create(NewRun),
    /// A change of a run and its frames.
    Write(Write),
    /// Some of what deleted runs have left is taken away.
    Clear(Clearing),
    /// How far a schedule is done.
    Mark(Mark),
    /// Nothing: whether the database takes anything.
    Probe,
    /// What concerns no run: skipped due times, pauses, deliveries of hooks.
    /// A person's also add a line to the audit log.
    Trigger(TriggerOp, Option<NewAudit>),
    /// Who may use the server; and the line of the audit log that says so.
    Access(AccessOp, Option<NewAudit>),
}

/// A little of what is to be taken away: so little that it takes a few milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clearing {
    /// The next of a deleted run's frames and attempts.
    Contents(RunKey),
    /// The rest of a deleted run that has neither any more.
    Rest(RunKey),
    /// Pages that hold nothing are given back to the system, beyond those that the database keeps for what comes.
    Pages,
}

/// A move of the mark that says how far a schedule is done. Refused if the mark is not where it was believed to be: so
/// whoever starts a run for a due time does so once, however many look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The pipeline's name.
    pub pipeline: String,
    /// Which of its schedules.
    pub schedule: String,
    /// Where it is; `None` if there is none.
    pub from: Option<Timestamp>,
    /// Where it is to be; `None` to forget it.
    pub to: Option<Timestamp>,
}

/// A new pending run.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Its id.
    pub id: RunId,
    /// The pipeline as it stands now.
    pub pipeline: Arc<Pipeline>,
    /// Values that fit it.
    pub params: Params,
    /// Secrets, which are kept apart from them until the run ends.
    pub secrets: Secrets,
    /// Of the runs that wait, those with a larger one are carried out first.
    pub priority: i32,
    /// When it was asked for.
    pub at: Timestamp,
    /// The caller's key and a digest of what it asked for: the same again is the same run.
    pub idempotency: Option<(String, Vec<u8>)>,
    /// The journal's first frame, if something else than a person or a program asked for it.
    pub origin: Option<NewFrame>,
    /// The schedule's mark that moves with it. If it cannot move, there is no run.
    pub mark: Option<Mark>,
    /// The schedule or the delivery that asks for it, which is told in the same transaction.
    pub trigger: Option<RunTrigger>,
    /// There is no run if so many wait already.
    pub most_waiting: Option<u32>,
    /// Who or what asks for it.
    pub asked_by: Option<RunOrigin>,
    /// The line of the audit log, if the run is new.
    pub audit: Option<NewAudit>,
}

/// A worker's claim on an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The run.
    pub run: RunKey,
    /// The attempt it was claimed for.
    pub attempt: u32,
    /// The claim's number; a later claim has a larger one.
    pub token: i64,
}

/// What must be so for a write to be accepted. It is looked at inside the transaction.
#[derive(Clone, Copy, Debug)]
pub enum Guard {
    /// The lease is still this worker's: nobody has claimed or recovered the run since.
    Lease(Lease),
    /// The run stands there.
    Standing(Status, u32),
    /// The run is nobody's any more, and stands as whoever recovers it believes.
    Lapsed {
        /// It is `running` in this attempt.
        attempt: u32,
        /// Its lease ran out before this moment.
        now: Timestamp,
        /// Its journal has this head: its worker may go on late, up to the moment when someone else takes the run.
        head: u64,
        /// Whether somebody has asked for its end, if that matters.
        cancelled: Option<bool>,
    },
    /// The run waits in this attempt for the answer to the question of this seq.
    Asked(u32, u64),
    /// The run waited in this attempt, and was answered or is to be cancelled.
    Answered(u32),
    /// The run is there.
    There,
    /// This delivery of the run's is there, and so many tries of it were begun.
    Delivery(i64, i64),
}

/// What changes of a run, beside what its frames say.
#[derive(Clone, Debug)]
pub enum Change {
    /// Nothing: frames only.
    None,
    /// `pending` to `running`, with a new lease.
    Claim {
        /// Who claims it.
        owner: String,
        /// When the lease runs out.
        until: Timestamp,
    },
    /// The lease lasts longer.
    Extend {
        /// When it now runs out.
        until: Timestamp,
    },
    /// This phase runs now.
    Enter {
        /// Its name.
        phase: Arc<str>,
    },
    /// The run waits for a person before this phase, and is nobody's meanwhile. Whoever asks is fenced off.
    Ask {
        /// The phase's name.
        phase: Arc<str>,
        /// What is asked. The last frame of the write says it too.
        question: String,
    },
    /// A person answers.
    Answer(ApprovalDecision),
    /// A worker takes up a run that was answered, with a new lease.
    Resume {
        /// Who takes it up.
        owner: String,
        /// When the lease runs out.
        until: Timestamp,
    },
    /// `pending` to `cancelled`.
    Withdraw,
    /// `running` to the end of the attempt.
    Finish {
        /// How it ended.
        to: FinalStatus,
        /// Why it failed or was interrupted, in a sentence.
        error: Option<String>,
        /// The run's next attempt, if it goes on by itself. It is asked for in the same transaction, so nobody sees the
        /// run as ended; unless somebody has asked for its end, or rejected it.
        next: Option<Box<Write>>,
    },
    /// The end of an attempt to `pending`: another one waits.
    Queue {
        /// The pipeline as it stands now.
        pipeline: Arc<Pipeline>,
        /// Values that fit it.
        params: Params,
        /// The phase that it begins with, from 0. What became of those before it is carried over.
        from: usize,
        /// If nobody asked for it, since it goes on after an interruption: how many attempts in a row have, with this
        /// one.
        resumed: Option<u32>,
    },
    /// A try of the delivery of the guard begins. Nobody else makes one before this moment.
    Try {
        /// When the try is given up for lost.
        until: Timestamp,
    },
    /// A try has ended. The frames are of the attempt that the delivery tells of, whatever the run does by now.
    Tried {
        /// That attempt.
        attempt: u32,
        /// When the next try is due. `None` if this was the last.
        next: Option<Timestamp>,
    },
    /// Someone asks for the end of a running run. The first one is named when it has ended.
    AskCancel(Cancellation),
    /// The run stays whatever the rules of retention say, or no longer does.
    Pin {
        /// Whether it stays.
        pinned: bool,
    },
    /// The run is there for nobody any more, if it is finished and not pinned. What it has goes afterwards, see
    /// [`Clearing`].
    Delete {
        /// Its id, for those who have to be told.
        id: RunId,
    },
}

impl Change {
    /// Whether it is what somebody asks for, and waits to see done.
    pub fn is_asked(&self) -> bool {
        match self {
            Self::Answer(_) | Self::Withdraw | Self::AskCancel(_) | Self::Pin { .. } => true,
            Self::Queue { resumed, .. } => resumed.is_none(),
            Self::None
            | Self::Claim { .. }
            | Self::Extend { .. }
            | Self::Enter { .. }
            | Self::Ask { .. }
            | Self::Resume { .. }
            | Self::Finish { .. }
            | Self::Try { .. }
            | Self::Tried { .. }
            | Self::Delete { .. } => false,
        }
    }
}

/// What became of a phase.
#[derive(Clone, Debug)]
pub struct PhaseUpdate {
    /// Its name.
    pub name: Arc<str>,
    /// What became of it.
    pub state: PhaseState,
    /// The command's exit code.
    pub exit_code: Option<i32>,
    /// What it has given to later phases, by name.
    pub outputs: BTreeMap<String, String>,
}

/// What became of an [`Op`].
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A new run was created, or, with a known idempotency key, found.
    Created(Created),
    /// The idempotency key was used for something else.
    KeyConflict,
    /// The idempotency key was used for the same, and the run was deleted since.
    KeyOfDeleted,
    /// Something was taken away.
    Cleared {
        /// Whether there may be more of it.
        more: bool,
    },
    /// The write was accepted.
    Committed(Committed),
    /// The mark was moved.
    Marked,
    /// There was nothing to do.
    Nothing,
    /// The mark was moved, and there is no run for the due time, for this reason.
    Skipped(SkipKind),
    /// There is no run, since too many wait.
    QueueFull,
    /// A [`TriggerOp`] was carried out.
    Triggered,
    /// The guard does not hold; nothing was written.
    Refused,
}

/// A run that was asked for.
#[derive(Clone, Debug)]
pub struct Created {
    /// Its key.
    pub key: RunKey,
    /// Whether it is new.
    pub new: bool,
    /// As it stands in that transaction.
    pub run: Box<Run>,
}

/// A write that was accepted.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The run.
    pub run: RunKey,
    /// Where its journal stands now.
    pub pulse: Pulse,
    /// The number of the claim in force.
    pub token: i64,
    /// Who asked for the run's end, if anyone has.
    pub cancel_by: Option<String>,
    /// How many notifications are to be delivered because of it.
    pub deliveries: usize,
    /// The frames with their seqs.
    pub frames: Vec<FrameRecord>,
    /// The latest time that the run has: nothing of it is earlier from now on.
    pub clock: Timestamp,
    /// The run as this write leaves it, if [somebody asked](Change::is_asked) for it: what they are told. Looked at
    /// after the transaction, it could have moved on, or be gone.
    pub left: Option<Box<Run>>,
}
