//! What the engine knows of the commands of phases: start one, ask it to end, end it. MountKind they are carried out is another
//! matter: as processes ([`super::process`]), or as steps of a simulation that has a clock of its own.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};

use async_trait::async_trait;
use tokio::io::AsyncRead;

use super::confinement::{CommandConfinement, ConfinementRequest};
use super::report::{Exit, ProcessList, ServiceSignal};
use crate::confined_fs::Folder;
use crate::model::kinds::{Failure, Notice};
use crate::model::{LogStream, OutputMode};

/// Variables of a command's environment, by name.
pub type Variables = HashMap<String, OsString>;

/// Carries commands out.
#[async_trait]
pub trait CommandLauncher: Send + Sync {
    /// Starts a command.
    ///
    /// # Errors
    /// It cannot be started: no such program or folder, no memory, too many processes.
    fn start(&self, command: CommandSpec<'_>) -> std::io::Result<(Box<dyn RunningCommand>, Outputs)>;

    /// Makes ready for the commands of an attempt. Comes with what is to be said of what cannot be done.
    ///
    /// # Errors
    /// The attempt cannot be carried out as its pipeline wants it.
    async fn prepare(&self, _: ConfinementRequest) -> Result<(CommandConfinement, Vec<Notice>), Failure> {
        Ok((CommandConfinement::default(), Vec::new()))
    }

    /// Ends what the commands of an attempt have left, wherever it is now: the one whose folders have this name.
    async fn end_attempt(&self, _: &OsStr) {}
}

/// What to start.
#[derive(Debug)]
pub struct CommandSpec<'a> {
    /// Given to `sh -c`.
    pub run: &'a str,
    /// The folder it runs in.
    pub folder: &'a Folder,
    /// Its variables, beside those of the server that every command gets.
    pub variables: Variables,
    /// MountKind it prints.
    pub output: OutputMode,
    /// Whether what it leaves behind is kept, if it ends with exit code 0.
    pub background: bool,
    /// What it may do.
    pub rights: Privileges,
    /// What keeps it from everything else.
    pub confined: Option<&'a CommandConfinement>,
}

/// What a command may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privileges {
    /// What the user may that commands run as.
    Restricted,
    /// The same, and programs that it starts may have more rights than it has itself, as `sudo` gives them.
    MayGain,
    /// What the server may: it is a part of the server, such as what reads a secret.
    Server,
}

/// A command that runs. Dropping it ends everything it started.
#[async_trait]
pub trait RunningCommand: Send {
    /// Asks it, and all it started, to end. Repeating it is harmless.
    async fn terminate(&mut self);

    /// Ends it and all it started.
    async fn kill(&mut self);

    /// Waits for what happens next to it. After [`CommandEvent::Finished`] nothing does, and that is said again.
    ///
    /// Cancel safe.
    async fn next_event(&mut self) -> CommandEvent;

    /// The outputs of what it has left behind, once it has ended and that is kept; those it was started with end.
    fn leftover_outputs(&mut self) -> Outputs;
}

/// What happens to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandEvent {
    /// It could not be started, for this reason.
    NotStarted(String),
    /// It is not started yet: the system is short of something, as this says.
    Delayed(String),
    /// It has ended. Others that it started may still be there.
    Exited(Exit),
    /// The whole service was sent a signal that asks it to end, and so was the command.
    ServiceSignalled(ServiceSignal),
    /// It has left these processes behind, which were asked to end.
    LeftBehind(ProcessList),
    /// These processes could not be ended.
    Stuck(ProcessList),
    /// It and all it started have ended, but for those that are stuck.
    Finished,
}

/// The outputs of a command, each with the name that its lines get.
pub type Outputs = Vec<(LogStream, Output)>;

/// One output of a command. It ends when everything was read that was printed before all processes of the command had ended,
/// whoever else holds it open.
pub type Output = Box<dyn AsyncRead + Send + Unpin>;
