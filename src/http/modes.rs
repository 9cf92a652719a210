//! Who else may read what the server writes: nobody. Journals hold logs, parameters and approvals of all runs.

use std::fs::{Permissions, read_dir, set_permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::Mode;

/// What the server itself puts into its data folder, by the beginning of the names.
const OWN: [&str; 5] = ["runtrail.db", "server.lock", "scratch", "workspaces", "attempts"];

/// The same, by the whole name: others may have a name that begins so.
const OWN_FILES: [&str; 2] = ["token", "token.new"];

/// Keeps new files from everybody else. Returns the umask that was set before, which commands get.
pub fn restrict_umask() -> u32 {
    rustix::process::umask(Mode::RWXG | Mode::RWXO).as_raw_mode()
}

/// Takes from others what an earlier version has let them read. The folder itself is only changed if nothing but the server's own
/// files is in it: it may be one that is shared.
///
/// # Errors
/// The disk. Files of another user are left as they are.
pub fn tighten(folder: &Path) -> io::Result<()> {
    let mut is_own = true;
    for entry in read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_ours = OWN.iter().any(|own| name.as_encoded_bytes().starts_with(own.as_bytes()));
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
    fn only_a_folder_of_the_servers_own_is_closed() {
        let world = tempfile::tempdir().unwrap();
        let folder = world.path().join("data");
        std::fs::create_dir_all(folder.join("scratch")).unwrap();
        std::fs::write(folder.join("runtrail.db-wal"), "").unwrap();
        std::fs::write(folder.join("other"), "").unwrap();
        for path in ["", "scratch", "runtrail.db-wal", "other"] {
            set_permissions(folder.join(path), Permissions::from_mode(0o755)).unwrap();
        }
        tighten(&folder).unwrap();
        let modes = ["", "scratch", "runtrail.db-wal", "other"].map(|path| mode(&folder.join(path)));
        assert_eq!(modes, [0o755, 0o700, 0o700, 0o755]);
        std::fs::remove_file(folder.join("other")).unwrap();
        tighten(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700);
    }
}
