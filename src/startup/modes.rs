//! File modes of the data folder: other users get no access. Journals contain logs, parameters and approvals of all
//! runs.

use std::fs::{Permissions, read_dir, set_permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::Mode;

/// Prefixes of the names that the server creates in its data folder.
const OWN_PREFIXES: [&str; 5] = ["runtrail.db", "server.lock", "scratch", "workspaces", "attempts"];

/// Whole names, for files whose name is too short to be a prefix.
const OWN_FILES: [&str; 2] = ["token", "token.new"];

/// Removes group and other permissions from new files. Returns the previous umask, which is restored for commands.
pub fn restrict_umask() -> u32 {
    rustix::process::umask(Mode::RWXG | Mode::RWXO).as_raw_mode()
}

/// Removes group and other permissions from the server's files in `folder`, which earlier versions created with them.
/// The folder itself is changed only if it contains no other files, since it may be shared. Files of another user stay
/// as they are.
///
/// # Errors
/// The folder cannot be read, or a mode cannot be changed.
pub fn remove_access_of_others(folder: &Path) -> io::Result<()> {
    let mut is_own = true;
    for entry in read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_ours = OWN_PREFIXES.iter().any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes()));
        if !is_ours && !OWN_FILES.iter().any(|own| name == *own) {
            is_own = false;
        } else if !entry.file_type()?.is_symlink() {
            restrict(&entry.path())?;
        }
    }
    if is_own { restrict(folder) } else { Ok(()) }
}

fn restrict(path: &Path) -> io::Result<()> {
    let facts = path.metadata()?;
    let (mode, user) = (facts.mode() & 0o7777, rustix::process::geteuid().as_raw());
    if mode & 0o077 == 0 || facts.uid() != user {
        return Ok(());
    }
    set_permissions(path, Permissions::from_mode(mode & !0o077))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o777
    }

    #[test]
    fn shared_data_folder_keeps_its_mode() {
        let world = tempfile::tempdir().unwrap();
        let folder = world.path().join("data");
        std::fs::create_dir_all(folder.join("scratch")).unwrap();
        std::fs::write(folder.join("runtrail.db-wal"), "").unwrap();
        std::fs::write(folder.join("other"), "").unwrap();
        for path in ["", "scratch", "runtrail.db-wal", "other"] {
            set_permissions(folder.join(path), Permissions::from_mode(0o755)).unwrap();
        }
        remove_access_of_others(&folder).unwrap();
        let modes = ["", "scratch", "runtrail.db-wal", "other"].map(|path| mode(&folder.join(path)));
        assert_eq!(modes, [0o755, 0o700, 0o700, 0o755]);
        std::fs::remove_file(folder.join("other")).unwrap();
        remove_access_of_others(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700);
    }
}
