//! The interface between the engine and what executes commands: processes ([`super::process`]), or a simulation in
//! tests.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};

use async_trait::async_trait;
use tokio::io::AsyncRead;

use super::confinement::{CommandConfinement, ConfinementRequest};
use super::report::{Exit, ProcessList, ServiceSignal};
use crate::confined_fs::Folder;
use crate::model::kinds::{Failure, Notice};
use crate::model::{LogStream, OutputMode};

/// Environment variables by name.
pub type Variables = HashMap<String, OsString>;

/// Starts commands.
#[async_trait]
pub trait CommandLauncher: Send + Sync {
    /// Starts a command.
    ///
    /// # Errors
    /// The program or folder is missing, or the system lacks memory or processes.
    fn start(&self, command: CommandSpec<'_>) -> std::io::Result<(Box<dyn RunningCommand>, Outputs)>;

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
    /// Whether processes that it leaves behind keep running, if it exits with code 0.
    pub background: bool,
    pub privileges: Privileges,
    pub confinement: Option<&'a CommandConfinement>,
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

/// A running command. Dropping it kills everything it started.
#[async_trait]
pub trait RunningCommand: Send {
    /// Sends SIGTERM to everything it started. May be repeated.
    async fn terminate(&mut self);

    /// Sends SIGKILL to everything it started.
    async fn kill(&mut self);

    /// Waits for the next event. After [`CommandEvent::Finished`] it returns that again.
    ///
    /// Cancel safe.
    async fn next_event(&mut self) -> CommandEvent;

    /// The outputs of the processes that it has left in the background. Its own outputs end.
    fn leftover_outputs(&mut self) -> Outputs;
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

/// The outputs of a command, each with the name that its lines get.
pub type Outputs = Vec<(LogStream, Output)>;

/// One output of a command. It ends after the last byte printed by a process of the command, whoever else has it open.
pub type Output = Box<dyn AsyncRead + Send + Unpin>;
