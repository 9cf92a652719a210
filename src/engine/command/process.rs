//! Starts commands as processes, each below a supervisor, or takes over those of an earlier server. Dropping a command
//! kills everything it started, unless the server leaves its commands to the next one.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::confinement::{CommandConfinement, Confinement, ConfinementRequest};
use super::connection::{Connecting, connect, hello};
use super::environment::PassedVariables;
use super::handover::sockets::SocketFolder;
use super::launcher::{CommandLauncher, CommandSpec, CommandToAdopt, OutputForm, Privileges, StartedCommand};
use super::orphans::{WORKSPACE_MARKER, WORKSPACE_VARIABLE, kill_orphans};
use super::pipe::TERMINAL_TYPE;
use crate::model::OutputMode;
use crate::model::kinds::{Failure, Notice};
use crate::pipelines::Catalog;

/// How commands outlive their server.
#[derive(Debug)]
pub struct Handover {
    /// How long supervisors wait for the next server. 0 if commands end with theirs.
    wait: Duration,
    sockets: SocketFolder,
    /// The most bytes of records that a supervisor keeps while no server reads.
    spool_bytes: u64,
    /// Cancelled when this server leaves its commands to the next one.
    signal: CancellationToken,
}

impl Handover {
    /// Supervisors wait for so long, on sockets in `folder`, which is created if it does not exist.
    ///
    /// # Errors
    /// The disk's.
    pub fn new(wait: Duration, folder: &Path, spool_bytes: u64, signal: CancellationToken) -> io::Result<Self> {
        Ok(Self { wait, sockets: SocketFolder::create(folder)?, spool_bytes, signal })
    }

    fn folder(&self) -> String {
        self.sockets.path().to_string_lossy().into_owned()
    }
}

/// Starts commands as processes.
pub struct ProcessLauncher {
    /// This program, which is also the supervisor (`runtrail supervise`).
    pub program: PathBuf,
    /// The limit of open files for commands, if it is not this program's own.
    pub open_files: Option<u64>,
    /// The umask for commands, if it is not this program's own.
    pub umask: Option<u32>,
    /// The variables of the server that commands get.
    pub passed: PassedVariables,
    /// The user that commands run as, their control groups and their sandbox.
    pub confinement: Arc<Confinement>,
    /// The pipelines, which name the variables with their secrets.
    pub catalog: Catalog,
    pub handover: Handover,
    /// The folder of workspaces: processes of earlier servers have theirs in it.
    pub workspaces: PathBuf,
}

#[async_trait]
impl CommandLauncher for ProcessLauncher {
    /// Starts the supervisor of `sh -c command`.
    async fn start(&self, command: CommandSpec<'_>) -> io::Result<StartedCommand> {
        let CommandSpec { run, folder, variables, output, form, token, background, privileges, confinement } = command;
        let workspace = variables.get(WORKSPACE_VARIABLE).map(PathBuf::from);
        let mut start = Command::new(&self.program);
        start.arg("supervise");
        // The server's own variables are cleared first. The variables of the phase are set last.
        let run_as = self.confinement.run_as().filter(|_| privileges != Privileges::Server);
        start.env_clear().envs(self.passed.variables(&self.catalog.secrets(), run_as.is_some()));
        if let Some(limit) = self.open_files {
            start.args(["--open-files", &limit.to_string()]);
        }
        if let Some(umask) = self.umask {
            start.args(["--umask", &umask.to_string()]);
        }
        if let Some(workspace) = &workspace {
            let mut mark = OsString::from(WORKSPACE_MARKER);
            mark.push(workspace);
            start.arg("--mark").arg(mark);
        }
        if background {
            start.arg("--keep");
        }
        let CommandConfinement { group, wrap } = confinement.cloned().unwrap_or_default();
        // A sandbox sets no_new_privs itself once it has been set up.
        if privileges == Privileges::Restricted && wrap.is_empty() {
            start.arg("--no-new-privileges");
        }
        if let Some(group) = group {
            start.arg("--group").arg(group);
        }
        if !wrap.is_empty() {
            for word in wrap.into_iter().chain(["--chdir".into(), folder.path().into()]) {
                start.arg("--wrap").arg(word);
            }
        }
        if let Some(run_as) = run_as {
            start.arg("--become").arg(run_as.ids().to_string()).envs(run_as.variables());
        }
        start.args(["--output", output_word(output)]);
        if output == OutputMode::Tty {
            start.env("TERM", TERMINAL_TYPE);
        }
        let mut hello = hello(token, 0, self.handover.wait, String::new());
        let mut socket = None;
        match form {
            OutputForm::Bytes => {
                start.arg("--raw");
            }
            OutputForm::Frames { secrets, most_bytes } => {
                hello.secrets = secrets;
                start.args(["--allowance", &most_bytes.to_string()]);
                if !self.handover.wait.is_zero() {
                    hello.folder = self.handover.folder();
                    let name = new_socket_name();
                    start.arg("--sockets").arg(self.handover.sockets.path()).args(["--socket", &name]);
                    start.args(["--spool", &self.handover.spool_bytes.to_string()]);
                    socket = Some(name);
                }
            }
        }
        let (stream, its_stream) = std::os::unix::net::UnixStream::pair()?;
        start
            .arg("--")
            .arg(run)
            .current_dir(folder.as_child_sees_it())
            .envs(variables)
            .stdin(Stdio::from(OwnedFd::from(its_stream)))
            // It may outlive this server, and whoever reads the server's log.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C in the server's terminal is for the server alone, which then ends its runs in order.
            .process_group(0);
        let child = start.spawn().map_err(|error| describe_spawn_error(error, folder.path(), &self.program))?;
        // The command keeps the other end of the socket, which must close with the supervisor.
        drop(start);
        self.connect(Some(child), stream, hello, socket, workspace).await
    }

    async fn adopt(&self, command: CommandToAdopt) -> io::Result<StartedCommand> {
        let CommandToAdopt { socket, token, offset, workspace } = command;
        let stream = self.handover.sockets.connect(&socket)?;
        let hello = hello(token, offset, self.handover.wait, self.handover.folder());
        self.connect(None, stream, hello, Some(socket), Some(workspace)).await
    }

    async fn sweep(&self, sockets: HashSet<String>, attempts: HashSet<OsString>) {
        let swept = self.handover.sockets.sweep(&sockets);
        if let Err(error) = swept {
            tracing::warn!(%error, "cannot remove the sockets of supervisors that are gone");
        }
        let (confinement, workspaces) = (Arc::clone(&self.confinement), self.workspaces.clone());
        // The task fails only if the runtime shuts down.
        let _ = tokio::task::spawn_blocking(move || {
            kill_orphans(&workspaces, &attempts);
            confinement.sweep(&attempts);
        })
        .await;
    }

    fn handover(&self) -> (Duration, CancellationToken) {
        (self.handover.wait, self.handover.signal.clone())
    }

    async fn prepare(&self, request: ConfinementRequest) -> Result<(CommandConfinement, Vec<Notice>), Failure> {
        let confinement = Arc::clone(&self.confinement);
        let prepared = tokio::task::spawn_blocking(move || confinement.prepare(&request)).await;
        prepared.unwrap_or_else(|error| {
            let message = format!("the sandbox cannot be made: {error}");
            Err(Failure { code: "sandbox_unavailable".to_owned(), message, retryable: true })
        })
    }

    async fn end_attempt(&self, attempt: &OsStr) {
        let (confinement, attempt) = (Arc::clone(&self.confinement), attempt.to_owned());
        // The task fails only if the runtime shuts down.
        let _ = tokio::task::spawn_blocking(move || confinement.end(&attempt)).await;
    }
}

/// Says what is missing: the system's error does not.
fn describe_spawn_error(error: io::Error, folder: &Path, program: &Path) -> io::Error {
    let kind = error.kind();
    if !matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied) {
        return error;
    }
    let shown = folder.display();
    let message = match std::fs::metadata(folder) {
        Err(lost) if lost.kind() == io::ErrorKind::NotFound => {
            format!("No such file or directory: its folder {shown} is missing; make it again, and then run it again")
        }
        Err(lost) => format!("its folder {shown} cannot be entered: {lost}"),
        Ok(found) if !found.is_dir() => format!("{shown} is not a folder any more; make it one, and then run it again"),
        Ok(_) if kind == io::ErrorKind::PermissionDenied => {
            format!("the server may not enter its folder {shown}, or start {}: {error}", program.display())
        }
        Ok(_) => format!("Runtrail's own program {} is missing; restart the server", program.display()),
    };
    io::Error::new(kind, message)
}

impl ProcessLauncher {
    async fn connect(
        &self,
        child: Option<tokio::process::Child>,
        stream: std::os::unix::net::UnixStream,
        hello: super::handover::protocol::Hello,
        socket: Option<String>,
        workspace: Option<PathBuf>,
    ) -> io::Result<StartedCommand> {
        // Without a socket nobody could take the command over.
        let hand_over = if socket.is_some() { self.handover.signal.clone() } else { CancellationToken::new() };
        let with = Connecting { child, stream, hello, socket, workspace, hand_over };
        let (command, records) = connect(with).await?;
        Ok(StartedCommand { command: Box::new(command), records: Box::new(records) })
    }
}

const fn output_word(output: OutputMode) -> &'static str {
    match output {
        OutputMode::Merged => "merged",
        OutputMode::Separate => "separate",
        OutputMode::Tty => "tty",
    }
}

/// A name that no other socket has had.
fn new_socket_name() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}
