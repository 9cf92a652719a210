//! `runtrail stop` and `runtrail restart`: end the server of a data folder, or start it again.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::config::{NoDataDir, data_dir_or_default};
use crate::startup::Instance;

/// How often the server is looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How long no server may run between two of them. The lock is free for a moment.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Which server.
#[derive(clap::Args, Clone, Debug)]
pub struct ServiceArgs {
    /// The server's data folder [default: the platform's data folder].
    #[arg(long, env = "RUNTRAIL_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

/// Why the server was not stopped or restarted.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error(transparent)]
    NoDataDir(#[from] NoDataDir),
    #[error("no server uses the data folder {}; name another with --data-dir", .0.display())]
    NoServer(PathBuf),
    #[error("cannot find the server of the data folder {}: {source}", .folder.display())]
    Find { folder: PathBuf, source: std::io::Error },
    #[error("cannot signal the server of the data folder {}: {source}", .folder.display())]
    Signal { folder: PathBuf, source: std::io::Error },
    #[error("the server has stopped and not started again; its log says why")]
    NotStarted,
}

/// Stops the server and ends its commands, as they end when it is stopped by Ctrl-C. Blocks until it has ended.
///
/// # Errors
/// [`ServiceError`].
pub fn stop(args: &ServiceArgs) -> Result<String, ServiceError> {
    let folder = data_dir_or_default(args.data_dir.as_deref())?;
    let server = running(&folder)?;
    server.stop().map_err(|source| ServiceError::Signal { folder: folder.clone(), source })?;
    while find(&folder)?.is_some_and(|found| found.id == server.id) {
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok("stopped".to_owned())
}

/// Starts the server again, in the version that its file has now. Its commands go on. Blocks until it serves.
///
/// # Errors
/// [`ServiceError`].
pub fn restart(args: &ServiceArgs) -> Result<String, ServiceError> {
    let folder = data_dir_or_default(args.data_dir.as_deref())?;
    let server = running(&folder)?;
    server.restart().map_err(|source| ServiceError::Signal { folder: folder.clone(), source })?;
    let mut seen = Instant::now();
    loop {
        match find(&folder)? {
            Some(found) if found.id != server.id && found.is_ready => return Ok("restarted".to_owned()),
            Some(_) => seen = Instant::now(),
            None if seen.elapsed() > START_TIMEOUT => return Err(ServiceError::NotStarted),
            None => {}
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

fn running(folder: &Path) -> Result<Instance, ServiceError> {
    find(folder)?.ok_or_else(|| ServiceError::NoServer(folder.to_owned()))
}

fn find(folder: &Path) -> Result<Option<Instance>, ServiceError> {
    Instance::find(folder).map_err(|source| ServiceError::Find { folder: folder.to_owned(), source })
}
