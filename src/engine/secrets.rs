//! The secrets of an attempt: those given when the run was started, and those of the pipeline's `[secrets]`. All of
//! them are masked in the attempt's frames.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::attempt::Attempt;
use super::command::environment::SERVER_SECRETS;
use super::command::handover::record::Record;
use super::command::launcher::{CommandEvent, CommandSpec, OutputForm, Privileges, StartedCommand, Variables};
use crate::confined_fs::Folder;
use crate::journal::WriteError;
use crate::model::kinds::Failure;
use crate::model::pipeline::SecretSource;
use crate::model::secret::MIN_SECRET_BYTES;
use crate::model::{LogStream, OutputMode, ParamKind, PhaseSpec, Pipeline, Run, Secrets};
use crate::secrets::Patterns;
use crate::secrets::files;
use crate::workspaces::blocking;

/// The longest secret: what fits into a variable.
const MAX_SECRET_BYTES: u64 = 100_000;

/// How long the command of a secret may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// The secrets of an attempt.
#[derive(Debug, Default)]
pub(super) struct AttemptSecrets {
    params: Secrets,
    declared: Secrets,
}

impl AttemptSecrets {
    /// The texts to mask.
    pub(super) fn values(&self) -> Vec<String> {
        self.params.iter().chain(self.declared.iter()).map(|(_, value)| value.to_owned()).collect()
    }

    /// The variables with the secrets of a phase.
    pub(super) fn variables(&self, spec: &PhaseSpec) -> Variables {
        let params = self.params.iter().map(|(name, value)| (format!("RUNTRAIL_PARAM_{}", name.to_uppercase()), value));
        let is_wanted =
            |(name, _): &(&str, &str)| spec.secrets.as_ref().is_none_or(|names| names.iter().any(|n| n == name));
        let declared = self.declared.iter().filter(is_wanted).map(|(name, value)| (name.to_owned(), value));
        params.chain(declared).map(|(name, value)| (name, OsString::from(value))).collect()
    }
}

/// Why a secret cannot be used. Each message is the end of a sentence, and contains nothing of the secret.
#[derive(Debug, thiserror::Error)]
enum SecretError {
    #[error("the server's variable {0} is not set; set it, and start the server again")]
    NotSet(String),
    #[error("the file {file} cannot be read ({reason}); create it or correct its path")]
    Unreadable { file: String, reason: String },
    #[error("the credential {name} cannot be read ({reason}); name it with `LoadCredential=` in the service's unit")]
    NoCredential { name: String, reason: String },
    #[error("its command {0}; run it as the server's user to see why")]
    Command(String),
    #[error("it is not text in UTF-8 without NUL characters")]
    NotText,
    #[error("it is longer than {} bytes", MAX_SECRET_BYTES)]
    TooLong,
    #[error("it has less than {} bytes, and so short a secret cannot be masked", MIN_SECRET_BYTES)]
    TooShort,
}

/// Loads the secrets of one attempt.
pub(super) struct SecretLoader<'a> {
    pub(super) attempt: &'a Attempt,
    pub(super) run: &'a Run,
    pub(super) workspace: &'a Folder,
}

impl SecretLoader<'_> {
    /// Loads the secrets, and masks them in all frames of the run from now on.
    ///
    /// # Errors
    /// The database's own. The inner error is a secret that cannot be read.
    pub(super) async fn load(&self, pipeline: &Pipeline) -> Result<Result<AttemptSecrets, Failure>, WriteError> {
        let mut secrets = AttemptSecrets::default();
        if pipeline.params.iter().any(|param| param.kind == ParamKind::Secret) {
            secrets.params = self.attempt.state.store.secrets(self.attempt.lease.run).await?.values;
        }
        for secret in &pipeline.secrets {
            let Some(source) = &secret.source else { continue };
            match self.read_secret(source).await {
                Ok(value) => secrets.declared.insert(&secret.name, value),
                Err(error) => {
                    let message = format!("the secret {} cannot be used: {error}", secret.name);
                    return Ok(Err(Failure { code: "secret_unavailable".to_owned(), message, retryable: false }));
                }
            }
        }
        let values = secrets.params.iter().chain(secrets.declared.iter()).map(|(_, value)| value);
        let patterns = Patterns::new(values);
        if !patterns.is_empty() {
            let guard = self.attempt.state.journal.mask(self.attempt.lease.run, Arc::new(patterns));
            self.attempt.hold_mask(guard);
        }
        Ok(Ok(secrets))
    }

    async fn read_secret(&self, source: &SecretSource) -> Result<String, SecretError> {
        let bytes = match source {
            SecretSource::Env(name) => std::env::var_os(name)
                .ok_or_else(|| SecretError::NotSet(name.clone()))?
                .into_string()
                .map_err(|_| SecretError::NotText)?
                .into_bytes(),
            SecretSource::File(path) => {
                let unreadable = |error: std::io::Error| SecretError::Unreadable {
                    file: path.display().to_string(),
                    reason: error.to_string(),
                };
                read_file(path.clone()).await.map_err(unreadable)?
            }
            SecretSource::Credential(name) => {
                let unreadable = |reason: String| SecretError::NoCredential { name: name.clone(), reason };
                let path = files::credential(name).map_err(|error| unreadable(error.to_string()))?;
                read_file(path).await.map_err(|error| unreadable(error.to_string()))?
            }
            SecretSource::Command(command) => {
                let printed = self.run_command(command);
                tokio::select! {
                    printed = tokio::time::timeout(COMMAND_TIMEOUT, printed) => {
                        let limit = || format!("took longer than {}", humantime::format_duration(COMMAND_TIMEOUT));
                        printed.unwrap_or_else(|_| Err(SecretError::Command(limit())))?
                    }
                    () = self.attempt.signals.stopping() => return Err(SecretError::Command("was stopped".to_owned())),
                }
            }
        };
        if bytes.len() as u64 > MAX_SECRET_BYTES {
            return Err(SecretError::TooLong);
        }
        let text = String::from_utf8(bytes).map_err(|_| SecretError::NotText)?;
        if text.contains('\0') {
            return Err(SecretError::NotText);
        }
        // A shell's command substitution does the same.
        let text = match source {
            SecretSource::Env(_) => text.as_str(),
            SecretSource::File(_) | SecretSource::Credential(_) | SecretSource::Command(_) => {
                text.trim_end_matches(['\n', '\r'])
            }
        };
        if text.trim().len() < MIN_SECRET_BYTES { Err(SecretError::TooShort) } else { Ok(text.to_owned()) }
    }

    /// What a secret's command prints on its standard output. If this is dropped, the command is killed.
    ///
    /// The command is no phase: nothing of it is journaled, and it also gets the server's variables that phases do not
    /// get.
    async fn run_command(&self, run: &str) -> Result<Vec<u8>, SecretError> {
        let failed = |error: std::io::Error| SecretError::Command(format!("could not be run ({error})"));
        let mut variables: Variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| !SERVER_SECRETS.contains(&name.as_str()))
            .collect();
        variables.insert("RUNTRAIL_RUN_ID".to_owned(), self.run.id.as_str().into());
        variables.insert("RUNTRAIL_ATTEMPT".to_owned(), self.run.attempt.to_string().into());
        variables.insert(super::command::orphans::WORKSPACE_VARIABLE.to_owned(), self.workspace.path().into());
        // Not in the workspace: what phases leave there must not decide what the server executes.
        let top = Folder::open(Path::new("/")).map_err(failed)?;
        let started = self.attempt.state.options.commands.start(CommandSpec {
            run,
            folder: &top,
            variables,
            output: OutputMode::Separate,
            form: OutputForm::Bytes,
            token: self.attempt.lease.token,
            background: false,
            privileges: Privileges::Server,
            confinement: None,
        });
        let StartedCommand { mut command, mut records } = started.await.map_err(failed)?;
        command.begin().await;
        let mut printed = Vec::new();
        let read = async {
            let (mut pending, mut has_more) = (Vec::new(), true);
            while has_more {
                has_more = records.next(&mut pending).await;
                for record in pending.drain(..) {
                    if let Record::Bytes { stream: LogStream::Stdout, bytes } = record.record
                        && printed.len() as u64 <= MAX_SECRET_BYTES
                    {
                        printed.extend(bytes);
                    }
                    records.acknowledge(record.end);
                }
            }
            Ok::<_, std::io::Error>(())
        };
        let ended = async {
            let mut exit = None;
            loop {
                match command.next_event().await {
                    CommandEvent::Finished => return Ok(exit),
                    CommandEvent::Exited(ended) => exit = Some(ended),
                    CommandEvent::NotStarted(reason) => return Err(std::io::Error::other(reason)),
                    CommandEvent::Delayed(_)
                    | CommandEvent::ServiceSignalled(_)
                    | CommandEvent::LeftBehind(_)
                    | CommandEvent::Stuck(_) => {}
                }
            }
        };
        let ((), exit) = tokio::try_join!(read, ended).map_err(failed)?;
        if printed.len() as u64 > MAX_SECRET_BYTES {
            return Err(SecretError::TooLong);
        }
        match exit {
            Some(exit) if exit.code == 0 => Ok(printed),
            Some(exit) => Err(SecretError::Command(format!("ended with exit code {}", exit.code))),
            None => Err(SecretError::Command("was killed".to_owned())),
        }
    }
}

/// Reads a file that the operator has declared.
async fn read_file(path: PathBuf) -> std::io::Result<Vec<u8>> {
    blocking(move || files::read(&path, MAX_SECRET_BYTES)).await
}
