//! The interface between the engine and what executes commands: processes ([`super::process`]), or a simulation in
//! tests.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::confinement::{CommandConfinement, ConfinementRequest};
use super::handover::record::TimedRecord;
use super::report::{Exit, ProcessList, ServiceSignal};
use crate::confined_fs::Folder;
use crate::model::OutputMode;
use crate::model::kinds::{Failure, Notice};

/// Environment variables by name.
pub type Variables = HashMap<String, OsString>;

/// Starts commands.
#[async_trait]
pub trait CommandLauncher: Send + Sync {
    /// Makes everything ready for a command. It begins with [`RunningCommand::begin`].
    ///
    /// # Errors
    /// The program or folder is missing, or the system lacks memory or processes.
    async fn start(&self, command: CommandSpec<'_>) -> std::io::Result<StartedCommand>;

    /// Takes over a command that another server has started.
    ///
    /// # Errors
    /// There is no such command any more, or it does not accept this server.
    async fn adopt(&self, _: CommandToAdopt) -> std::io::Result<StartedCommand> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    /// Removes what earlier servers have left of commands, except those with these sockets, and those of the attempts
    /// whose folders have these names.
    async fn sweep(&self, _sockets: HashSet<String>, _attempts: HashSet<OsString>) {}

    /// Whether commands outlive their server, for how long, and when this server leaves its commands to the next one.
    fn handover(&self) -> (Duration, CancellationToken) {
        (Duration::ZERO, CancellationToken::new())
    }

    /// Sets up the confinement of an attempt's commands. Returns notices for the parts that are not available.
    ///
    /// # Errors
    /// A part is not available that the pipeline requires.
    async fn prepare(&self, _: ConfinementRequest) -> Result<(CommandConfinement, Vec<Notice>), Failure> {
        Ok((CommandConfinement::default(), Vec::new()))
    }

    /// Kills all processes of the attempt whose folders have this name.
    async fn end_attempt(&self, _: &OsStr) {}
}

/// A command to start.
#[derive(Debug)]
pub struct CommandSpec<'a> {
    /// The argument of `sh -c`.
    pub run: &'a str,
    /// The working directory.
    pub folder: &'a Folder,
    /// Variables beside those of the server that every command gets.
    pub variables: Variables,
    pub output: OutputMode,
    /// What its output becomes.
    pub form: OutputForm,
    /// The number of the claim that it is started under.
    pub token: i64,
    /// Whether processes that it leaves behind keep running, if it exits with code 0.
    pub background: bool,
    pub privileges: Privileges,
    pub confinement: Option<&'a CommandConfinement>,
}

/// What the output of a command becomes.
#[derive(Clone, Debug)]
pub enum OutputForm {
    /// Rows and reports, with these texts masked, up to so many bytes of output. Another server can take over.
    Frames { secrets: Vec<String>, most_bytes: u64 },
    /// Bytes as they are, for this server alone.
    Bytes,
}

/// A command to take over.
#[derive(Clone, Debug)]
pub struct CommandToAdopt {
    /// The name of its socket.
    pub socket: String,
    /// The number of the claim of this server.
    pub token: i64,
    /// The offset up to which its records are journaled.
    pub offset: u64,
    /// The workspace of its attempt.
    pub workspace: PathBuf,
}

/// A command, and what it prints.
pub struct StartedCommand {
    pub command: Box<dyn RunningCommand>,
    pub records: Box<dyn RecordSource>,
}

/// The privileges of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privileges {
    /// Those of the user that commands run as. Programs cannot gain more.
    Restricted,
    /// The same, and programs that it starts may gain more, as with `sudo`.
    MayGain,
    /// Those of the server: the command is a part of the server, such as one that prints a secret.
    Server,
}

/// A running command. Dropping it kills everything it started, unless this server leaves its commands to the next one.
#[async_trait]
pub trait RunningCommand: Send {
    /// The name by which another server can take it over.
    fn socket(&self) -> Option<&str> {
        None
    }

    /// How long it had run when this server got it. `None` if it had not begun.
    fn begun(&self) -> Option<Duration> {
        None
    }

    /// Starts it, unless that is done.
    async fn begin(&mut self);

    /// Sends SIGTERM to everything it started. May be repeated.
    async fn terminate(&mut self);

    /// Sends SIGKILL to everything it started.
    async fn kill(&mut self);

    /// Waits for the next event. After [`CommandEvent::Finished`] it returns that again. Events come while its
    /// [`RecordSource`] is read.
    ///
    /// Cancel safe.
    async fn next_event(&mut self) -> CommandEvent;
}

/// What a command prints, as records.
#[async_trait]
pub trait RecordSource: Send {
    /// Waits for the next records and adds them to `pending`. Returns false with the last ones: of the command itself,
    /// and, when called again after that, of the processes that it has left in the background.
    ///
    /// Cancel safe.
    async fn next(&mut self, pending: &mut Vec<TimedRecord>) -> bool;

    /// Whether everything that the command itself has printed lies before this offset, as far as is known now.
    fn has_ended_output(&self, _offset: u64) -> bool {
        false
    }

    /// The records before this offset are journaled.
    fn acknowledge(&mut self, _offset: u64) {}
}

/// An event of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandEvent {
    /// It could not be started, for this reason.
    NotStarted(String),
    /// It is not started yet, since the system lacks resources, as this says.
    Delayed(String),
    /// It has exited. Processes that it started may still be there.
    Exited(Exit),
    /// The whole service got a signal that asks it to end, and so did the command.
    ServiceSignalled(ServiceSignal),
    /// It has left these processes behind, and they got SIGTERM.
    LeftBehind(ProcessList),
    /// These processes could not be killed.
    Stuck(ProcessList),
    /// It and all its processes have ended, except for those that are stuck.
    Finished,
}
