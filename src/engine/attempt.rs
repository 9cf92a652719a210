//! The phases of one attempt: which run, who is asked before them, and what is journaled of them.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::time::Instant;

use super::confinement::Request;
use super::disk_use::DiskWatch;
use super::places::{NoPlace, Place, variables};
use super::report::Exit;
use super::sandbox::Needs;
use super::shortage::Waited;
use super::usage::Meter;
use super::verdict::{Ended, Finished, PhaseEnd, Verdict, cancelled, completed, failed, rejected, service_signalled};
use super::worker::Worker;
use super::workspace::name_of;
use crate::codemod::Notes;
use crate::journal::WriteError;
use crate::model::kinds::{Approval, ApprovalState, Failure, Output, PhaseChange};
use crate::model::plan::{self, PhaseOutcome};
use crate::model::{ApprovalDecision, ApprovalRule, FinalStatus, FramePayload, PhaseSpec, PhaseState, Pipeline, Run};
use crate::store::{Assignment, EnterPhase, Lease, NewFrame, RequestApproval, RunWrite};

impl Worker {
    /// Carries the phases out, up to the end of the last one: all of them, or those that are left after a person has answered.
    /// `None` if the run now waits for a person.
    pub(super) async fn phases<'a>(&self, assignment: &'a Assignment) -> Result<Option<Finished<'a>>, WriteError> {
        let Assignment { run, pipeline, answer, .. } = assignment;
        let first = run.phases.iter().position(|phase| phase.state == PhaseState::Pending).unwrap_or(0);
        let not_begun = |verdict, index: usize| {
            let rest = pipeline.phases.get(index..).unwrap_or_default();
            Ok(Some(Finished { verdict, end: None, rest }))
        };
        // Before anything else: what ends here needs no folder.
        if self.cancel.is_cancelled() {
            return not_begun(self.stopped().await?, first);
        }
        if let Some(ApprovalDecision { approved: false, by, .. }) = answer {
            return not_begun(rejected(by), first);
        }
        let places = || async {
            let place = self.place(run, pipeline, first == 0).await?;
            Ok::<_, NoPlace>((place, self.workspace(run, answer.as_ref()).await?))
        };
        let (place, workspace) = match self.when_it_can(None, "the run waits for a folder to work in", places).await? {
            Waited::Done(Ok(places)) => places,
            Waited::Stopped => return not_begun(self.stopped().await?, first),
            Waited::Done(Err(error)) => {
                let message = format!("the run has no folder to work in: {error}");
                let failure = Failure { code: "no_folder".to_owned(), message, retryable: false };
                return not_begun(failed(failure), first);
            }
        };
        self.meter.get_or_init(|| Arc::new(Meter::new(pipeline.limits)));
        let _watch = self.watch_disk(run, pipeline, workspace.path());
        if let Some(failure) = self.confine(run, pipeline, &place, workspace.path()).await? {
            return not_begun(failed(failure), first);
        }
        let secrets = match self.secrets(run, pipeline, &workspace).await? {
            Ok(secrets) => secrets,
            Err(_) if self.cancel.is_cancelled() || self.stop.is_cancelled() => {
                return not_begun(self.stopped().await?, first);
            }
            Err(failure) => return not_begun(failed(failure), first),
        };
        let mut earlier = ended_before(run, pipeline, first);
        let mut outputs = self.outputs(&earlier).await?;
        // What was carried over from another attempt, and not what ran in this one before somebody was asked.
        let carried = first > 0 && answer.is_none();
        // Why the attempt fails, from the phase that failed first.
        let mut failure = self.failed_before(run, &earlier).await?;
        for (index, spec) in pipeline.phases.iter().enumerate().skip(first) {
            let rest = &pipeline.phases[index + 1..];
            if self.cancel.is_cancelled() {
                return not_begun(self.stopped().await?, index);
            }
            if !plan::should_run(spec, &earlier) {
                earlier.push(PhaseOutcome { spec, state: PhaseState::Skipped });
                // The last ones are skipped by what ends the attempt.
                if plan::any_should_run(rest, &earlier) {
                    let change = PhaseChange::skipped(spec.name.clone());
                    self.end_phase(PhaseEnd { change, failure: None }, BTreeMap::new()).await?;
                    continue;
                }
                return not_begun(failure.unwrap_or_else(completed), index);
            }
            let name: Arc<str> = spec.name.as_str().into();
            // An answer is to the phase that the run goes on with.
            if !(index == first && answer.is_some()) && self.must_ask(spec, run, carried).await? {
                return self.ask(run, spec, name).await.map(|()| None);
            }
            let began = self.begin(&name).await?;
            let mut variables = variables(run, &name, &place, workspace.path(), &self.shared.options.program);
            variables.extend(spec.env.iter().map(|(name, value)| (name.clone(), value.into())));
            variables.extend(outputs.iter().map(|(name, value)| (name.clone(), value.into())));
            variables.extend(secrets.variables(spec));
            let given = outputs.iter().map(|(name, value)| name.len() + value.len()).sum();
            let (ended, told) = self.tries(spec, &name, variables, &place, given).await?;
            outputs.extend(told.outputs.iter().map(|(name, value)| (Output::variable(name), value.clone())));
            let state = if ended.is_good() { PhaseState::Completed } else { PhaseState::Failed };
            let duration_ms = Some(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
            let (exit_code, signal) = (ended.exit_code(), ended.signal());
            let change = PhaseChange { name: spec.name.clone(), state, exit_code, signal, duration_ms, carried: false };
            let mut end = PhaseEnd { change, failure: None };
            match &ended {
                Ended::Stopped => {
                    return Ok(Some(Finished { verdict: self.stopped().await?, end: Some(end), rest }));
                }
                Ended::Signalled(signalled) => {
                    return Ok(Some(Finished { verdict: service_signalled(signalled), end: Some(end), rest }));
                }
                // There is nothing left for the phases after it to use.
                Ended::Limited(..) => {
                    let verdict = failed(ended.failure(spec, None));
                    return Ok(Some(Finished { verdict, end: Some(end), rest }));
                }
                _ => {}
            }
            earlier.push(PhaseOutcome { spec, state });
            let decides = state == PhaseState::Failed && !spec.continue_on_error && failure.is_none();
            if state == PhaseState::Failed {
                end.failure = Some(ended.failure(spec, told.error.as_deref()));
            }
            if decides {
                failure = end.failure.clone().map(failed);
            }
            if !plan::any_should_run(rest, &earlier) {
                // The last frames of the attempt say it, if this is what ends it.
                end.failure.take_if(|_| decides);
                let verdict = failure.unwrap_or_else(completed);
                return Ok(Some(Finished { verdict, end: Some(end), rest }));
            }
            self.end_phase(end, told.outputs).await?;
        }
        // Only a pipeline without phases comes here, and files without phases are refused.
        Ok(Some(Finished { verdict: completed(), end: None, rest: &[] }))
    }

    /// Sets up what keeps the attempt's commands from everything else, and journals what of it cannot be done. A failure if the attempt
    /// may not go on without.
    async fn confine(
        &self,
        run: &Run,
        pipeline: &Pipeline,
        place: &Place,
        workspace: &Path,
    ) -> Result<Option<Failure>, WriteError> {
        let options = &self.shared.options;
        let mut writable = vec![workspace.to_owned()];
        if pipeline.restart_from_start {
            // What the phases leave to each other, and the repository, which may be above the folder that is worked on.
            writable.extend(Notes::folder(workspace));
            writable.extend(options.projects.roots().iter().map(PathBuf::from));
        }
        writable.push(place.folder());
        let request = Request {
            attempt: name_of(&run.id, run.attempt),
            limits: pipeline.limits,
            sandbox: pipeline.sandbox,
            needs: Needs { writable, network: pipeline.network },
        };
        let (confined, notices) = match options.commands.prepare(request).await {
            Ok(prepared) => prepared,
            Err(failure) => return Ok(Some(failure)),
        };
        // An attempt is confined once.
        let _ = self.confined.set(confined);
        if !notices.is_empty() {
            let mut write = self.append();
            write.frames.extend(notices.into_iter().map(|notice| NewFrame::now(None, &FramePayload::Notice(notice))));
            self.shared.journal.write(write).await?;
        }
        Ok(None)
    }

    /// Watches how much the attempt takes on the disk, if that is limited. A project is the user's, and so is what is in it.
    fn watch_disk(&self, run: &Run, pipeline: &Pipeline, workspace: &Path) -> Option<DiskWatch> {
        let most = pipeline.limits.scratch?;
        let folders = vec![self.shared.options.scratch.join(run.id.as_str()), workspace.to_owned()];
        Some(DiskWatch::start(folders, most, Arc::clone(self.meter())))
    }

    /// The variables of what earlier phases have given, if the attempt does not begin with its first one.
    async fn outputs(&self, earlier: &[PhaseOutcome<'_>]) -> Result<HashMap<String, String>, WriteError> {
        if earlier.is_empty() {
            return Ok(HashMap::new());
        }
        let all = self.read(|| self.shared.store.outputs(self.lease.run, self.lease.attempt)).await?;
        let given = all.into_iter().flat_map(|(_, outputs)| outputs);
        Ok(given.map(|(name, value)| (Output::variable(&name), value)).collect())
    }

    /// Whether a person is asked before this phase.
    async fn must_ask(&self, spec: &PhaseSpec, run: &Run, carried: bool) -> Result<bool, WriteError> {
        let mut patches = 0;
        if matches!(spec.approval, ApprovalRule::If(_)) {
            // Phases that were carried over have shown theirs in an earlier attempt. Better asked once more than not at all.
            let from = if carried { 1 } else { self.lease.attempt };
            for attempt in from..=self.lease.attempt {
                patches += self.read(|| self.shared.store.review_counts(self.lease.run, attempt)).await?.patches;
            }
        }
        Ok(spec.approval.is_required(&run.params, patches))
    }

    /// Asks a person, and lets go of the run.
    async fn ask(&self, run: &Run, spec: &PhaseSpec, phase: Arc<str>) -> Result<(), WriteError> {
        // Nobody would watch over them while nobody carries the run out.
        self.end_background().await?;
        self.end_attempt(run).await;
        let question = spec.approval_question();
        let asked = Approval {
            question: question.clone(),
            state: ApprovalState::Waiting,
            by: None,
            exclude: Vec::new(),
            note: None,
        };
        let mut write = RunWrite::new(RequestApproval { lease: self.lease, phase: Arc::clone(&phase), question });
        write.frames.push(NewFrame::now(Some(phase), &FramePayload::Approval(asked)));
        self.shared.journal.write(write).await.map(drop)
    }

    /// Why the run is ended: someone asked, or the server stops.
    async fn stopped(&self) -> Result<Verdict, WriteError> {
        if !self.cancel.is_cancelled() {
            let reason = format!("{} is stopping", self.shared.options.owner);
            return Ok(Verdict { to: FinalStatus::Interrupted, reason, error: None });
        }
        // Who asked stands in the database; a write without a change reads it there, inside a transaction.
        let asked = self.shared.journal.write(self.append()).await?;
        Ok(cancelled(asked.cancel_by.as_deref().unwrap_or("an operator")))
    }

    async fn begin(&self, name: &Arc<str>) -> Result<Instant, WriteError> {
        let mut write = RunWrite::new(EnterPhase { lease: self.lease, phase: Arc::clone(name) });
        write.add_phase(PhaseChange {
            name: name.to_string(),
            state: PhaseState::Started,
            exit_code: None,
            signal: None,
            duration_ms: None,
            carried: false,
        });
        // Somebody may have asked for the end after the claim, before this worker could be told.
        let begun = self.shared.journal.write(write).await?;
        self.hear_cancel(&begun);
        Ok(Instant::now())
    }

    async fn end_phase(&self, end: PhaseEnd, outputs: BTreeMap<String, String>) -> Result<(), WriteError> {
        let mut write = self.append();
        end.tell(&mut write, outputs);
        self.shared.journal.write(write).await.map(drop)
    }

    /// Why the attempt fails, if a phase has failed before somebody was asked: as the journal has it.
    async fn failed_before(&self, run: &Run, earlier: &[PhaseOutcome<'_>]) -> Result<Option<Verdict>, WriteError> {
        let fails = |outcome: &PhaseOutcome<'_>| plan::has_failed(std::slice::from_ref(outcome));
        let Some(place) = earlier.iter().position(fails) else { return Ok(None) };
        let (spec, phase) = (earlier[place].spec, &run.phases[place]);
        let (store, Lease { run, attempt, .. }) = (&self.shared.store, self.lease);
        let attempts = self.read(|| store.attempts(run, attempt.checked_add(1), 1)).await?;
        let told = attempts.first().and_then(|attempt| attempt.phases.get(place)?.last);
        let after = match told {
            Some(seq) => self.read(|| store.frames(run, seq, 1)).await?.0.pop(),
            None => None,
        };
        let said =
            after.filter(|frame| frame.phase.as_deref() == Some(&spec.name)).map(|frame| frame.to_frame().payload);
        Ok(Some(failed(match said {
            Some(FramePayload::Error(failure)) => failure,
            // It was journaled by an earlier build.
            _ => Ended::Exited(phase.exit_code.map(Exit::with_code)).failure(spec, None),
        })))
    }
}

/// What became of the phases before this place.
fn ended_before<'a>(run: &Run, pipeline: &'a Pipeline, first: usize) -> Vec<PhaseOutcome<'a>> {
    let states = run.phases.iter().map(|phase| phase.state);
    pipeline.phases.iter().zip(states).take(first).map(|(spec, state)| PhaseOutcome { spec, state }).collect()
}
