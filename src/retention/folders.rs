//! The folders that a run leaves on the disk.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use crate::model::RunId;
use crate::workspaces::{self, Workspaces};

/// Removes the folders of a run, if there are any. Can be repeated after an error.
///
/// # Errors
/// Those of the disk.
pub async fn remove(workspaces: &Workspaces, scratch: &Path, run: &RunId) -> io::Result<()> {
    workspaces.forget(run).await?;
    let (scratch, name) = (scratch.to_owned(), OsString::from(run.as_str()));
    workspaces::blocking(move || workspaces::remove(&scratch, &name)).await
}
