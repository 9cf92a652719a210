//! Approves or rejects a run that waits for a person.

use crate::access::{Actor, refused_outcome};
use crate::model::audit::AuditAction;
use crate::model::kinds::{Approval, ApprovalState};
use crate::model::pipeline::Approvers;
use crate::model::{ApprovalDecision, ApprovalRequest, FramePayload, Problem, ProblemCode, Run};
use crate::runs::{Backend, ChangeError, committed_run, get, retry_on_conflict, run_id};
use crate::store::{DecideApproval, NewAudit, NewFrame, RecordAudit, RunKey, RunWrite};

/// The longest note of a decision.
const MAX_NOTE_CHARS: usize = 2000;

/// What a person decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecisionRequest {
    /// Whether the run continues.
    pub approved: bool,
    /// The paths of the patches to leave out.
    pub exclude: Vec<String>,
    /// The person's reason.
    pub note: Option<String>,
}

/// The paths of the patches with these seqs, which are separated by commas.
///
/// # Errors
/// [`ProblemCode::RunNotFound`] for an unknown or deleted run; [`ProblemCode::BadRequest`] for a seq that is not one of
/// a patch; the database's errors.
pub async fn excluded_paths(backend: &Backend, id: &str, seqs: &str) -> Result<Vec<String>, Problem> {
    if seqs.is_empty() {
        return Ok(Vec::new());
    }
    let (key, head) = backend.find(id).await?;
    let patches = backend.store.patches(key, head.attempt).await?;
    let path = |seq: &str| {
        let found = patches.iter().find(|patch| seq.parse() == Ok(patch.seq));
        let none = || Problem::new(ProblemCode::BadRequest, format!("The run has no patch #{seq} to leave out."));
        found.map(|patch| patch.path.clone()).ok_or_else(none)
    };
    seqs.split(',').map(path).collect()
}

/// Decides the question that a run waits for: if `seq` is given, only the question of that frame.
///
/// # Errors
/// [`ProblemCode::RunNotFound`] for an unknown or deleted run; [`ProblemCode::NotWaiting`], also if the question was
/// decided before; [`ProblemCode::SecondPersonRequired`]; [`ProblemCode::BadRequest`] for an excluded path without a
/// patch or a note that is too long; the database's errors.
pub async fn decide(
    backend: &Backend,
    id: &str,
    seq: Option<u64>,
    request: DecisionRequest,
    actor: &Actor,
) -> Result<Run, Problem> {
    let note = request.note.map(|note| note.trim().to_owned()).filter(|note| !note.is_empty());
    if note.as_ref().is_some_and(|note| note.chars().count() > MAX_NOTE_CHARS) {
        let detail = format!("A note has at most {MAX_NOTE_CHARS} characters.");
        return Err(Problem::new(ProblemCode::BadRequest, detail));
    }
    let mut answer =
        ApprovalDecision { approved: request.approved, by: actor.to_string(), exclude: request.exclude, note };
    let action = if answer.approved { AuditAction::RunApprove } else { AuditAction::RunReject };
    let audit = actor.audit_entry(action, Some(run_id(id)?), answer.note.clone());
    answer.exclude.sort_unstable();
    answer.exclude.dedup();
    retry_on_conflict(|| decide_once(backend, id, seq, &answer, actor, &audit)).await
}

async fn decide_once(
    backend: &Backend,
    id: &str,
    expected_seq: Option<u64>,
    answer: &ApprovalDecision,
    actor: &Actor,
    audit: &NewAudit,
) -> Result<Run, ChangeError> {
    let (key, _) = backend.find(id).await?;
    let run = get(backend, id).await?;
    let ApprovalRequest { seq, question } = open_question(&run, expected_seq)?;
    check_second_person(backend, key, &run, actor).await?;
    let patches = backend.store.patches(key, run.attempt).await?;
    if let Some(path) = answer.exclude.iter().find(|path| !patches.iter().any(|patch| patch.path == **path)) {
        return Err(
            Problem::new(ProblemCode::BadRequest, format!("The run has no patch of `{path}` to leave out.")).into()
        );
    }
    let state = if answer.approved { ApprovalState::Approved } else { ApprovalState::Rejected };
    let approval = Approval {
        question,
        state,
        by: Some(answer.by.clone()),
        exclude: answer.exclude.clone(),
        note: answer.note.clone(),
    };
    let audit = Some(Box::new(audit.clone()));
    let decide = DecideApproval { run: key, attempt: run.attempt, question_seq: seq, answer: answer.clone() };
    let mut write = RunWrite { audit, ..RunWrite::new(decide) };
    write.frames.push(NewFrame::now(run.phase.map(Into::into), &FramePayload::Approval(approval)));
    let committed = backend.journal.write(write).await?;
    backend.engine.wake();
    Ok(committed_run(committed, id)?)
}

/// The question that the run waits for.
fn open_question(run: &Run, expected_seq: Option<u64>) -> Result<ApprovalRequest, Problem> {
    let Some(ApprovalRequest { seq, question }) = run.approval.clone() else {
        let detail = format!("The run is {} and is not awaiting approval.", run.status);
        return Err(Problem::new(ProblemCode::NotWaiting, detail));
    };
    if expected_seq.is_some_and(|expected| expected != seq) {
        let detail = format!("This question is out of date. The current one has the seq {seq}: {question}");
        return Err(Problem::new(ProblemCode::NotWaiting, detail));
    }
    Ok(ApprovalRequest { seq, question })
}

/// # Errors
/// [`ProblemCode::SecondPersonRequired`], with a line in the audit log, if the phase must be approved by somebody else
/// than the person who requested the attempt.
async fn check_second_person(backend: &Backend, key: RunKey, run: &Run, actor: &Actor) -> Result<(), Problem> {
    let assignment = backend.store.assignment(key).await?;
    let phase = assignment
        .iter()
        .flat_map(|found| &found.pipeline.phases)
        .find(|phase| Some(&phase.name) == run.phase.as_ref());
    let needs_other = phase.is_some_and(|phase| phase.approvers == Approvers::Other);
    // A token and the sessions made with it count as one person, whatever their names.
    let is_same = run.origin.as_ref().is_some_and(|origin| origin.is_by(&actor.name));
    if !needs_other || !is_same {
        return Ok(());
    }
    let detail = format!("`{}` started this attempt, and the pipeline requires a different approver.", actor.name);
    let problem = Problem::new(ProblemCode::SecondPersonRequired, detail);
    let entry = actor.audit_entry(AuditAction::Refused, Some(run.id.clone()), Some("answer".to_owned()));
    let entry = NewAudit { outcome: refused_outcome(&problem), ..entry };
    // The decision is refused even if the audit log cannot be written.
    let _ = backend.journal.execute(RecordAudit(entry), None).await;
    Err(problem)
}
