//! One attempt of one run, from its claim to its end.
//!
//! Every write carries the lease: once it is gone, the journal refuses, and the worker ends what it started and says no more.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::output::{Reported, journal_all};
use super::process::Process;
use super::workspace::discard;
use crate::journal::WriteError;
use crate::model::kinds::{Approval, ApprovalState, Failure, PhaseChange};
use crate::model::pipeline::PROJECT;
use crate::model::{
    Answer, Body, Gate, Param, ParamKind, ParamValue, PhaseSpec, PhaseState, Pipeline, Run, Status, Timestamp,
};
use crate::store::{Assignment, Change, Guard, Lease, NewFrame, RunKey, Write};

/// How long outputs may stay open after everything that could hold them has ended.
const OUTPUTS_CLOSE: Duration = Duration::from_secs(5);

/// A claimed attempt.
pub struct Worker {
    shared: Arc<Shared>,
    lease: Lease,
    /// Someone asked for the end of this run.
    cancel: CancellationToken,
    /// The server is stopping.
    stop: CancellationToken,
}

/// How a phase ended.
enum Ended {
    /// By itself, with this exit code (`None`: something killed it from outside).
    Exited(Option<i32>),
    /// It took longer than it may.
    TimedOut,
    /// It was ended because someone asked for it, or the server stops.
    Stopped,
    /// Its command could not be started.
    NotStarted(std::io::Error),
}

/// What the attempt's last write says.
struct Finished<'a> {
    verdict: Verdict,
    /// The phase that ended it.
    end: Option<PhaseChange>,
    /// The phases that do not run.
    rest: &'a [PhaseSpec],
}

/// How the attempt ends, and the sentence that says why.
struct Verdict {
    to: Status,
    reason: String,
    error: Option<Failure>,
}

impl Worker {
    /// Tries to win the change `pending` to `running`. `None` if someone else has won.
    pub async fn claim(
        shared: &Arc<Shared>,
        run: RunKey,
        attempt: u32,
        stop: CancellationToken,
    ) -> Result<Option<Self>, WriteError> {
        let owner = shared.options.owner.clone();
        let reason = format!("claimed by {owner}");
        let change = Change::Claim { owner, until: later(Timestamp::now(), shared.options.lease) };
        let mut claim = Write::new(run, Guard::Standing(Status::Pending, attempt), change);
        claim.frames.push(NewFrame::status(Status::Pending, Status::Running, reason));
        match shared.journal.write(claim).await {
            Ok(won) => Ok(Some(Self {
                shared: Arc::clone(shared),
                lease: Lease { run, attempt, token: won.token },
                cancel: CancellationToken::new(),
                stop,
            })),
            Err(WriteError::Refused) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Tries to take up a run that waited for a person. `None` if someone else was first.
    pub async fn resume(
        shared: &Arc<Shared>,
        run: RunKey,
        attempt: u32,
        stop: CancellationToken,
    ) -> Result<Option<Self>, WriteError> {
        let until = later(Timestamp::now(), shared.options.lease);
        let change = Change::Resume { owner: shared.options.owner.clone(), until };
        match shared.journal.write(Write::new(run, Guard::Answered(attempt), change)).await {
            Ok(won) => {
                let worker = Self {
                    shared: Arc::clone(shared),
                    lease: Lease { run, attempt, token: won.token },
                    cancel: CancellationToken::new(),
                    stop,
                };
                if won.cancel_by.is_some() {
                    worker.cancel.cancel();
                }
                Ok(Some(worker))
            }
            Err(WriteError::Refused) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The claim that this worker has won.
    pub fn lease(&self) -> Lease {
        self.lease
    }

    /// The signal that ends the run because someone asked for it.
    pub fn cancel_signal(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Carries the attempt out.
    pub async fn work(self) {
        let done = tokio::select! {
            done = self.carry_out() => done,
            () = self.keep_lease() => Err(WriteError::Refused),
        };
        if let Err(error) = done {
            // The lease is gone or the database is: recovery will say what became of the run.
            tracing::warn!(run = self.lease.run.0, attempt = self.lease.attempt, %error, "the worker let go of its run");
        }
    }

    /// Extends the lease until it is lost. Hears, too, whether someone asked for the end through another instance.
    async fn keep_lease(&self) {
        let lease = self.shared.options.lease;
        let mut valid_until = Instant::now() + lease;
        loop {
            tokio::time::sleep(lease / 3).await;
            let asked = Instant::now();
            let extend = self.write(Change::Extend { until: later(Timestamp::now(), lease) });
            match tokio::time::timeout_at(valid_until, self.shared.journal.write(extend)).await {
                Ok(Ok(extended)) => {
                    valid_until = asked + lease;
                    if extended.cancel_by.is_some() {
                        self.cancel.cancel();
                    }
                }
                Ok(Err(WriteError::Store(error))) if error.is_retryable() && Instant::now() < valid_until => {}
                // Refused, or no answer in time: by now another worker may hold the run.
                _ => return,
            }
        }
    }

    async fn carry_out(&self) -> Result<(), WriteError> {
        let store = &self.shared.store;
        let Some(assignment) = store.assignment(self.lease.run).await? else {
            return Err(WriteError::Refused);
        };
        // If the lease is gone, recovery takes what is left.
        let Some(Finished { verdict, end, rest }) = self.phases(&assignment).await? else { return Ok(()) };
        // Before the run is finished, so that whoever sees that finds nothing of it left.
        discard(&self.shared.options.workspaces.of(&assignment.run.id, assignment.run.attempt)).await;
        self.finish(verdict, end, rest).await
    }

    /// Carries the phases out, up to the end of the last one: all of them, or those that are left after a person has answered.
    /// `None` if the run now waits for a person.
    async fn phases<'a>(&self, assignment: &'a Assignment) -> Result<Option<Finished<'a>>, WriteError> {
        let Assignment { run, pipeline, answer } = assignment;
        let first = run.phases.iter().position(|phase| phase.state == PhaseState::Pending).unwrap_or(0);
        let not_begun = |verdict, index: usize| {
            let rest = pipeline.phases.get(index..).unwrap_or_default();
            Ok(Some(Finished { verdict, end: None, rest }))
        };
        // Before anything else: what ends here needs no folder.
        if self.cancel.is_cancelled() {
            return not_begun(self.stopped().await?, first);
        }
        if let Some(Answer { approved: false, by, .. }) = answer {
            return not_begun(rejected(by), first);
        }
        let places = async {
            let folder = self.folder(run, pipeline, first == 0).await?;
            Ok::<_, String>((folder, self.workspace(run, answer.as_ref()).await?))
        };
        let (folder, workspace) = match places.await {
            Ok(places) => places,
            Err(error) => {
                let message = format!("the run has no folder to work in: {error}");
                return not_begun(failed("no_folder", message), first);
            }
        };
        for (index, spec) in pipeline.phases.iter().enumerate().skip(first) {
            let rest = &pipeline.phases[index + 1..];
            let name: Arc<str> = spec.name.as_str().into();
            if self.cancel.is_cancelled() {
                return not_begun(self.stopped().await?, index);
            }
            // An answer is to the phase that the run goes on with.
            if !(index == first && answer.is_some()) && self.must_ask(spec, run).await? {
                return self.ask(spec, name).await.map(|()| None);
            }
            let began = self.begin(&name).await?;
            let variables = variables(run, &name, &workspace, &self.shared.options.program);
            let (ended, said) = self.phase(spec, &name, variables, &folder).await?;
            let end = |state, exit_code| {
                let duration_ms = Some(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
                PhaseChange { name: spec.name.clone(), state, exit_code, duration_ms }
            };
            let (verdict, end) = match ended {
                Ended::Exited(Some(0)) => {
                    let end = end(PhaseState::Completed, Some(0));
                    if rest.is_empty() {
                        return Ok(Some(Finished { verdict: completed(), end: Some(end), rest }));
                    }
                    self.end_phase(end).await?;
                    continue;
                }
                Ended::Exited(Some(code)) => {
                    let message = match said {
                        Some(said) => format!("phase {name} failed: {said}"),
                        None => format!("phase {name} ended with exit code {code}"),
                    };
                    (failed("phase_failed", message), end(PhaseState::Failed, Some(code)))
                }
                Ended::Exited(None) => {
                    let message = format!("phase {name} was killed from outside");
                    (failed("phase_killed", message), end(PhaseState::Failed, None))
                }
                Ended::TimedOut => {
                    let limit = Duration::from_millis(spec.timeout_ms.unwrap_or_default());
                    let message = format!("phase {name} took longer than {}", humantime::format_duration(limit));
                    (failed("phase_timeout", message), end(PhaseState::Failed, None))
                }
                Ended::NotStarted(error) => {
                    let message = format!("phase {name} could not be started: {error}");
                    (failed("phase_not_started", message), end(PhaseState::Failed, None))
                }
                Ended::Stopped => (self.stopped().await?, end(PhaseState::Failed, None)),
            };
            return Ok(Some(Finished { verdict, end: Some(end), rest }));
        }
        // Only a pipeline without phases comes here, and files without phases are refused.
        Ok(Some(Finished { verdict: completed(), end: None, rest: &[] }))
    }

    /// Whether a person is asked before this phase.
    async fn must_ask(&self, spec: &PhaseSpec, run: &Run) -> Result<bool, WriteError> {
        let patches = match spec.approval {
            Gate::Fixed(_) => 0,
            Gate::If(_) => self.shared.store.tally(self.lease.run, self.lease.attempt).await?.patches,
        };
        Ok(spec.approval.is_closed(&run.params, patches))
    }

    /// Asks a person, and lets go of the run.
    async fn ask(&self, spec: &PhaseSpec, phase: Arc<str>) -> Result<(), WriteError> {
        let question = spec.asks();
        let asked =
            Approval { question: question.clone(), state: ApprovalState::Waiting, by: None, exclude: Vec::new() };
        let mut write = self.write(Change::Ask { phase: Arc::clone(&phase), question });
        write.frames.push(NewFrame::now(Some(phase), &Body::Approval(asked)));
        self.shared.journal.write(write).await.map(drop)
    }

    /// What the attempt keeps between its phases, and what a person has answered: there for commands to read.
    async fn workspace(&self, run: &Run, answer: Option<&Answer>) -> Result<PathBuf, String> {
        let made = async {
            let folder = self.shared.options.workspaces.make(&run.id, run.attempt).await?;
            if let Some(answer) = answer {
                tokio::fs::write(folder.join(Answer::FILE), serde_json::to_vec(answer)?).await?;
            }
            Ok::<_, std::io::Error>(folder)
        };
        made.await.map_err(|error| format!("cannot make its workspace: {error}"))
    }

    /// Where the run works: its project, or a folder of its own, which is empty when the attempt begins.
    ///
    /// # Errors
    /// A sentence: the project is no longer where it may be (since it was asked for, a link may have taken its place), or
    /// the folder cannot be made.
    async fn folder(&self, run: &Run, pipeline: &Pipeline, begins: bool) -> Result<PathBuf, String> {
        let is_project = |param: &Param| param.name == PROJECT && param.kind == ParamKind::Path;
        if pipeline.params.iter().any(is_project)
            && let Some(ParamValue::Text(project)) = run.params.get(PROJECT)
        {
            return self.shared.options.projects.resolve(project).map_err(|refusal| refusal.to_string());
        }
        let folder = self.shared.options.scratch.join(run.id.as_str());
        if !begins {
            return Ok(folder);
        }
        empty(&folder).await.map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        Ok(folder)
    }

    /// Runs one phase's command and journals what it prints. With how it ended comes the last error that it reported.
    async fn phase(
        &self,
        spec: &PhaseSpec,
        name: &Arc<str>,
        variables: HashMap<String, OsString>,
        folder: &Path,
    ) -> Result<(Ended, Option<String>), WriteError> {
        if self.cancel.is_cancelled() || self.stop.is_cancelled() {
            return Ok((Ended::Stopped, None));
        }
        let started = Process::start(&self.shared.options, &spec.run, folder, variables);
        let (mut process, outputs) = match started {
            Ok(started) => started,
            Err(error) => return Ok((Ended::NotStarted(error), None)),
        };
        let reported = Reported::default();
        let journaled = journal_all(outputs, &self.shared.journal, self.lease, name, &reported);
        tokio::pin!(journaled);
        let timeout = async {
            match spec.timeout_ms {
                Some(limit) => tokio::time::sleep(Duration::from_millis(limit)).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(timeout);
        let mut outputs_done = None;
        let early = loop {
            tokio::select! {
                code = process.ended() => break Ok(code),
                result = &mut journaled, if outputs_done.is_none() => {
                    // Both outputs may be closed long before the command ends. A refusal ends the command (by dropping it).
                    result?;
                    outputs_done = Some(());
                }
                () = &mut timeout => break Err(Ended::TimedOut),
                () = self.cancel.cancelled() => break Err(Ended::Stopped),
                () = self.stop.cancelled() => break Err(Ended::Stopped),
            }
        };
        let ended = match early {
            Ok(code) => Ended::Exited(code),
            Err(why) => {
                process.terminate().await;
                let grace = tokio::time::sleep(self.shared.options.grace);
                tokio::pin!(grace);
                let mut killed = false;
                loop {
                    tokio::select! {
                        _ = process.ended() => break,
                        result = &mut journaled, if outputs_done.is_none() => {
                            result?;
                            outputs_done = Some(());
                        }
                        () = &mut grace, if !killed => {
                            killed = true;
                            process.kill().await;
                        }
                    }
                }
                why
            }
        };
        if outputs_done.is_none() {
            // Everything that could print has ended, so the pipes close now; the limit is for a descriptor that was
            // handed to a process which is none of ours.
            match tokio::time::timeout(OUTPUTS_CLOSE, journaled).await {
                Ok(result) => result?,
                Err(_) => {
                    tracing::warn!(run = self.lease.run.0, phase = %name, "a foreign process holds the outputs open")
                }
            }
        }
        let said = reported.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok((ended, said))
    }

    /// Why the run is ended: someone asked, or the server stops.
    async fn stopped(&self) -> Result<Verdict, WriteError> {
        if !self.cancel.is_cancelled() {
            let reason = format!("{} is stopping", self.shared.options.owner);
            return Ok(Verdict { to: Status::Interrupted, reason, error: None });
        }
        // Who asked stands in the database; a write without a change reads it there, inside a transaction.
        let asked = self.shared.journal.write(self.write(Change::None)).await?;
        let by = asked.cancel_by.unwrap_or_else(|| "an operator".to_owned());
        Ok(Verdict { to: Status::Cancelled, reason: format!("cancelled by {by}"), error: None })
    }

    async fn begin(&self, name: &Arc<str>) -> Result<Instant, WriteError> {
        let mut write = self.write(Change::Enter { phase: Arc::clone(name) });
        write.add_phase(PhaseChange {
            name: name.to_string(),
            state: PhaseState::Started,
            exit_code: None,
            duration_ms: None,
        });
        self.shared.journal.write(write).await?;
        Ok(Instant::now())
    }

    async fn end_phase(&self, end: PhaseChange) -> Result<(), WriteError> {
        let mut write = self.write(Change::None);
        write.add_phase(end);
        self.shared.journal.write(write).await.map(drop)
    }

    /// Ends the attempt in one transaction: the phase that ended it, the phases that will not run, the error, the status.
    async fn finish(&self, verdict: Verdict, end: Option<PhaseChange>, rest: &[PhaseSpec]) -> Result<(), WriteError> {
        let Verdict { to, reason, error } = verdict;
        let sentence = error.as_ref().map(|error| error.message.clone());
        let sentence = sentence.or_else(|| (to == Status::Interrupted).then(|| reason.clone()));
        let mut write = self.write(Change::Finish { to, error: sentence });
        let skipped = rest.iter().map(|spec| PhaseChange::skipped(spec.name.clone()));
        for phase in end.into_iter().chain(skipped) {
            write.add_phase(phase);
        }
        write.frames.extend(error.map(|error| NewFrame::now(None, &Body::Error(error))));
        write.frames.push(NewFrame::status(Status::Running, to, reason));
        self.shared.journal.write(write).await.map(drop)
    }

    fn write(&self, change: Change) -> Write {
        Write::new(self.lease.run, Guard::Lease(self.lease), change)
    }
}

/// Makes the folder, empty.
async fn empty(folder: &Path) -> std::io::Result<()> {
    match tokio::fs::remove_dir_all(folder).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => tokio::fs::create_dir_all(folder).await,
    }
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    Timestamp(now.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
}

fn rejected(by: &str) -> Verdict {
    Verdict { to: Status::Cancelled, reason: format!("rejected by {by}"), error: None }
}

fn completed() -> Verdict {
    Verdict { to: Status::Completed, reason: "every phase completed".to_owned(), error: None }
}

fn failed(code: &str, message: String) -> Verdict {
    let error = Failure { code: code.to_owned(), message: message.clone(), retryable: false };
    Verdict { to: Status::Failed, reason: message, error: Some(error) }
}

/// What a command finds in its environment (CONTRACT.md, "Pipelines in TOML").
fn variables(run: &Run, phase: &str, workspace: &Path, program: &Path) -> HashMap<String, OsString> {
    let params =
        run.params.iter().map(|(name, value)| (format!("PARAM_{}", name.to_uppercase()), value.to_string().into()));
    let own = [
        ("RUN_ID", run.id.as_str().into()),
        ("ATTEMPT", run.attempt.to_string().into()),
        ("PHASE", phase.into()),
        ("WORKSPACE", workspace.into()),
        ("PROGRAM", program.into()),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value));
    params.chain(own).map(|(name, value)| (format!("RUNTRAIL_{name}"), value)).collect()
}
