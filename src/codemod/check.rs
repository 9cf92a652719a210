//! The operator's command that tells good code from bad (tests, a compiler), and the patches that pass it.

use std::process::Stdio;
use std::time::Duration;

use super::bisect::bisect;
use super::command::{self, CommandError, CommandExit, CommandLimits, OutputBound};
use super::error::PhaseError;
use super::patches::RewrittenFile;
use super::phase_log::PhaseLog;
use super::trial::{ChangedObjects, Trial};
use super::workspace_error::with_path;

/// How much of a check's output is logged: its end, which has the reason of a failure.
const LOGGED_OUTPUT_BYTES: usize = 4000;

/// The default time limit of one execution.
pub const DEFAULT_TIME_LIMIT: Duration = Duration::from_secs(3600);

/// A command, passed to `sh -c` in the project's folder of the checkout.
#[derive(Clone)]
pub struct Check {
    command: String,
    time_limit: Duration,
}

/// Why a check failed.
struct CheckFailure {
    how: String,
    /// The end of its output.
    output: String,
}

impl Check {
    /// `time_limit` applies to each execution.
    pub fn new(command: String, time_limit: Duration) -> Self {
        Self { command, time_limit }
    }

    /// Requires that the check passes with the files as they are.
    ///
    /// # Errors
    /// The check fails, so it cannot tell good patches from bad ones; or an I/O error.
    pub async fn require_pass(&self, trial: &Trial<'_>, log: &mut PhaseLog) -> Result<(), PhaseError> {
        log.line(&format!("check: {}", self.command))?;
        log.flush()?;
        match self.run(trial, log).await? {
            Ok(()) => Ok(()),
            Err(CheckFailure { how, output }) => {
                let lacks = trial.checkout.lacks().map(|lacks| format!("\nThe checkout lacks:\n{lacks}"));
                Err(PhaseError::Check { how, output, lacks: lacks.unwrap_or_default() })
            }
        }
    }

    /// The patches with which the check passes, all together and on top of `accepted`, to which they are added. For
    /// each of the others the check's output is logged.
    ///
    /// # Errors
    /// Git or the disk fails.
    pub async fn select_patches<P: AsRef<RewrittenFile>>(
        &self,
        trial: &mut Trial<'_>,
        accepted: &mut ChangedObjects,
        patches: Vec<P>,
        log: &mut PhaseLog,
    ) -> Result<Vec<P>, PhaseError> {
        let files: Vec<&RewrittenFile> = patches.iter().map(P::as_ref).collect();
        let objects = trial.store_texts(files.iter().map(|file| file.text.as_str())).await?;
        let with = |chosen: &[usize]| {
            let mut wanted = accepted.clone();
            let chosen = chosen.iter().filter_map(|at| Some((files.get(*at)?.path.clone(), objects.get(*at)?.clone())));
            wanted.extend(chosen);
            wanted
        };
        let mut executions = 0;
        let test = async |chosen: &[usize]| {
            trial.restore().await?;
            trial.show(with(chosen)).await?;
            let result = self.run(trial, log).await?;
            executions += 1;
            let word = if result.is_ok() { "passes" } else { "fails" };
            log.line(&format!("check {executions}: {word} with {} of {} patches", chosen.len(), files.len()))?;
            log.flush()?;
            Ok::<_, PhaseError>(result.err())
        };
        let (good, bad) = bisect(files.len(), test).await?;
        for (index, CheckFailure { how, output }) in bad {
            log.line(&format!("left {} as it is: with its patch the check fails ({how}):", files[index].path))?;
            output.lines().try_for_each(|line| log.line(&format!("  {line}")))?;
        }
        let wanted = with(&good);
        trial.restore().await?;
        trial.show(wanted.clone()).await?;
        *accepted = wanted;
        let selected = patches.into_iter().enumerate().filter(|(index, _)| good.contains(index));
        Ok(selected.map(|(_, patch)| patch).collect())
    }

    async fn run(&self, trial: &Trial<'_>, log: &mut PhaseLog) -> Result<Result<(), CheckFailure>, PhaseError> {
        let (root, top) = (trial.root()?, trial.top()?);
        // Both outputs share a pipe, so that their lines keep their order.
        let script = format!("exec 2>&1\n{}", self.command);
        let mut shell = command::shell(&script, &root, top.path());
        shell.stderr(Stdio::inherit());
        let limits = CommandLimits { time: self.time_limit, output: OutputBound::Tail(LOGGED_OUTPUT_BYTES) };
        let failed = |how: String, output: &[u8]| {
            // The tail may begin inside a character.
            let output = String::from_utf8_lossy(output).trim_start_matches('\u{fffd}').trim().to_owned();
            Ok(Err(CheckFailure { how, output }))
        };
        match command::run(shell, None, limits, true).await {
            Ok(CommandExit { status, stdout, leftovers, .. }) => {
                if !leftovers.is_empty() {
                    log.line(&format!("check: ended what it left running: {}", leftovers.join(", ")))?;
                }
                if status.success() { Ok(Ok(())) } else { failed(status.to_string(), &stdout) }
            }
            Err(CommandError::TimedOut(output)) => {
                let limit = humantime::format_duration(self.time_limit);
                failed(format!("it took longer than {limit} and was ended"), &output)
            }
            // Does not happen: only the tail is held, whatever the length.
            Err(CommandError::TooMuchOutput) => failed("it printed too much".to_owned(), &[]),
            Err(CommandError::NotStarted(error) | CommandError::WaitFailed(error)) => {
                Err(with_path(root.path(), error).into())
            }
        }
    }
}
