//! The supervisors of a run's commands, written with the change of their run.

use std::sync::Arc;

use super::{Lease, Updated};
use crate::store::RunKey;
use crate::store::statement::{Statement, statement};

/// What becomes of the supervisor of a phase.
#[derive(Clone, Debug)]
pub enum SupervisorUpdate {
    /// It is ready to begin the phase's command.
    Ready(NewSupervisor),
    /// Records were journaled by this write.
    Journaled(SpoolPosition),
    /// Its command has failed, which this write journals, and the phase's command will run once more.
    Retrying(NextExecution),
}

/// The next execution of a phase's command, which has no supervisor yet.
#[derive(Clone, Debug)]
pub struct NextExecution {
    pub phase: Arc<str>,
    pub execution: u32,
}

/// A supervisor that another server can take over.
#[derive(Clone, Debug)]
pub struct NewSupervisor {
    pub phase: Arc<str>,
    /// Which execution of the phase's command it is for: 1, and one more with each retry.
    pub execution: u32,
    /// The name of its socket.
    pub socket: String,
}

/// How far a supervisor's records are journaled.
#[derive(Clone, Debug)]
pub struct SpoolPosition {
    pub phase: Arc<str>,
    /// The records before this offset are journaled.
    pub offset: u64,
    /// Where the frames of the last rows are. Relative to the first seq of the write.
    pub rows: String,
    /// What the command has reported for the engine. `None` if that has not changed.
    pub report: Option<String>,
    /// What the attempt has used of its limits.
    pub usage: String,
}

impl SupervisorUpdate {
    /// The statement of a write under this lease.
    pub(super) fn statement(&self, lease: Lease, updated: &Updated) -> Statement<'_> {
        match self {
            Self::Retrying(NextExecution { phase, execution }) => statement!(
                "UPDATE supervisors SET execution = $execution, socket = '' WHERE run = $run AND phase = $phase";
                execution: *execution,
                run: lease.run,
                phase: phase,
            ),
            Self::Ready(NewSupervisor { phase, execution, socket }) => statement!(
                "INSERT INTO supervisors (run, phase, attempt, execution, socket)
                 VALUES ($run, $phase, $attempt, $execution, $socket)
                 ON CONFLICT (run, phase) DO UPDATE SET attempt = excluded.attempt, execution = excluded.execution,
                    socket = excluded.socket, spool_offset = 0, first_seq = 0, known_rows = NULL, report = NULL";
                run: lease.run,
                phase: phase,
                attempt: lease.attempt,
                execution: *execution,
                socket: socket,
            ),
            Self::Journaled(SpoolPosition { phase, offset, rows, report, usage }) => statement!(
                "UPDATE supervisors SET spool_offset = $offset, first_seq = $first_seq, known_rows = $rows,
                    report = coalesce($report, report), usage = $usage
                 WHERE run = $run AND phase = $phase";
                offset: *offset,
                first_seq: updated.first_seq,
                rows: rows,
                report: report.as_deref(),
                usage: usage,
                run: lease.run,
                phase: phase,
            ),
        }
    }
}

/// Forgets the supervisors of a run: its attempt ends, or waits for a person.
pub(super) fn forget_supervisors(run: RunKey) -> Statement<'static> {
    statement!("DELETE FROM supervisors WHERE run = $run"; run: run)
}
