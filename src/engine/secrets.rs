//! What the commands of an attempt are given as secrets: those that the run was asked for with, and those that the pipeline's `[secrets]` name.
//! All of them are masked in what the attempt writes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::commands::{CommandEvent, CommandSpec, Rights, Variables};
use super::environment::SECRETS;
use super::worker::Worker;
use super::workspace::blocking;
use crate::confined_fs::Folder;
use crate::journal::WriteError;
use crate::model::kinds::Failure;
use crate::model::pipeline::SecretSource;
use crate::model::secret::MIN_SECRET_BYTES;
use crate::model::{LogStream, OutputMode, ParamKind, PhaseSpec, Pipeline, Run, Secrets};
use crate::secrets::Patterns;
use crate::secrets::files;

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
    #[error("the credential {name} cannot be read ({reason}); name it with `LoadCredential=` in the service's unit")]
    NoCredential { name: String, reason: String },
    #[error("its command {0}; run it as the server's user to see why")]
    Command(String),
    #[error("it is not text in UTF-8 without NUL characters")]
    NotText,
    #[error("it is longer than {} bytes", MAX_SECRET)]
    TooLong,
    #[error("it has less than {} bytes, and so short a secret cannot be masked", MIN_SECRET_BYTES)]
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
        workspace: &Folder,
    ) -> Result<Result<Known, Failure>, WriteError> {
        let mut known = Known::default();
        if pipeline.params.iter().any(|param| param.kind == ParamKind::Secret) {
            known.params = self.shared.store.secrets(self.lease.run).await?.values;
        }
        for secret in &pipeline.secrets {
            let Some(source) = &secret.source else { continue };
            match self.read_secret(source, run, workspace).await {
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

    async fn read_secret(&self, source: &SecretSource, run: &Run, workspace: &Folder) -> Result<String, BadSecret> {
        let bytes = match source {
            SecretSource::Env(name) => std::env::var_os(name)
                .ok_or_else(|| BadSecret::NotSet(name.clone()))?
                .into_string()
                .map_err(|_| BadSecret::NotText)?
                .into_bytes(),
            SecretSource::File(path) => {
                let unreadable = |error: std::io::Error| BadSecret::Unreadable {
                    file: path.display().to_string(),
                    reason: error.to_string(),
                };
                read_file(path.clone()).await.map_err(unreadable)?
            }
            SecretSource::Credential(name) => {
                let unreadable = |reason: String| BadSecret::NoCredential { name: name.clone(), reason };
                let path = files::credential(name).map_err(|error| unreadable(error.to_string()))?;
                read_file(path).await.map_err(|error| unreadable(error.to_string()))?
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
            SecretSource::File(_) | SecretSource::Credential(_) | SecretSource::Command(_) => {
                text.trim_end_matches(['\n', '\r'])
            }
        };
        if text.trim().len() < MIN_SECRET_BYTES { Err(BadSecret::TooShort) } else { Ok(text.to_owned()) }
    }

    /// What a secret's command prints on its standard output. Dropped before its end, it ends the command and all that it started.
    ///
    /// It is no phase: nothing of it is journaled, and it has the server's variables that phases do not have.
    async fn print(&self, command: &str, run: &Run, workspace: &Folder) -> Result<Vec<u8>, BadSecret> {
        let failed = |error: std::io::Error| BadSecret::Command(format!("could not be run ({error})"));
        let mut variables: Variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| !SECRETS.contains(&name.as_str()))
            .collect();
        variables.insert("RUNTRAIL_RUN_ID".to_owned(), run.id.as_str().into());
        variables.insert("RUNTRAIL_ATTEMPT".to_owned(), run.attempt.to_string().into());
        variables.insert(super::sweep::VARIABLE.to_owned(), workspace.path().into());
        // Not in the workspace: what phases leave there is not to decide what the server runs.
        let top = Folder::open(Path::new("/")).map_err(failed)?;
        let started = self.shared.options.commands.start(CommandSpec {
            run: command,
            folder: &top,
            variables,
            output: OutputMode::Separate,
            background: false,
            rights: Rights::Servers,
            confined: None,
        });
        let (mut process, outputs) = started.map_err(failed)?;
        let mut printed = Vec::new();
        let read = async {
            for (stream, pipe) in outputs {
                if stream == LogStream::Stdout {
                    printed = read_bounded(pipe).await?;
                } else {
                    // In a task of its own, so that a command that prints much there is not held up.
                    tokio::spawn(async move {
                        let mut pipe = pipe;
                        tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await
                    });
                }
            }
            Ok::<_, std::io::Error>(())
        };
        let ended = async {
            let mut exit = None;
            loop {
                match process.next_event().await {
                    CommandEvent::Gone => return Ok(exit),
                    CommandEvent::Ended(ended) => exit = Some(ended),
                    CommandEvent::NotStarted(reason) => return Err(std::io::Error::other(reason)),
                    CommandEvent::Waits(_)
                    | CommandEvent::Signalled(_)
                    | CommandEvent::Left(_)
                    | CommandEvent::Stuck(_) => {}
                }
            }
        };
        let ((), exit) = tokio::try_join!(read, ended).map_err(failed)?;
        if printed.len() as u64 > MAX_SECRET {
            return Err(BadSecret::TooLong);
        }
        match exit {
            Some(exit) if exit.code == 0 => Ok(printed),
            Some(exit) => Err(BadSecret::Command(format!("ended with exit code {}", exit.code))),
            None => Err(BadSecret::Command("was killed".to_owned())),
        }
    }
}

/// A file that the operator names.
async fn read_file(path: PathBuf) -> std::io::Result<Vec<u8>> {
    blocking(move || files::read(&path, MAX_SECRET)).await
}

/// All of it, or one byte more than a secret has at most.
async fn read_bounded(from: impl AsyncRead + Unpin) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_SECRET + 1).read_to_end(&mut bytes).await?;
    Ok(bytes)
}
