//! A sandbox for commands, by bubblewrap (`bwrap`): process, IPC, host name and mount namespaces of its own, and no network unless the
//! pipeline says so. The file system is read-only but for what the attempt works in, and the server's data is not there.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a sandbox is made of, the same for all attempts.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// Folders that are empty in it: the server's.
    pub hidden: Vec<PathBuf>,
    /// This program, which commands may call, wherever it lies.
    pub program: PathBuf,
}

/// What an attempt needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SandboxAccess {
    /// The folders that it may write to.
    pub writable: Vec<PathBuf>,
    /// Whether it may use the network.
    pub network: bool,
}

/// Folders that are empty and writable in a sandbox, and gone with it. /run has the sockets of services.
const PRIVATE: [&str; 3] = ["/tmp", "/var/tmp", "/run"];

/// What is in /run all the same: the programs of NixOS.
const PROGRAMS: [&str; 2] = ["/run/current-system", "/run/wrappers"];

/// What finds names, with a network.
const NAMES: [&str; 2] = ["/run/systemd/resolve", "/run/resolvconf"];

/// What it has of its own.
const NAMESPACES: [&str; 5] =
    ["--die-with-parent", "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"];

/// No rights, and what everybody sees of the system.
const SYSTEM: [&str; 9] = ["--cap-drop", "ALL", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"];

impl SandboxOptions {
    /// What stands before a command that is to run in a sandbox, or why there is none.
    ///
    /// # Errors
    /// A sentence with the remedy.
    pub fn wrap(&self, needs: &SandboxAccess) -> Result<Vec<OsString>, String> {
        let bwrap = find("bwrap", std::env::var_os("PATH").as_deref())
            .ok_or_else(|| "bubblewrap is not installed; install it (Debian: `apt install bubblewrap`)".to_owned())?;
        Ok(self.arguments(bwrap, needs, Path::exists))
    }

    fn arguments(&self, bwrap: PathBuf, needs: &SandboxAccess, exists: impl Fn(&Path) -> bool) -> Vec<OsString> {
        let network = (!needs.network).then_some("--unshare-net");
        let fixed = NAMESPACES.into_iter().chain(network).chain(SYSTEM).map(OsString::from);
        let folders = self.folders(needs, exists).into_iter().flat_map(|(how, path)| {
            let path = path.into_os_string();
            match how {
                MountKind::Empty => vec!["--tmpfs".into(), path],
                MountKind::Readable => vec!["--ro-bind".into(), path.clone(), path],
                MountKind::Writable => vec!["--bind".into(), path.clone(), path],
            }
        });
        std::iter::once(bwrap.into()).chain(fixed).chain(folders).collect()
    }

    /// The paths that are not as they are outside, outer ones first: the data folder may be in a project, and a project in /tmp.
    fn folders(&self, needs: &SandboxAccess, exists: impl Fn(&Path) -> bool) -> Vec<(MountKind, PathBuf)> {
        let private = PRIVATE.into_iter().map(PathBuf::from).filter(|folder| exists(folder));
        let names = NAMES.into_iter().filter(|_| needs.network);
        let shown = PROGRAMS.into_iter().chain(names).map(PathBuf::from).chain([self.program.clone()]);
        let mut all: Vec<(MountKind, PathBuf)> =
            private.chain(self.hidden.iter().cloned()).map(|folder| (MountKind::Empty, folder)).collect();
        all.extend(shown.filter(|path| exists(path)).map(|path| (MountKind::Readable, path)));
        all.extend(needs.writable.iter().map(|folder| (MountKind::Writable, folder.clone())));
        all.sort_by_key(|(_, path)| path.components().count());
        all
    }
}

/// What a path is in a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MountKind {
    Empty,
    Readable,
    Writable,
}

/// Whether a sandbox can be made, by making one. Blocks for a moment. `as_user` makes it start as whoever runs commands.
///
/// # Errors
/// A sentence with the remedy.
pub fn try_out(wrap: &[OsString], as_user: impl FnOnce(&mut Command)) -> Result<(), String> {
    let Some((bwrap, args)) = wrap.split_first() else { return Ok(()) };
    let mut command = Command::new(bwrap);
    command.args(args).args(["--chdir", "/", "--", "/bin/sh", "-c", ":"]).current_dir("/").env_clear();
    as_user(&mut command);
    let done = command.output().map_err(|error| format!("bubblewrap cannot be started: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    let said = said.lines().last().unwrap_or("it failed").trim().to_owned();
    Err(format!(
        "bubblewrap does not work here ({said}); allow user namespaces to the user that commands run as (sysctl \
         kernel.unprivileged_userns_clone=1, or kernel.apparmor_restrict_unprivileged_userns=0)"
    ))
}

/// The program of this name in these folders.
fn find(name: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    let mut folders = std::env::split_paths(path?).filter(|folder| folder.is_absolute());
    folders.find_map(|folder| Some(folder.join(name)).filter(|program| program.is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(needs: &SandboxAccess) -> String {
        let options = SandboxOptions {
            hidden: vec!["/data".into(), "/tmp/project/data".into()],
            program: "/data/bin/runtrail".into(),
        };
        let all = options.arguments("/usr/bin/bwrap".into(), needs, |folder| folder != "/run/wrappers");
        all.join(OsStr::new(" ")).into_string().unwrap()
    }

    #[test]
    fn what_is_hidden_comes_before_what_is_shown() {
        let writable = ["/data/workspaces/a", "/tmp/project", "/tmp/project/data/workspaces/a"].map(PathBuf::from);
        let line = line(&SandboxAccess { writable: writable.into(), network: false });
        let place = |words: &str| line.find(words).unwrap_or_else(|| panic!("{words}: {line}"));
        let order = [
            "--unshare-pid",
            "--unshare-net",
            "--cap-drop ALL",
            "--ro-bind / /",
            "--dev /dev",
            "--proc /proc",
            "--tmpfs /tmp",
            "--tmpfs /data",
            "--ro-bind /run/current-system /run/current-system",
            "--bind /tmp/project /tmp/project",
            "--tmpfs /tmp/project/data",
            "--ro-bind /data/bin/runtrail /data/bin/runtrail",
            "--bind /data/workspaces/a /data/workspaces/a",
            "--bind /tmp/project/data/workspaces/a /tmp/project/data/workspaces/a",
        ]
        .map(place);
        assert!(order.is_sorted(), "{line}");
        assert!(!line.contains("/run/wrappers") && !line.contains("resolve"), "{line}");
    }

    #[test]
    fn the_network_is_there_on_request() {
        let line = line(&SandboxAccess { writable: Vec::new(), network: true });
        assert!(!line.contains("--unshare-net") && line.contains("--ro-bind /run/systemd/resolve"), "{line}");
    }

    #[test]
    fn a_program_is_looked_for_in_absolute_folders() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("bwrap"), "").unwrap();
        let path = std::env::join_paths([Path::new("."), Path::new("/nowhere"), folder.path()]).unwrap();
        assert_eq!(find("bwrap", Some(&path)), Some(folder.path().join("bwrap")));
        assert_eq!((find("bwrap", Some(OsStr::new("/nowhere"))), find("bwrap", None)), (None, None));
    }
}
