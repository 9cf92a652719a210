//! What the engine knows of the commands of phases: start one, ask it to end, end it. How they are carried out is another
//! matter: as processes ([`super::process`]), or as steps of a simulation that has a clock of its own.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;

use async_trait::async_trait;
use tokio::io::AsyncRead;

/// Variables of a command's environment, by name.
pub type Variables = HashMap<String, OsString>;

/// Carries commands out.
pub trait Commands: Send + Sync {
    /// Starts a command in `folder`, with these variables beside the server's own.
    ///
    /// # Errors
    /// It cannot be started: no such program or folder, no memory, too many processes.
    fn start(
        &self,
        command: &str,
        folder: &Path,
        variables: Variables,
    ) -> std::io::Result<(Box<dyn RunningCommand>, Outputs)>;
}

/// A command that runs. Dropping it ends everything it started.
#[async_trait]
pub trait RunningCommand: Send {
    /// Asks it to end.
    async fn terminate(&mut self);

    /// Ends it and all it started.
    async fn kill(&mut self);

    /// Waits until it and all it started have ended; its exit code, `None` if it was ended from outside.
    ///
    /// Cancel safe.
    async fn ended(&mut self) -> Option<i32>;
}

/// The two outputs of a command.
pub struct Outputs {
    /// Standard output.
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    /// Standard error.
    pub stderr: Box<dyn AsyncRead + Send + Unpin>,
}
