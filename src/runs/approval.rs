//! Answering a run that waits for a person. What follows from the answer is the engine's.

use super::{Actor, Service, TRIES, left, refusal, run_id};
use crate::journal::WriteError;
use crate::model::audit::AuditAction;
use crate::model::kinds::{Approval, ApprovalState};
use crate::model::pipeline::Approvers;
use crate::model::{ApprovalDecision, ApprovalRequest, FramePayload, Problem, ProblemCode, Run};
use crate::store::{DecideApproval, NewAudit, NewFrame, RecordAudit, RunKey, RunWrite};

/// The longest note of an answer, in characters.
const LONGEST_NOTE: usize = 2000;

/// What a person answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Whether the run goes on.
    pub approved: bool,
    /// The paths of the patches that are left out.
    pub exclude: Vec<String>,
    /// Why, in their words.
    pub note: Option<String>,
}

impl Service {
    /// # Errors
    /// [`ProblemCode::SecondPersonRequired`], if the phase wants an answer of somebody else than who asked for the attempt.
    async fn check_second_person(&self, key: RunKey, run: &Run, by: &Actor) -> Result<(), Problem> {
        let assignment = self.store.assignment(key).await?;
        let phase = assignment
            .iter()
            .flat_map(|found| &found.pipeline.phases)
            .find(|phase| Some(&phase.name) == run.phase.as_ref());
        let wants_other = phase.is_some_and(|phase| phase.approvers == Approvers::Other);
        // A token and the session that was made with it are one person, whatever they are called by.
        let is_same = run.origin.as_ref().is_some_and(|origin| origin.is_by(&by.name));
        if wants_other && is_same {
            let detail =
                format!("`{}` asked for this attempt, and the pipeline wants somebody else to answer.", by.name);
            let problem = Problem::new(ProblemCode::SecondPersonRequired, detail);
            let note = by.note(AuditAction::Refused, Some(run.id.clone()), Some("answer".to_owned()));
            // Refused it is in any case.
            let _ = self.journal.execute(RecordAudit(NewAudit { outcome: refusal(&problem), ..note }), None).await;
            return Err(problem);
        }
        Ok(())
    }

    /// The paths of the patches with these seqs, which have commas between them.
    ///
    /// # Errors
    /// [`ProblemCode::RunNotFound`]; [`ProblemCode::BadRequest`] for a seq that is none of a patch; the database's own.
    pub async fn paths_of(&self, id: &str, seqs: &str) -> Result<Vec<String>, Problem> {
        if seqs.is_empty() {
            return Ok(Vec::new());
        }
        let (key, pulse) = self.find(id).await?;
        let patches = self.store.patches(key, pulse.attempt).await?;
        let path = |seq: &str| {
            let found = patches.iter().find(|patch| seq.parse() == Ok(patch.seq));
            let none = || Problem::new(ProblemCode::BadRequest, format!("The run has no patch #{seq} to leave out."));
            found.map(|patch| patch.path.clone()).ok_or_else(none)
        };
        seqs.split(',').map(path).collect()
    }

    /// Answers the question that a run waits with. With `asked`, the seq of the question that was seen, any other one is not
    /// answered.
    ///
    /// # Errors
    /// [`ProblemCode::RunNotFound`]; [`ProblemCode::NotWaiting`], also for a question that was answered before; [`ProblemCode::BadRequest`] for a
    /// path to leave out that no patch has; the database's own.
    pub async fn answer(&self, id: &str, asked: Option<u64>, reply: Reply, by: &Actor) -> Result<Run, Problem> {
        let note = reply.note.map(|note| note.trim().to_owned()).filter(|note| !note.is_empty());
        if note.as_ref().is_some_and(|note| note.chars().count() > LONGEST_NOTE) {
            let detail = format!("A note has at most {LONGEST_NOTE} characters.");
            return Err(Problem::new(ProblemCode::BadRequest, detail));
        }
        let mut answer =
            ApprovalDecision { approved: reply.approved, by: by.to_string(), exclude: reply.exclude, note };
        let action = if answer.approved { AuditAction::RunApprove } else { AuditAction::RunReject };
        let audit = Some(Box::new(by.note(action, Some(run_id(id)?), answer.note.clone())));
        answer.exclude.sort_unstable();
        answer.exclude.dedup();
        for _ in 0..TRIES {
            let (key, _) = self.find(id).await?;
            let run = self.show(id).await?;
            let Some(ApprovalRequest { seq, question }) = run.approval.clone() else {
                let detail = format!("The run is {} and waits for no answer.", run.status);
                return Err(Problem::new(ProblemCode::NotWaiting, detail));
            };
            if asked.is_some_and(|asked| asked != seq) {
                let detail = format!("The run does not ask that (any more). It asks, by the seq {seq}: {question}");
                return Err(Problem::new(ProblemCode::NotWaiting, detail));
            }
            self.check_second_person(key, &run, by).await?;
            let patches = self.store.patches(key, run.attempt).await?;
            if let Some(path) = answer.exclude.iter().find(|path| !patches.iter().any(|patch| patch.path == **path)) {
                return Err(Problem::new(
                    ProblemCode::BadRequest,
                    format!("The run has no patch of `{path}` to leave out."),
                ));
            }
            let state = if answer.approved { ApprovalState::Approved } else { ApprovalState::Rejected };
            let told = Approval {
                question,
                state,
                by: Some(answer.by.clone()),
                exclude: answer.exclude.clone(),
                note: answer.note.clone(),
            };
            let decide = DecideApproval { run: key, attempt: run.attempt, question_seq: seq, answer: answer.clone() };
            let mut write = RunWrite { audit: audit.clone(), ..RunWrite::new(decide) };
            write.frames.push(NewFrame::now(run.phase.map(Into::into), &FramePayload::Approval(told)));
            match self.journal.write(write).await {
                // Someone else was faster; look again whether anything is asked.
                Err(WriteError::Refused) => continue,
                Err(error) => return Err(error.into()),
                Ok(committed) => {
                    self.engine.wake();
                    return left(committed, id);
                }
            }
        }
        Err(WriteError::Refused.into())
    }
}
