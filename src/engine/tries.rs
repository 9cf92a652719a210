//! One phase's command: run, journaled as it prints, ended if it takes too long or somebody asks for it, and tried again.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::commands::Variables;
use super::output::{Reported, Told, journal_all};
use super::places::enter;
use super::shortage::Waited;
use super::verdict::Ended;
use super::worker::Worker;
use crate::journal::WriteError;
use crate::model::{Body, PhaseSpec};
use crate::store::{Change, NewFrame};

/// How long outputs may stay open after everything that could hold them has ended.
const OUTPUTS_CLOSE: Duration = Duration::from_secs(5);

impl Worker {
    /// Runs one phase's command, again and again if it fails and is to be tried again. With how it ended comes what it told the
    /// last time. `given`: how many bytes earlier phases have given to later ones.
    pub(super) async fn tries(
        &self,
        spec: &PhaseSpec,
        name: &Arc<str>,
        mut variables: Variables,
        folder: &Path,
        given: usize,
    ) -> Result<(Ended, Told), WriteError> {
        let folder = match enter(folder, &spec.dir).await {
            Ok(folder) => folder,
            Err(error) => return Ok((Ended::NotStarted(error), Told::default())),
        };
        let mut tries = 0;
        loop {
            tries += 1;
            variables.insert("RUNTRAIL_TRY".to_owned(), tries.to_string().into());
            let (ended, told) = self.phase(spec, name, variables.clone(), &folder, given).await?;
            if ended.is_good() || matches!(ended, Ended::Stopped) {
                return Ok((ended, told));
            }
            let Some(wait) = spec.retries.after(tries, ended.exit_code()) else { return Ok((ended, told)) };
            let mut failure = ended.failure(spec, told.error.as_deref());
            let (all, next) = (spec.retries.times + 1, humantime::format_duration(wait));
            failure.message += &format!("; try {tries} of {all}, the next in {next}");
            failure.retryable = true;
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

    /// Runs one phase's command once and journals what it prints. With how it ended comes what it told.
    async fn phase(
        &self,
        spec: &PhaseSpec,
        name: &Arc<str>,
        variables: Variables,
        folder: &Path,
        given: usize,
    ) -> Result<(Ended, Told), WriteError> {
        if self.cancel.is_cancelled() || self.stop.is_cancelled() {
            return Ok((Ended::Stopped, Told::default()));
        }
        let start = || std::future::ready(self.shared.options.commands.start(&spec.run, folder, variables.clone()));
        let (mut process, outputs) = match self.when_it_can(Some(name), "the phase waits to be started", start).await? {
            Waited::Done(Ok(started)) => started,
            Waited::Done(Err(error)) => return Ok((Ended::NotStarted(error), Told::default())),
            Waited::Stopped => return Ok((Ended::Stopped, Told::default())),
        };
        let reported = Reported::new(Told { given, ..Told::default() });
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
            loop {
                match tokio::time::timeout(OUTPUTS_CLOSE, &mut journaled).await {
                    Ok(result) => break result?,
                    // What was printed waits for the database, and is not lost.
                    Err(_) if self.shared.journal.health().is_waiting() => {}
                    Err(_) => {
                        tracing::warn!(run = self.lease.run.0, phase = %name, "a foreign process holds the outputs open");
                        break;
                    }
                }
            }
        }
        let told = std::mem::take(&mut *reported.lock().unwrap_or_else(PoisonError::into_inner));
        Ok((ended, told))
    }
}
