//! Takes over the runs of an earlier server: their commands have outlived it, and their attempts continue
//! (docs/design/handover.md).

use std::collections::HashSet;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::attempt::Attempt;
use super::attempt_runner::AttemptRunner;
use super::claim;
use super::clock::later;
use super::command::launcher::{CommandToAdopt, StartedCommand};
use super::meter::Usage;
use super::phase_report::PhaseReport;
use super::phase_runner::ReadyCommand;
use super::row_frames::RowFrames;
use super::state::EngineState;
use crate::journal::WriteError;
use crate::model::kinds::Notice;
use crate::model::{FramePayload, PhaseState, Timestamp};
use crate::store::{Assignment, Claim, NewFrame, RunKey, StoreError, StoredSupervisor};
use crate::workspaces::folder_name;

/// How long a supervisor may take to answer. It does so at once, unless it is stopped.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The wait before a failed read is repeated.
const READ_RETRY_DELAY: Duration = Duration::from_millis(200);

/// What an earlier server has left of an attempt.
#[derive(Default)]
pub(super) struct AdoptedAttempt {
    /// The command of the phase in progress.
    pub(super) current: Option<ReadyCommand>,
    /// How many executions of that command have ended.
    pub(super) executions: u32,
    pub(super) background: Vec<AdoptedBackground>,
    /// What the attempt has used of its limits.
    pub(super) usage: Option<Usage>,
}

/// What a phase has left running in the background.
pub(super) struct AdoptedBackground {
    pub(super) phase: Arc<str>,
    pub(super) left: StartedCommand,
    /// Where its rows are in the journal.
    pub(super) rows: RowFrames,
}

/// A run that was taken over.
pub(super) struct AdoptedRun {
    pub(super) run: RunKey,
    pub(super) runner: AttemptRunner,
    /// The name of its attempt's folders.
    pub(super) folder: OsString,
    /// The sockets of its supervisors.
    pub(super) sockets: Vec<String>,
}

/// Takes over all runs of the server before that can be. The others are left to recovery.
pub(super) async fn adopt_runs(state: &Arc<EngineState>, shutdown: &CancellationToken) -> Vec<AdoptedRun> {
    // Where several servers share the database, another one may still execute them.
    if !state.store.is_exclusive() {
        return Vec::new();
    }
    let everything = Timestamp(i64::MAX);
    let runs = match patiently(|| state.store.expired_leases(everything)).await {
        Ok(runs) => runs,
        Err(error) => {
            tracing::error!(%error, "cannot look for runs of the server before");
            return Vec::new();
        }
    };
    let adopted = runs.into_iter().map(|(run, attempt)| async move {
        let adopted = adopt_run(state, run, attempt, shutdown.clone()).await;
        adopted.unwrap_or_else(|error| {
            tracing::error!(run = run.0, %error, "cannot take over a run of the server before");
            None
        })
    });
    futures::future::join_all(adopted).await.into_iter().flatten().collect()
}

/// Takes over one run. `None` if that is not possible.
async fn adopt_run(
    state: &Arc<EngineState>,
    run: RunKey,
    attempt: u32,
    shutdown: CancellationToken,
) -> Result<Option<AdoptedRun>, WriteError> {
    let store = &state.store;
    let Some(found) = patiently(|| store.claim(run)).await?.filter(|claim| claim.hands_over) else { return Ok(None) };
    let Some(assignment) = patiently(|| store.assignment(run)).await? else { return Ok(None) };
    let supervisors = patiently(|| store.supervisors(run, attempt)).await?;
    if !may_continue(&found, &assignment, &supervisors, state) {
        return Ok(None);
    }
    // The claim comes first: a supervisor accepts each number once.
    let Some(attempt) = claim::adopt_run(state, run, attempt, found.token, shutdown).await? else { return Ok(None) };
    let folder = folder_name(&assignment.run.id, assignment.run.attempt);
    let Some(adopted) = connect_all(&attempt, &assignment, &supervisors).await else { return Ok(None) };
    let sockets = supervisors.into_iter().map(|supervisor| supervisor.socket).collect();
    Ok(Some(AdoptedRun { run, runner: AttemptRunner::adopted(attempt, adopted), folder, sockets }))
}

/// Whether the attempt can continue: its command in progress has a supervisor, or the server before was here a moment
/// ago and no command is in progress.
fn may_continue(found: &Claim, assignment: &Assignment, supervisors: &[StoredSupervisor], state: &EngineState) -> bool {
    let mut phases = assignment.run.phases.iter();
    let current = phases.find(|phase| phase.state == PhaseState::Started);
    let has_supervisor = current
        .is_some_and(|phase| supervisors.iter().any(|known| known.phase == phase.name && !known.socket.is_empty()));
    has_supervisor || Timestamp::wall() < later(found.lease_until, state.options.commands.handover().0)
}

/// Connects to the supervisors of an attempt. `None` if that of the phase in progress is gone.
async fn connect_all(
    attempt: &Attempt,
    assignment: &Assignment,
    supervisors: &[StoredSupervisor],
) -> Option<AdoptedAttempt> {
    let mut adopted = AdoptedAttempt::default();
    for (phase, spec) in assignment.run.phases.iter().zip(&assignment.pipeline.phases) {
        let Some(supervisor) = supervisors.iter().find(|supervisor| supervisor.phase == phase.name) else { continue };
        let usage = supervisor.usage.as_deref().and_then(|usage| serde_json::from_str(usage).ok());
        adopted.usage = usage.or(adopted.usage);
        let is_current = phase.state == PhaseState::Started;
        if is_current {
            adopted.executions = supervisor.execution.saturating_sub(1);
        }
        if supervisor.socket.is_empty() || !is_current && !spec.background {
            continue;
        }
        match connect(attempt, assignment, supervisor).await {
            Ok(started) if is_current => adopted.current = Some(ready(started, supervisor)),
            Ok(left) => {
                // The rows of the phase itself are not those of its background processes.
                let is_background = left.records.has_ended_output(supervisor.offset);
                let rows = if is_background { rows(supervisor) } else { RowFrames::default() };
                adopted.background.push(AdoptedBackground { phase: phase.name.as_str().into(), left, rows });
            }
            Err(error) if is_current => {
                tracing::warn!(run = attempt.lease.run.0, phase = phase.name, %error, "cannot take over a command");
                return None;
            }
            // Its processes have ended.
            Err(_) => {}
        }
    }
    Some(adopted)
}

async fn connect(
    attempt: &Attempt,
    assignment: &Assignment,
    supervisor: &StoredSupervisor,
) -> std::io::Result<StartedCommand> {
    let options = &attempt.state.options;
    let connected = options.commands.adopt(CommandToAdopt {
        socket: supervisor.socket.clone(),
        token: attempt.lease.token,
        offset: supervisor.offset,
        workspace: options.workspaces.path(&assignment.run.id, assignment.run.attempt),
    });
    tokio::time::timeout(ANSWER_TIMEOUT, connected).await.map_err(std::io::Error::other)?
}

fn ready(started: StartedCommand, supervisor: &StoredSupervisor) -> ReadyCommand {
    let report: Option<PhaseReport> = supervisor.report.as_deref().and_then(|text| serde_json::from_str(text).ok());
    ReadyCommand { started, rows: rows(supervisor), report: report.unwrap_or_default(), offset: supervisor.offset }
}

/// Where the rows of a command are. If that cannot be read, later redraws are new frames.
fn rows(supervisor: &StoredSupervisor) -> RowFrames {
    let stored = supervisor.rows.as_deref().and_then(|rows| RowFrames::from_json(rows, supervisor.first_seq).ok());
    stored.unwrap_or_default()
}

/// Journals that another server executes the attempt from now on.
///
/// # Errors
/// The lease is lost, or the database's own.
pub(super) async fn journal_adoption(attempt: &Attempt) -> Result<(), WriteError> {
    let message =
        format!("{} continues this run: the server before has stopped or was replaced", attempt.state.options.owner);
    let mut write = attempt.append();
    let notice = Notice { code: "handed_over".to_owned(), message, processes: Vec::new() };
    write.frames.push(NewFrame::now(None, &FramePayload::Notice(notice)));
    attempt.commit(write).await.map(drop)
}

/// The names of the folders and sockets that belong to these runs.
pub(super) fn kept(adopted: &[AdoptedRun]) -> (HashSet<OsString>, HashSet<String>) {
    let folders = adopted.iter().map(|adopted| adopted.folder.clone()).collect();
    (folders, adopted.iter().flat_map(|adopted| adopted.sockets.iter().cloned()).collect())
}

/// Reads from the store, and repeats the read while the database is unavailable.
async fn patiently<T, F>(read: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    loop {
        match read().await {
            Err(error) if error.is_retryable() => tokio::time::sleep(READ_RETRY_DELAY).await,
            result => return result,
        }
    }
}
