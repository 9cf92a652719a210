//! What runs leave on the disk beside the database.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::RetentionOptions;
use crate::model::RunId;

/// Takes a run's folders away. What is not there is as good.
///
/// # Errors
/// The disk. It may be called again.
pub async fn remove(options: &RetentionOptions, run: &RunId) -> io::Result<()> {
    options.workspaces.forget(run).await?;
    let scratch = options.scratch.join(run.as_str());
    tokio::task::spawn_blocking(move || remove_tree(&scratch)).await.map_err(io::Error::other)?
}

/// Also what a command has made so that nobody may change it, as caches of packages often are.
fn remove_tree(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            open_up(folder.to_owned())?;
            gone(fs::remove_dir_all(folder))
        }
        removed => gone(removed),
    }
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Gives this program the right to change all folders in this one. Goes through no link.
fn open_up(folder: PathBuf) -> io::Result<()> {
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_nobody_may_change_goes_too() {
        let world = tempfile::tempdir().unwrap();
        let (folder, outside) = (world.path().join("run"), world.path().join("outside"));
        let deep = folder.join("cache/package");
        fs::create_dir_all(&deep).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(deep.join("file"), "").unwrap();
        fs::write(outside.join("file"), "").unwrap();
        std::os::unix::fs::symlink(&outside, deep.join("link")).unwrap();
        for locked in [&deep, &folder.join("cache"), &outside] {
            fs::set_permissions(locked, Permissions::from_mode(0o500)).unwrap();
        }
        remove_tree(&folder).unwrap();
        assert!(!folder.exists());
        assert!(outside.join("file").exists(), "a link is not followed");
        assert_eq!(fs::metadata(&outside).unwrap().permissions().mode() & 0o777, 0o500);
        remove_tree(&folder).unwrap();
    }
}
