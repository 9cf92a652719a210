//! The user that commands run as, if it is another one than the server's (`--run-as`).

use std::ffi::{CString, OsString};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{Gid, Uid, User, getgrouplist};

use super::child::Ids;
use crate::confined_fs::Owner;

/// A user of the machine.
#[derive(Clone, Debug)]
pub struct RunAs {
    name: String,
    ids: Ids,
    home: PathBuf,
    shell: PathBuf,
}

/// Why commands cannot run as somebody.
#[derive(Debug, thiserror::Error)]
pub enum BadRunAs {
    /// The server is an ordinary user.
    #[error("--run-as needs a server that root has started: nobody else may start programs as another user")]
    NotRoot,
    /// There is no such user.
    #[error("--run-as: this machine has no user {0}; make one, for example by `useradd --system --create-home {0}`")]
    Unknown(String),
    /// It is root.
    #[error("--run-as: {0} is root, who may do anything; name another user")]
    Root(String),
    /// The system does not say.
    #[error("--run-as: cannot look up the user {name}: {source}")]
    LookUp {
        /// Who.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The folders of runs cannot be given to that user.
    #[error("--run-as: cannot open the data folder {} for {name}: {source}", .folder.display())]
    Folder {
        /// Who.
        name: String,
        /// Which folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The user cannot reach the folders of runs.
    #[error(
        "--run-as: {name} cannot enter {}: let that user enter each folder on the way (`chmod o+x FOLDER`), or name another --data-dir",
        .folder.display()
    )]
    Unreachable {
        /// Who.
        name: String,
        /// Which folder.
        folder: PathBuf,
    },
    /// The user cannot start this program, which the built-in pipelines do.
    #[error("--run-as: {name} cannot start {}: install it where that user may, such as in /usr/local/bin", .program.display())]
    Program {
        /// Who.
        name: String,
        /// This program.
        program: PathBuf,
    },
}

impl RunAs {
    /// The user of this name or number.
    ///
    /// # Errors
    /// [`BadRunAs`].
    pub fn find(text: &str) -> Result<Self, BadRunAs> {
        if !rustix::process::geteuid().is_root() {
            return Err(BadRunAs::NotRoot);
        }
        let look_up = |error: nix::Error| BadRunAs::LookUp { name: text.to_owned(), source: error.into() };
        let user = match text.parse() {
            Ok(uid) => User::from_uid(Uid::from_raw(uid)),
            Err(_) => User::from_name(text),
        };
        let user = user.map_err(look_up)?.ok_or_else(|| BadRunAs::Unknown(text.to_owned()))?;
        if user.uid.is_root() {
            return Err(BadRunAs::Root(text.to_owned()));
        }
        let name = CString::new(user.name.as_str()).map_err(|_| BadRunAs::Unknown(text.to_owned()))?;
        let groups = getgrouplist(&name, user.gid).map_err(look_up)?;
        let ids = Ids {
            user: user.uid.as_raw(),
            group: user.gid.as_raw(),
            groups: groups.into_iter().map(Gid::as_raw).collect(),
        };
        Ok(Self { name: user.name, ids, home: user.dir, shell: user.shell })
    }

    /// What the supervisor is to become for the command.
    pub(super) const fn ids(&self) -> &Ids {
        &self.ids
    }

    /// Who owns the folders of runs.
    pub const fn owner(&self) -> Owner {
        Owner { user: self.ids.user, group: self.ids.group }
    }

    /// What a command's environment says of its user.
    pub(super) fn variables(&self) -> [(&'static str, OsString); 4] {
        let (home, shell) = (self.home.clone().into_os_string(), self.shell.clone().into_os_string());
        [("HOME", home), ("USER", self.name.clone().into()), ("LOGNAME", self.name.clone().into()), ("SHELL", shell)]
    }

    /// Lets the user pass through the data folder to the folders of runs, which are made if they are not there. It can list none of them,
    /// and read no file of the server's.
    ///
    /// # Errors
    /// [`BadRunAs::Folder`], [`BadRunAs::Unreachable`].
    pub fn open_way(&self, data: &Path, folders: &[PathBuf]) -> Result<(), BadRunAs> {
        for folder in std::iter::once(&data.to_owned()).chain(folders) {
            let opened = crate::workspaces::private_folder(folder).map(drop).and_then(|()| self.let_through(folder));
            opened.map_err(|source| BadRunAs::Folder { name: self.name.clone(), folder: folder.clone(), source })?;
        }
        for folder in folders {
            if !self.can("cd -- \"$1\"", folder) {
                return Err(BadRunAs::Unreachable { name: self.name.clone(), folder: folder.clone() });
            }
        }
        Ok(())
    }

    /// Whether the user can start this program.
    ///
    /// # Errors
    /// [`BadRunAs::Program`].
    pub fn check_program(&self, program: &Path) -> Result<(), BadRunAs> {
        if self.can("test -x \"$1\"", program) {
            return Ok(());
        }
        Err(BadRunAs::Program { name: self.name.clone(), program: program.to_owned() })
    }

    /// The group of the user may enter a folder that was closed to all but its owner.
    #[expect(clippy::disallowed_methods, reason = "the folder is Runtrail's own")]
    fn let_through(&self, folder: &Path) -> io::Result<()> {
        let mode = folder.metadata()?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 && mode & 0o077 != 0o010 {
            // It is one that is shared.
            return Ok(());
        }
        chown(folder, None, Some(self.ids.group))?;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode & 0o700 | 0o010))
    }

    /// Has a program start as the user, in none but its own group.
    pub(super) fn start(&self, program: &mut Command) {
        program.uid(self.ids.user).gid(self.ids.group);
    }

    /// Whether a shell of the user's can do this with a path.
    fn can(&self, script: &str, path: &Path) -> bool {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script, "sh"]).arg(path).current_dir("/").env_clear();
        self.start(&mut shell);
        shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        shell.status().is_ok_and(|status| status.success())
    }
}
