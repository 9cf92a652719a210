//! The user that commands run as, if it is not the server's (`--run-as`).

use std::ffi::{CString, OsString};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{Gid, Uid, User, getgrouplist};

use super::child::UserIds;
use crate::confined_fs::Owner;
use crate::workspaces::private_folder;

/// A user of the machine.
#[derive(Clone, Debug)]
pub struct RunAs {
    name: String,
    ids: UserIds,
    home: PathBuf,
    shell: PathBuf,
}

/// Why commands cannot run as a user.
#[derive(Debug, thiserror::Error)]
pub enum RunAsError {
    /// The server is not root.
    #[error("--run-as needs a server that root has started: nobody else may start programs as another user")]
    NotRoot,
    #[error("--run-as: this machine has no user {0}; make one, for example by `useradd --system --create-home {0}`")]
    Unknown(String),
    #[error("--run-as: {0} is root, who may do anything; name another user")]
    Root(String),
    /// The lookup has failed.
    #[error("--run-as: cannot look up the user {name}: {source}")]
    LookUp { name: String, source: io::Error },
    /// The data folder cannot be opened for the user.
    #[error("--run-as: cannot open the data folder {} for {name}: {source}", .folder.display())]
    Folder { name: String, folder: PathBuf, source: io::Error },
    /// The user cannot enter the folders of runs.
    #[error(
        "--run-as: {name} cannot enter {}: let that user enter each folder on the way (`chmod o+x FOLDER`), or name another --data-dir",
        .folder.display()
    )]
    Unreachable { name: String, folder: PathBuf },
    /// The user cannot start this program, which the built-in pipelines do.
    #[error("--run-as: {name} cannot start {}: install it where that user may, such as in /usr/local/bin", .program.display())]
    Program { name: String, program: PathBuf },
}

impl RunAs {
    /// Looks up a user by name or number.
    ///
    /// # Errors
    /// [`RunAsError`].
    pub fn find(text: &str) -> Result<Self, RunAsError> {
        if !rustix::process::geteuid().is_root() {
            return Err(RunAsError::NotRoot);
        }
        let lookup_failed = |error: nix::Error| RunAsError::LookUp { name: text.to_owned(), source: error.into() };
        let user = match text.parse() {
            Ok(uid) => User::from_uid(Uid::from_raw(uid)),
            Err(_) => User::from_name(text),
        };
        let user = user.map_err(lookup_failed)?.ok_or_else(|| RunAsError::Unknown(text.to_owned()))?;
        if user.uid.is_root() {
            return Err(RunAsError::Root(text.to_owned()));
        }
        let name = CString::new(user.name.as_str()).map_err(|_| RunAsError::Unknown(text.to_owned()))?;
        let groups = getgrouplist(&name, user.gid).map_err(lookup_failed)?;
        let ids = UserIds {
            user: user.uid.as_raw(),
            group: user.gid.as_raw(),
            groups: groups.into_iter().map(Gid::as_raw).collect(),
        };
        Ok(Self { name: user.name, ids, home: user.dir, shell: user.shell })
    }

    /// The numbers that the supervisor needs for the change of user.
    pub(super) const fn ids(&self) -> &UserIds {
        &self.ids
    }

    /// The owner of the folders of runs.
    pub const fn owner(&self) -> Owner {
        Owner { user: self.ids.user, group: self.ids.group }
    }

    /// The variables that describe the user.
    pub(super) fn variables(&self) -> [(&'static str, OsString); 4] {
        let (home, shell) = (self.home.clone().into_os_string(), self.shell.clone().into_os_string());
        [("HOME", home), ("USER", self.name.clone().into()), ("LOGNAME", self.name.clone().into()), ("SHELL", shell)]
    }

    /// Lets the user pass through the data folder to the folders of runs, and creates these. The user cannot list the
    /// folders, and cannot read any file of the server's.
    ///
    /// # Errors
    /// [`RunAsError::Folder`], [`RunAsError::Unreachable`].
    pub fn grant_folder_access(&self, data: &Path, folders: &[PathBuf]) -> Result<(), RunAsError> {
        for folder in std::iter::once(&data.to_owned()).chain(folders) {
            let opened = private_folder(folder).map(drop).and_then(|()| self.allow_group_entry(folder));
            opened.map_err(|source| RunAsError::Folder { name: self.name.clone(), folder: folder.clone(), source })?;
        }
        for folder in folders {
            if !self.can_run("cd -- \"$1\"", folder) {
                return Err(RunAsError::Unreachable { name: self.name.clone(), folder: folder.clone() });
            }
        }
        Ok(())
    }

    /// Checks that the user can start this program.
    ///
    /// # Errors
    /// [`RunAsError::Program`].
    pub fn check_program(&self, program: &Path) -> Result<(), RunAsError> {
        if self.can_run("test -x \"$1\"", program) {
            return Ok(());
        }
        Err(RunAsError::Program { name: self.name.clone(), program: program.to_owned() })
    }

    /// Lets the user's group enter a folder that only its owner could enter.
    #[expect(clippy::disallowed_methods, reason = "the folder is Runtrail's own")]
    fn allow_group_entry(&self, folder: &Path) -> io::Result<()> {
        let mode = folder.metadata()?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 && mode & 0o077 != 0o010 {
            // Others can enter it already.
            return Ok(());
        }
        chown(folder, None, Some(self.ids.group))?;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode & 0o700 | 0o010))
    }

    /// Makes a program start as the user, with the user's primary group only.
    pub(super) fn apply_to(&self, program: &mut Command) {
        program.uid(self.ids.user).gid(self.ids.group);
    }

    /// Whether a shell can do this with a path as the user.
    fn can_run(&self, script: &str, path: &Path) -> bool {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script, "sh"]).arg(path).current_dir("/").env_clear();
        self.apply_to(&mut shell);
        shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        shell.status().is_ok_and(|status| status.success())
    }
}
