//! Writes, one verb a file: precondition, SQL, further statements, the event in the run list, and the meaning of a
//! refusal. To add a command, write its file and name it in [`run_commands!`] or [`guarded_commands!`].
//!
//! Commands know no driver and do no I/O of their own. There are three kinds:
//!
//! - A [`RunChange`] changes one run and adds frames to its journal; the two are one [`RunWrite`]. Its guarded `UPDATE`
//!   reserves the seqs of the frames and is refused if it changes no row.
//! - A [`GuardedCommand`] concerns no single run: schedules, tokens, sessions. It is refused if its first statement
//!   changes no row.
//! - [`CreateRun`], [`PurgeStep`] and [`RecordHookDelivery`] read before they write.
//!
//! [`apply_all`] executes the commands that the journal's writer has collected for one transaction. A command that is
//! refused takes no other one with it.

mod access;
mod add_login_code;
mod add_session;
mod add_token;
mod adopt_run;
mod advance_schedule;
mod append_frames;
mod attempt_rows;
mod begin_delivery;
mod cancel_pending;
mod claim_run;
mod create_run;
mod decide_approval;
mod delete_run;
mod end_session;
mod enqueue_notifications;
mod enter_phase;
mod extend_lease;
mod finish_attempt;
mod guarded;
mod pause_schedules;
mod phase_update;
mod pin_run;
mod purge_step;
mod queue_attempt;
mod record_audit;
mod record_delivery;
mod record_hook_delivery;
mod redeem_login_code;
mod request_approval;
mod request_cancel;
mod resume_run;
mod resume_schedules;
mod revoke_token;
mod run_change;
mod run_write;
mod skip_due_time;
mod supervisor_update;
mod touch_session;
mod touch_token;

pub use access::{Digest, StoredCode, StoredSession, StoredToken};
pub use add_login_code::AddLoginCode;
pub use add_session::AddSession;
pub use add_token::AddToken;
pub use adopt_run::AdoptRun;
pub use advance_schedule::AdvanceSchedule;
pub use append_frames::AppendFrames;
pub use begin_delivery::BeginDelivery;
pub use cancel_pending::CancelPending;
pub use claim_run::ClaimRun;
pub use create_run::{CreateRun, Created, RunTrigger, ScheduleSlot};
pub use decide_approval::DecideApproval;
pub use delete_run::DeleteRun;
pub use end_session::EndSession;
pub use enter_phase::EnterPhase;
pub use extend_lease::ExtendLease;
pub use finish_attempt::{FinishAttempt, LeaseHolder};
pub use guarded::Guarded;
use guarded::apply_guarded;
pub(super) use pause_schedules::ALL_SCHEDULES;
pub use pause_schedules::{PauseSchedules, ScheduleScope};
pub use phase_update::PhaseUpdate;
pub use pin_run::PinRun;
pub use purge_step::PurgeStep;
#[cfg(test)]
pub(super) use purge_step::{MAX_ATTEMPTS, MAX_BYTES, MAX_FRAMES};
pub use queue_attempt::QueueAttempt;
pub use record_audit::{NewAudit, RecordAudit};
pub use record_delivery::RecordDelivery;
pub use record_hook_delivery::{MAX_AGE_MS as MAX_HOOK_DELIVERY_AGE_MS, RecordHookDelivery, SenderTrust};
pub use redeem_login_code::RedeemLoginCode;
pub use request_approval::RequestApproval;
pub use request_cancel::RequestCancel;
pub use resume_run::ResumeRun;
pub use resume_schedules::ResumeSchedules;
pub use revoke_token::RevokeToken;
pub use run_change::{Lease, RunChange, Updated, WriteStamp};
pub use run_write::{Committed, NewFrame, RunWrite};
pub use skip_due_time::SkipDueTime;
use supervisor_update::forget_supervisors;
pub use supervisor_update::{NewSupervisor, NextExecution, SpoolPosition, SupervisorUpdate};
pub use touch_session::TouchSession;
pub use touch_token::TouchToken;

use super::transaction::Transaction;
use super::{RunKey, StoreError};
use crate::model::trigger::SkipKind;
use crate::model::{ApprovalDecision, RunId};

/// A command for the journal's writer.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "few of them are alive at a time, and most are the large ones")]
pub enum StoreCommand {
    CreateRun(CreateRun),
    Run(RunWrite),
    Purge(PurgeStep),
    RecordHookDelivery(RecordHookDelivery),
    /// With the line of the audit log that is written if the command is accepted.
    Guarded(GuardedCommand, Option<NewAudit>),
    /// Writes nothing: finds out whether the database accepts writes.
    Probe,
}

/// The result of a [`StoreCommand`].
#[derive(Clone, Debug)]
pub enum WriteOutcome {
    /// The run was created, or an idempotency key or a schedule named one that is there.
    Created(Created),
    /// The idempotency key was used for another request.
    KeyConflict,
    /// The idempotency key was used for this request, and its run was deleted since.
    KeyOfDeleted,
    /// As many runs as may wait for a worker do.
    QueueFull,
    /// The schedule's cursor has moved, and the due time has no run, for this reason.
    Skipped(SkipKind),
    /// The run was changed.
    Committed(Committed),
    /// A step of a purge was made.
    Purged {
        /// Whether there may be more to purge.
        more: bool,
    },
    /// Any other command was carried out.
    Done,
    /// The precondition did not hold. Nothing was written.
    Refused,
}

/// The event of a write in the run list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListEvent {
    /// The run was created, or something changed that the list shows.
    Changed,
    /// The same, and the run may be for retention to delete now.
    BecameFinal,
    /// The run was deleted. Only this event still knows its id.
    Deleted(RunId),
}

/// The handling of a command while the disk is full (`journal/disk_shares.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskPriority {
    /// Small and awaited, or frees space: written from the reserve.
    Urgent,
    /// It begins something new: refused.
    New,
    /// It can wait for space: held back.
    Deferrable,
}

/// The verbs that change one run.
macro_rules! run_commands {
    ($($verb:ident),* $(,)?) => {
        /// A change of one run.
        #[derive(Clone, Debug)]
        pub enum RunCommand {
            $($verb($verb)),*
        }

        impl RunCommand {
            /// The change.
            pub fn change(&self) -> &dyn RunChange {
                match self {
                    $(Self::$verb(command) => command),*
                }
            }

            /// The same, to mask secrets in.
            pub fn change_mut(&mut self) -> &mut dyn RunChange {
                match self {
                    $(Self::$verb(command) => command),*
                }
            }
        }

        $(impl From<$verb> for RunCommand {
            fn from(command: $verb) -> Self {
                Self::$verb(command)
            }
        })*
    };
}

/// The verbs that concern no single run and need no decision.
macro_rules! guarded_commands {
    ($($verb:ident),* $(,)?) => {
        /// A command that does not belong to one run.
        #[derive(Clone, Debug)]
        pub enum GuardedCommand {
            $($verb($verb)),*
        }

        impl GuardedCommand {
            fn guarded(&self) -> &dyn Guarded {
                match self {
                    $(Self::$verb(command) => command),*
                }
            }
        }

        $(impl From<$verb> for GuardedCommand {
            fn from(command: $verb) -> Self {
                Self::$verb(command)
            }
        })*
    };
}

run_commands! {
    ClaimRun,
    ExtendLease,
    EnterPhase,
    AppendFrames,
    RequestApproval,
    DecideApproval,
    ResumeRun,
    AdoptRun,
    FinishAttempt,
    QueueAttempt,
    CancelPending,
    RequestCancel,
    PinRun,
    DeleteRun,
    BeginDelivery,
    RecordDelivery,
}

guarded_commands! {
    AdvanceSchedule,
    SkipDueTime,
    PauseSchedules,
    ResumeSchedules,
    AddSession,
    RedeemLoginCode,
    TouchSession,
    EndSession,
    AddToken,
    TouchToken,
    RevokeToken,
    AddLoginCode,
    RecordAudit,
}

impl GuardedCommand {
    async fn apply(&self, audit: Option<&NewAudit>, tx: &mut impl Transaction) -> Result<WriteOutcome, StoreError> {
        if !apply_guarded(self.guarded(), tx).await? {
            return Ok(WriteOutcome::Refused);
        }
        if let Some(audit) = audit {
            tx.execute(audit.insert()).await?;
        }
        Ok(WriteOutcome::Done)
    }
}

impl StoreCommand {
    async fn apply(&self, tx: &mut impl Transaction) -> Result<WriteOutcome, StoreError> {
        match self {
            Self::CreateRun(command) => command.apply(tx).await,
            Self::Run(write) => write.apply(tx).await,
            Self::Purge(step) => step.apply(tx).await,
            Self::RecordHookDelivery(command) => command.apply(tx).await.map(|()| WriteOutcome::Done),
            Self::Guarded(command, audit) => command.apply(audit.as_ref(), tx).await,
            Self::Probe => Ok(WriteOutcome::Done),
        }
    }

    /// Its handling while the disk is full.
    pub fn disk_priority(&self) -> DiskPriority {
        match self {
            Self::CreateRun(_) | Self::RecordHookDelivery(_) => DiskPriority::New,
            Self::Purge(_) | Self::Probe => DiskPriority::Urgent,
            Self::Run(write) => write.disk_priority(),
            Self::Guarded(command, _) => command.guarded().disk_priority(),
        }
    }

    /// The run that changes in the run list, and the event.
    pub fn list_event(&self, outcome: &WriteOutcome) -> Option<(RunKey, ListEvent)> {
        match (self, outcome) {
            (_, WriteOutcome::Created(created)) => created.is_new.then_some((created.key, ListEvent::Changed)),
            (Self::Run(write), WriteOutcome::Committed(committed)) => {
                let event = write.command.change().list_event(&committed.journal);
                let event = event.or_else(|| (!write.phases.is_empty()).then_some(ListEvent::Changed));
                event.map(|event| (committed.run, event))
            }
            _ => None,
        }
    }

    /// Its approximate size in a transaction, in bytes. `None` for a step that fills a transaction, so that later
    /// commands wait for one step and not for a full transaction as well.
    pub fn size(&self) -> Option<usize> {
        match self {
            Self::CreateRun(_) | Self::RecordHookDelivery(_) | Self::Guarded(..) => Some(1024),
            Self::Probe => Some(256),
            Self::Run(write) => Some(write.size()),
            Self::Purge(_) => None,
        }
    }
}

/// Executes commands in order, in one transaction, and adds the frames of all of them at its end.
///
/// # Errors
/// The database failed; the transaction is to be dropped. A refusal is no error.
pub async fn apply_all(commands: &[StoreCommand], tx: &mut impl Transaction) -> Result<Vec<WriteOutcome>, StoreError> {
    let mut outcomes = Vec::with_capacity(commands.len());
    for command in commands {
        outcomes.push(command.apply(tx).await?);
    }
    let journals = outcomes.iter().filter_map(|outcome| match outcome {
        WriteOutcome::Committed(committed) => Some((committed.run, committed.frames.as_slice())),
        _ => None,
    });
    tx.insert_frames(journals).await?;
    Ok(outcomes)
}

/// The JSON of a value that is stored.
fn json<T: serde::Serialize>(value: &T) -> String {
    // Fails for maps whose keys are no text, and writers that fail: there are none.
    serde_json::to_string(value).unwrap_or_default()
}

/// Whether an answer lets the run go on.
fn is_approval(answer: Option<&ApprovalDecision>) -> bool {
    answer.is_none_or(|answer| answer.approved)
}
