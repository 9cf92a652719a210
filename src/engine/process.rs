//! Commands as processes, each on a leash. Dropping one ends everything it started.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use async_trait::async_trait;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};

use super::commands::{Commands, Outputs, RunningCommand, Variables};
use super::supervisor;
use super::sweep::{VARIABLE, sweep_attempt};
use crate::pipelines::Catalog;

/// What the server knows and a command must not.
pub(super) const SECRETS: [&str; 3] = ["RUNTRAIL_TOKEN", "RUNTRAIL_DATABASE_URL", "DATABASE_URL"];

/// A running command, on its leash.
struct Process {
    supervisor: Child,
    leash: ChildStdin,
    /// The workspace of its attempt, by which its children are found if the supervisor is killed.
    workspace: Option<PathBuf>,
}

/// Carries commands out as processes.
pub struct Processes {
    /// This program: its `supervise` command holds the leash.
    pub program: PathBuf,
    /// The limit of open files that commands get, if it is not this program's own.
    pub open_files: Option<u64>,
    /// The pipelines there are, which name the variables that hold their secrets.
    pub catalog: Catalog,
}

impl Commands for Processes {
    /// Starts `sh -c command`.
    fn start(
        &self,
        command: &str,
        folder: &Path,
        variables: Variables,
    ) -> std::io::Result<(Box<dyn RunningCommand>, Outputs)> {
        let workspace = variables.get(VARIABLE).map(PathBuf::from);
        let mut start = Command::new(&self.program);
        start.arg("supervise");
        if let Some(limit) = self.open_files {
            start.args(["--open-files", &limit.to_string()]);
        }
        // The server's own, not what a phase sets.
        for secret in SECRETS {
            start.env_remove(secret);
        }
        for secret in self.catalog.secrets() {
            start.env_remove(secret);
        }
        start
            .arg(command)
            .current_dir(folder)
            .envs(variables)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C at the server's terminal is for the server, which then ends its runs in order.
            .process_group(0);
        let mut supervisor = start.spawn()?;
        let parts = (supervisor.stdin.take(), supervisor.stdout.take(), supervisor.stderr.take());
        let (Some(leash), Some(stdout), Some(stderr)) = parts else {
            return Err(std::io::Error::other("the command's pipes are missing"));
        };
        let outputs = Outputs { stdout: Box::new(stdout), stderr: Box::new(stderr) };
        Ok((Box::new(Process { supervisor, leash, workspace }), outputs))
    }
}

#[async_trait]
impl RunningCommand for Process {
    async fn terminate(&mut self) {
        // If the supervisor is gone, so is the command.
        let _ = self.leash.write_all(&[supervisor::TERMINATE]).await;
    }

    async fn kill(&mut self) {
        let _ = self.leash.write_all(&[supervisor::KILL]).await;
    }

    async fn ended(&mut self) -> Option<i32> {
        // Child::wait would close the leash, which means "kill"; it is not the child's stdin any more, so it stays open.
        let code = self.supervisor.wait().await.ok().and_then(supervisor::exit_code);
        // Killed itself, it has left all but the shell behind. Only one command of an attempt runs at a time.
        if code.is_none()
            && let Some(workspace) = &self.workspace
        {
            sweep_attempt(workspace).await;
        }
        code
    }
}
