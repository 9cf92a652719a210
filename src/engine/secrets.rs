//! What the commands of an attempt are given as secrets: those that the run was asked for with, and those that the pipeline's `[secrets]` name.
//! All of them are masked in what the attempt writes.

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::commands::Variables;
use super::process::SECRETS;
use super::worker::Worker;
use crate::journal::WriteError;
use crate::model::kinds::Failure;
use crate::model::pipeline::SecretSource;
use crate::model::secret::MIN_SECRET;
use crate::model::{ParamKind, PhaseSpec, Pipeline, Run, Secrets};
use crate::secrets::Patterns;

/// The longest secret that is read, in bytes: what fits into a variable.
const MAX_SECRET: u64 = 100_000;

/// How long the command of a secret may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// The secrets of an attempt.
#[derive(Debug, Default)]
pub(super) struct Known {
    params: Secrets,
    named: Secrets,
}

impl Known {
    /// The variables in which a phase's command finds its secrets.
    pub(super) fn variables(&self, spec: &PhaseSpec) -> Variables {
        let params = self.params.iter().map(|(name, value)| (format!("RUNTRAIL_PARAM_{}", name.to_uppercase()), value));
        let is_wanted =
            |(name, _): &(&str, &str)| spec.secrets.as_ref().is_none_or(|names| names.iter().any(|n| n == name));
        let named = self.named.iter().filter(is_wanted).map(|(name, value)| (name.to_owned(), value));
        params.chain(named).map(|(name, value)| (name, OsString::from(value))).collect()
    }
}

/// Why a secret cannot be used. Each is the end of a sentence, and has nothing of the secret in it.
#[derive(Debug, thiserror::Error)]
enum BadSecret {
    #[error("the server's variable {0} is not set; set it, and start the server again")]
    NotSet(String),
    #[error("the file {file} cannot be read ({reason}); create it or correct its path")]
    Unreadable { file: String, reason: String },
    #[error("its command {0}; run it as the server's user to see why")]
    Command(String),
    #[error("it is not text in UTF-8 without NUL characters")]
    NotText,
    #[error("it is longer than {} bytes", MAX_SECRET)]
    TooLong,
    #[error("it has less than {} bytes, and so short a secret cannot be masked", MIN_SECRET)]
    TooShort,
}

impl Worker {
    /// The secrets of this attempt, which from now on are masked in all that is written of the run.
    ///
    /// # Errors
    /// The database's own. Inside, a secret that cannot be read.
    pub(super) async fn secrets(
        &self,
        run: &Run,
        pipeline: &Pipeline,
        workspace: &Path,
    ) -> Result<Result<Known, Failure>, WriteError> {
        let mut known = Known::default();
        if pipeline.params.iter().any(|param| param.kind == ParamKind::Secret) {
            known.params = self.shared.store.secrets(self.lease.run).await?.values;
        }
        for secret in &pipeline.secrets {
            let Some(source) = &secret.source else { continue };
            match self.read(source, run, workspace).await {
                Ok(value) => known.named.insert(&secret.name, value),
                Err(error) => {
                    let message = format!("the secret {} cannot be used: {error}", secret.name);
                    return Ok(Err(Failure { code: "secret_unavailable".to_owned(), message, retryable: false }));
                }
            }
        }
        let values = known.params.iter().chain(known.named.iter()).map(|(_, value)| value);
        let patterns = Patterns::new(values);
        if !patterns.is_empty() {
            let guard = self.shared.journal.mask(self.lease.run, Arc::new(patterns));
            // An attempt has its secrets once.
            let _ = self.mask.set(guard);
        }
        Ok(Ok(known))
    }

    async fn read(&self, source: &SecretSource, run: &Run, workspace: &Path) -> Result<String, BadSecret> {
        let bytes = match source {
            SecretSource::Env(name) => std::env::var_os(name)
                .ok_or_else(|| BadSecret::NotSet(name.clone()))?
                .into_string()
                .map_err(|_| BadSecret::NotText)?
                .into_bytes(),
            SecretSource::File(path) => {
                let unreadable = |reason: String| BadSecret::Unreadable { file: path.display().to_string(), reason };
                let meta = tokio::fs::metadata(path).await.map_err(|error| unreadable(error.to_string()))?;
                // A named pipe would block.
                if !meta.is_file() {
                    return Err(unreadable("it is not a plain file".to_owned()));
                }
                let file = tokio::fs::File::open(path).await.map_err(|error| unreadable(error.to_string()))?;
                read_bounded(file).await.map_err(|error| unreadable(error.to_string()))?
            }
            SecretSource::Command(command) => {
                let printed = self.print(command, run, workspace);
                tokio::select! {
                    printed = tokio::time::timeout(COMMAND_LIMIT, printed) => {
                        let limit = || format!("took longer than {}", humantime::format_duration(COMMAND_LIMIT));
                        printed.unwrap_or_else(|_| Err(BadSecret::Command(limit())))?
                    }
                    () = self.cancel.cancelled() => return Err(BadSecret::Command("was stopped".to_owned())),
                    () = self.stop.cancelled() => return Err(BadSecret::Command("was stopped".to_owned())),
                }
            }
        };
        if bytes.len() as u64 > MAX_SECRET {
            return Err(BadSecret::TooLong);
        }
        let text = String::from_utf8(bytes).map_err(|_| BadSecret::NotText)?;
        if text.contains('\0') {
            return Err(BadSecret::NotText);
        }
        // As a shell does it with what a command prints.
        let text = match source {
            SecretSource::Env(_) => text.as_str(),
            SecretSource::File(_) | SecretSource::Command(_) => text.trim_end_matches(['\n', '\r']),
        };
        if text.trim().len() < MIN_SECRET { Err(BadSecret::TooShort) } else { Ok(text.to_owned()) }
    }

    /// What a secret's command prints on its standard output. Dropped before its end, it ends the command and all that it started.
    ///
    /// It is no phase: nothing of it is journaled, and it has the server's variables that phases do not have.
    async fn print(&self, command: &str, run: &Run, workspace: &Path) -> Result<Vec<u8>, BadSecret> {
        let failed = |error: std::io::Error| BadSecret::Command(format!("could not be run ({error})"));
        let mut start = Command::new(&self.shared.options.program);
        start.arg("supervise").arg(command).current_dir(workspace);
        for secret in SECRETS {
            start.env_remove(secret);
        }
        start
            .env("RUNTRAIL_RUN_ID", run.id.as_str())
            .env("RUNTRAIL_ATTEMPT", run.attempt.to_string())
            .env(super::sweep::VARIABLE, workspace)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0);
        let mut supervisor = start.spawn().map_err(failed)?;
        // Closed, it ends the command; waiting for the process would close it.
        let leash = supervisor.stdin.take();
        let Some(stdout) = supervisor.stdout.take() else { return Err(BadSecret::Command("has no output".to_owned())) };
        let printed = read_bounded(stdout).await.map_err(failed)?;
        if printed.len() as u64 > MAX_SECRET {
            return Err(BadSecret::TooLong);
        }
        let status = supervisor.wait().await.map_err(failed)?;
        drop(leash);
        match super::supervisor::exit_code(status) {
            Some(0) => Ok(printed),
            Some(code) => Err(BadSecret::Command(format!("ended with exit code {code}"))),
            None => Err(BadSecret::Command("was killed".to_owned())),
        }
    }
}

/// All of it, or one byte more than a secret has at most.
async fn read_bounded(from: impl AsyncRead + Unpin) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_SECRET + 1).read_to_end(&mut bytes).await?;
    Ok(bytes)
}
