//! What runs leave on the disk beside the database.

use std::ffi::OsString;
use std::io;

use super::RetentionOptions;
use crate::model::RunId;
use crate::workspaces;

/// Removes a run's folders. What is not there is as good.
///
/// # Errors
/// The disk. It may be called again.
pub async fn remove(options: &RetentionOptions, run: &RunId) -> io::Result<()> {
    options.workspaces.forget(run).await?;
    let (scratch, name) = (options.scratch.clone(), OsString::from(run.as_str()));
    workspaces::blocking(move || workspaces::remove(&scratch, &name)).await
}
