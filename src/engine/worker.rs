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
use super::output::{Reported, Told, journal_all};
use super::process::Process;
use super::workspace::discard;
use crate::journal::WriteError;
use crate::model::kinds::{Approval, ApprovalState, Failure, PhaseChange};
use crate::model::pipeline::{OnInterrupt, PROJECT};
use crate::model::plan::{self, Outcome};
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

impl Ended {
    fn is_good(&self) -> bool {
        matches!(self, Self::Exited(Some(0)))
    }

    fn exit_code(&self) -> Option<i32> {
        match self {
            Self::Exited(code) => *code,
            Self::TimedOut | Self::Stopped | Self::NotStarted(_) => None,
        }
    }

    /// Why the phase failed: a word for programs and a sentence, with the last error that it reported itself.
    fn reason(&self, spec: &PhaseSpec, said: Option<&str>) -> (&'static str, String) {
        let name = &spec.name;
        match self {
            Self::Exited(Some(code)) => {
                let message = match said {
                    Some(said) => format!("phase {name} failed: {said}"),
                    None => format!("phase {name} ended with exit code {code}"),
                };
                ("phase_failed", message)
            }
            Self::Exited(None) => ("phase_killed", format!("phase {name} was killed from outside")),
            Self::TimedOut => {
                let limit = Duration::from_millis(spec.timeout_ms.unwrap_or_default());
                ("phase_timeout", format!("phase {name} took longer than {}", humantime::format_duration(limit)))
            }
            Self::NotStarted(error) => ("phase_not_started", format!("phase {name} could not be started: {error}")),
            Self::Stopped => ("phase_stopped", format!("phase {name} was stopped")),
        }
    }
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
        let resume = assignment.pipeline.on_interrupt == OnInterrupt::Resume;
        self.finish(verdict, end, rest, resume).await
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
        let mut earlier = ended_before(run, pipeline, first);
        let mut outputs = self.outputs(&earlier).await?;
        // Why the attempt fails, from the phase that failed first.
        let mut failure = None;
        for (index, spec) in pipeline.phases.iter().enumerate().skip(first) {
            let rest = &pipeline.phases[index + 1..];
            if self.cancel.is_cancelled() {
                return not_begun(self.stopped().await?, index);
            }
            if !plan::runs(spec, &earlier) {
                earlier.push(Outcome { spec, state: PhaseState::Skipped });
                // The last ones are skipped by what ends the attempt.
                if plan::any_runs(rest, &earlier) {
                    self.end_phase(PhaseChange::skipped(spec.name.clone())).await?;
                    continue;
                }
                return not_begun(failure.unwrap_or_else(completed), index);
            }
            let name: Arc<str> = spec.name.as_str().into();
            // An answer is to the phase that the run goes on with.
            if !(index == first && answer.is_some()) && self.must_ask(spec, run).await? {
                return self.ask(spec, name).await.map(|()| None);
            }
            let began = self.begin(&name).await?;
            let mut variables = variables(run, &name, &workspace, &self.shared.options.program);
            variables.extend(spec.env.iter().map(|(name, value)| (name.clone(), value.into())));
            variables.extend(outputs.iter().map(|(name, value)| (name.clone(), value.into())));
            let (ended, told) = self.tries(spec, &name, variables, &folder).await?;
            outputs.extend(told.outputs.iter().map(|output| (output.variable(), output.value.clone())));
            let end = |state, exit_code| {
                let duration_ms = Some(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
                PhaseChange { name: spec.name.clone(), state, exit_code, duration_ms, carried: false }
            };
            let state = if ended.is_good() { PhaseState::Completed } else { PhaseState::Failed };
            let end = end(state, ended.exit_code());
            if matches!(ended, Ended::Stopped) {
                return Ok(Some(Finished { verdict: self.stopped().await?, end: Some(end), rest }));
            }
            earlier.push(Outcome { spec, state });
            if state == PhaseState::Failed && !spec.continue_on_error && failure.is_none() {
                let (code, message) = ended.reason(spec, told.error.as_deref());
                failure = Some(failed(code, message));
            }
            if !plan::any_runs(rest, &earlier) {
                let verdict = failure.unwrap_or_else(completed);
                return Ok(Some(Finished { verdict, end: Some(end), rest }));
            }
            self.end_phase(end).await?;
        }
        // Only a pipeline without phases comes here, and files without phases are refused.
        Ok(Some(Finished { verdict: completed(), end: None, rest: &[] }))
    }

    /// The variables of what earlier phases have given, if the attempt does not begin with its first one.
    async fn outputs(&self, earlier: &[Outcome<'_>]) -> Result<HashMap<String, String>, WriteError> {
        if earlier.is_empty() {
            return Ok(HashMap::new());
        }
        let all = self.shared.store.outputs(self.lease.run, self.lease.attempt).await?;
        let is_earlier = |phase: &str| earlier.iter().any(|outcome| outcome.spec.name == phase);
        let earlier = all.into_iter().filter(|(phase, _)| is_earlier(phase));
        Ok(earlier.map(|(_, output)| (output.variable(), output.value)).collect())
    }

    /// Runs one phase's command, again and again if it fails and is to be tried again. With how it ended comes what it told the
    /// last time.
    async fn tries(
        &self,
        spec: &PhaseSpec,
        name: &Arc<str>,
        mut variables: HashMap<String, OsString>,
        folder: &Path,
    ) -> Result<(Ended, Told), WriteError> {
        let folder = match enter(folder, &spec.dir).await {
            Ok(folder) => folder,
            Err(error) => return Ok((Ended::NotStarted(error), Told::default())),
        };
        let mut tries = 0;
        loop {
            tries += 1;
            variables.insert("RUNTRAIL_TRY".to_owned(), tries.to_string().into());
            let (ended, told) = self.phase(spec, name, variables.clone(), &folder).await?;
            if ended.is_good() || matches!(ended, Ended::Stopped) {
                return Ok((ended, told));
            }
            let Some(wait) = spec.retries.after(tries, ended.exit_code()) else { return Ok((ended, told)) };
            let (code, message) = ended.reason(spec, told.error.as_deref());
            let left = spec.retries.times + 1 - tries;
            let next = humantime::format_duration(wait);
            let message = format!("{message}; try {tries} of {}, the next in {next}", tries + left);
            let failure = Failure { code: code.to_owned(), message, retryable: true };
            let mut write = self.write(Change::None);
            write.frames.push(NewFrame::now(Some(Arc::clone(name)), &Body::Error(failure)));
            self.shared.journal.write(write).await?;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.cancel.cancelled() => return Ok((Ended::Stopped, told)),
                () = self.stop.cancelled() => return Ok((Ended::Stopped, told)),
            }
        }
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

    /// Runs one phase's command once and journals what it prints. With how it ended comes what it told.
    async fn phase(
        &self,
        spec: &PhaseSpec,
        name: &Arc<str>,
        variables: HashMap<String, OsString>,
        folder: &Path,
    ) -> Result<(Ended, Told), WriteError> {
        if self.cancel.is_cancelled() || self.stop.is_cancelled() {
            return Ok((Ended::Stopped, Told::default()));
        }
        let started = Process::start(&self.shared.options, &spec.run, folder, variables);
        let (mut process, outputs) = match started {
            Ok(started) => started,
            Err(error) => return Ok((Ended::NotStarted(error), Told::default())),
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
        let told = std::mem::take(&mut *reported.lock().unwrap_or_else(PoisonError::into_inner));
        Ok((ended, told))
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
            carried: false,
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
    async fn finish(
        &self,
        verdict: Verdict,
        end: Option<PhaseChange>,
        rest: &[PhaseSpec],
        resume: bool,
    ) -> Result<(), WriteError> {
        let Verdict { to, reason, error } = verdict;
        let change = match (to, &error) {
            (Status::Interrupted, _) => Change::Interrupt { error: reason.clone(), resume },
            (_, error) => Change::Finish { to, error: error.as_ref().map(|error| error.message.clone()) },
        };
        let mut write = self.write(change);
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

/// What became of the phases before this place.
fn ended_before<'a>(run: &Run, pipeline: &'a Pipeline, first: usize) -> Vec<Outcome<'a>> {
    let states = run.phases.iter().map(|phase| phase.state);
    pipeline.phases.iter().zip(states).take(first).map(|(spec, state)| Outcome { spec, state }).collect()
}

/// The folder below the run's, wherever links lead: it must stay below.
async fn enter(folder: &Path, below: &str) -> std::io::Result<PathBuf> {
    if below.is_empty() {
        return Ok(folder.to_owned());
    }
    let top = tokio::fs::canonicalize(folder).await?;
    let folder = tokio::fs::canonicalize(folder.join(below)).await?;
    let outside = || std::io::Error::other(format!("its folder {below} leads out of that of the run"));
    if folder.starts_with(top) { Ok(folder) } else { Err(outside()) }
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
