//! A phase's command as the engine holds it: start it, ask it to end, end it. Dropping it ends everything it started.

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::{EngineOptions, supervisor};

/// What the server knows and a command must not.
const SECRETS: [&str; 3] = ["RUNTRAIL_TOKEN", "RUNTRAIL_DATABASE_URL", "DATABASE_URL"];

/// A running command, on its leash.
pub struct Process {
    supervisor: Child,
    leash: ChildStdin,
}

/// The two outputs of a command.
pub struct Outputs {
    /// Standard output.
    pub stdout: ChildStdout,
    /// Standard error.
    pub stderr: ChildStderr,
}

impl Process {
    /// Starts `sh -c command` in `folder`, with these variables beside the server's own.
    ///
    /// # Errors
    /// The supervisor cannot be started: no such program or folder, no memory, too many processes.
    pub fn start(
        options: &EngineOptions,
        command: &str,
        folder: &Path,
        variables: impl IntoIterator<Item = (String, OsString)>,
    ) -> std::io::Result<(Self, Outputs)> {
        let mut start = Command::new(&options.program);
        start.arg("supervise");
        if let Some(limit) = options.open_files {
            start.args(["--open-files", &limit.to_string()]);
        }
        // The server's own, not what a phase sets.
        for secret in SECRETS {
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
        Ok((Self { supervisor, leash }, Outputs { stdout, stderr }))
    }

    /// Asks the command's process group to end.
    pub async fn terminate(&mut self) {
        // If the supervisor is gone, so is the command.
        let _ = self.leash.write_all(&[supervisor::TERMINATE]).await;
    }

    /// Ends the command and all it started.
    pub async fn kill(&mut self) {
        let _ = self.leash.write_all(&[supervisor::KILL]).await;
    }

    /// Waits until the command and all it started have ended; its exit code.
    ///
    /// Cancel safe.
    pub async fn ended(&mut self) -> Option<i32> {
        // Child::wait would close the leash, which means "kill"; it is not the child's stdin any more, so it stays open.
        self.supervisor.wait().await.ok().and_then(supervisor::exit_code)
    }
}
