//! Starts commands as processes, each below a supervisor. Dropping a command kills everything it started.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::confinement::{CommandConfinement, Confinement, ConfinementRequest};
use super::environment::PassedVariables;
use super::launcher::{CommandEvent, CommandLauncher, CommandSpec, Outputs, Privileges, RunningCommand};
use super::orphans::{WORKSPACE_MARKER, WORKSPACE_VARIABLE, kill_attempt_orphans};
use super::pipe::{CommandStdio, LeftoverOutput, TERMINAL_TYPE, open_outputs};
use super::report::SupervisorReport;
use super::supervisor;
use crate::model::OutputMode;
use crate::model::kinds::{Failure, Notice};
use crate::pipelines::Catalog;

/// The longest report. A supervisor limits how many processes it names.
const MAX_REPORT_BYTES: usize = 64 * 1024;

/// A running command and the pipe to its supervisor.
struct SupervisedCommand {
    supervisor: Child,
    pipe: UnixStream,
    /// Bytes of an incomplete report.
    buffer: Vec<u8>,
    /// The workspace of its attempt, which identifies its processes if the supervisor is killed.
    workspace: Option<PathBuf>,
    /// Cancelled when no process is left that could print.
    ended: CancellationToken,
    /// The outputs of processes that it leaves in the background.
    left: Vec<LeftoverOutput>,
    is_gone: bool,
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
}

#[async_trait]
impl CommandLauncher for ProcessLauncher {
    /// Starts `sh -c command`.
    fn start(&self, command: CommandSpec<'_>) -> io::Result<(Box<dyn RunningCommand>, Outputs)> {
        let CommandSpec { run, folder, variables, output, background, privileges, confinement } = command;
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
        if output == OutputMode::Tty {
            start.arg("--terminal").env("TERM", TERMINAL_TYPE);
        }
        let ended = CancellationToken::new();
        let (outputs, left, CommandStdio { stdout, stderr }) = open_outputs(output, background, &ended)?;
        let (pipe, its_leash) = std::os::unix::net::UnixStream::pair()?;
        pipe.set_nonblocking(true)?;
        start
            .arg("--")
            .arg(run)
            .current_dir(folder.as_child_sees_it())
            .envs(variables)
            .stdin(Stdio::from(OwnedFd::from(its_leash)))
            .stdout(stdout)
            .stderr(stderr)
            // Ctrl-C in the server's terminal is for the server alone, which then ends its runs in order.
            .process_group(0);
        let supervisor = start.spawn().map_err(|error| describe_spawn_error(error, folder.path(), &self.program))?;
        let pipe = UnixStream::from_std(pipe)?;
        let process =
            SupervisedCommand { supervisor, pipe, buffer: Vec::new(), workspace, ended, left, is_gone: false };
        Ok((Box::new(process), outputs))
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

#[async_trait]
impl RunningCommand for SupervisedCommand {
    async fn terminate(&mut self) {
        // A write fails when the supervisor has ended, and then the command has, too.
        let _ = self.pipe.write_all(&[supervisor::TERMINATE]).await;
    }

    async fn kill(&mut self) {
        let _ = self.pipe.write_all(&[supervisor::KILL]).await;
    }

    async fn next_event(&mut self) -> CommandEvent {
        while !self.is_gone {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                match serde_json::from_slice(&line) {
                    Ok(report) => return self.on_report(report),
                    Err(error) => {
                        tracing::warn!(%error, "a supervisor sent a report that cannot be parsed; it is skipped")
                    }
                }
                continue;
            }
            match self.pipe.read_buf(&mut self.buffer).await {
                Ok(count) if count > 0 && self.buffer.len() < MAX_REPORT_BYTES => {}
                _ => self.on_supervisor_exit().await,
            }
        }
        CommandEvent::Finished
    }

    fn leftover_outputs(&mut self) -> Outputs {
        // Background processes end later than the command itself.
        self.ended = CancellationToken::new();
        std::mem::take(&mut self.left).into_iter().filter_map(|left| left.open(&self.ended).ok()).collect()
    }
}

impl SupervisedCommand {
    fn on_report(&mut self, report: SupervisorReport) -> CommandEvent {
        match report {
            SupervisorReport::NotStarted(reason) => CommandEvent::NotStarted(reason),
            SupervisorReport::Delayed(reason) => CommandEvent::Delayed(reason),
            SupervisorReport::Exited(exit) => {
                if !self.left.is_empty() && exit.code == 0 {
                    // The command's own output is read to its end. Its background processes go on printing.
                    self.ended.cancel();
                }
                CommandEvent::Exited(exit)
            }
            SupervisorReport::ServiceSignalled(signalled) => CommandEvent::ServiceSignalled(signalled),
            SupervisorReport::LeftBehind(left) => CommandEvent::LeftBehind(left),
            SupervisorReport::Stuck(stuck) => CommandEvent::Stuck(stuck),
        }
    }

    /// Handles the end of the supervisor.
    async fn on_supervisor_exit(&mut self) {
        use std::os::unix::process::ExitStatusExt;
        let status = self.supervisor.wait().await;
        // A killed supervisor leaves processes behind. The attempt's background processes are killed with them.
        let was_killed = status.map_or(true, |status| status.signal().is_some());
        if was_killed && let Some(workspace) = &self.workspace {
            kill_attempt_orphans(workspace).await;
        }
        self.ended.cancel();
        self.is_gone = true;
    }
}
