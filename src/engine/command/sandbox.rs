//! A sandbox for commands by bubblewrap (`bwrap`): process, IPC, host name and mount namespaces of its own, and no
//! network unless the pipeline allows it. The file system is read-only except for the attempt's folders, and the
//! server's data is hidden.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The configuration of all sandboxes.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// Folders that are empty inside: the server's.
    pub hidden: Vec<PathBuf>,
    /// This program, which commands may call, wherever it is installed.
    pub program: PathBuf,
}

/// What an attempt's commands may access.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SandboxAccess {
    /// Folders that they may write to.
    pub writable: Vec<PathBuf>,
    pub network: bool,
}

/// Folders that are empty and writable inside, and removed with the sandbox. /run has the sockets of services.
const EMPTY_FOLDERS: [&str; 3] = ["/tmp", "/var/tmp", "/run"];

/// The programs of NixOS, which are visible although they are in /run.
const PROGRAM_FOLDERS: [&str; 2] = ["/run/current-system", "/run/wrappers"];

/// The configuration of name resolution, which is visible with a network.
const RESOLVER_FOLDERS: [&str; 2] = ["/run/systemd/resolve", "/run/resolvconf"];

/// The namespaces of a sandbox.
const NAMESPACES: [&str; 5] =
    ["--die-with-parent", "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"];

/// No capabilities, and a read-only view of the system.
const SYSTEM_MOUNTS: [&str; 9] = ["--cap-drop", "ALL", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"];

impl SandboxOptions {
    /// The command line that starts a command in a sandbox.
    ///
    /// # Errors
    /// Why there is no sandbox, with the remedy.
    pub fn wrap(&self, access: &SandboxAccess) -> Result<Vec<OsString>, String> {
        let bwrap = find("bwrap", std::env::var_os("PATH").as_deref())
            .ok_or_else(|| "bubblewrap is not installed; install it (Debian: `apt install bubblewrap`)".to_owned())?;
        Ok(self.arguments(bwrap, access, Path::exists))
    }

    fn arguments(&self, bwrap: PathBuf, access: &SandboxAccess, exists: impl Fn(&Path) -> bool) -> Vec<OsString> {
        let network = (!access.network).then_some("--unshare-net");
        let fixed = NAMESPACES.into_iter().chain(network).chain(SYSTEM_MOUNTS).map(OsString::from);
        let folders = self.folders(access, exists).into_iter().flat_map(|(kind, path)| {
            let path = path.into_os_string();
            match kind {
                MountKind::Empty => vec!["--tmpfs".into(), path],
                MountKind::Readable => vec!["--ro-bind".into(), path.clone(), path],
                MountKind::Writable => vec!["--bind".into(), path.clone(), path],
            }
        });
        std::iter::once(bwrap.into()).chain(fixed).chain(folders).collect()
    }

    /// The mounts that differ from the system's, outer paths first: the data folder may be inside a project, and a
    /// project inside /tmp.
    fn folders(&self, access: &SandboxAccess, exists: impl Fn(&Path) -> bool) -> Vec<(MountKind, PathBuf)> {
        let private = EMPTY_FOLDERS.into_iter().map(PathBuf::from).filter(|folder| exists(folder));
        let names = RESOLVER_FOLDERS.into_iter().filter(|_| access.network);
        let shown = PROGRAM_FOLDERS.into_iter().chain(names).map(PathBuf::from).chain([self.program.clone()]);
        let mut all: Vec<(MountKind, PathBuf)> =
            private.chain(self.hidden.iter().cloned()).map(|folder| (MountKind::Empty, folder)).collect();
        all.extend(shown.filter(|path| exists(path)).map(|path| (MountKind::Readable, path)));
        all.extend(access.writable.iter().map(|folder| (MountKind::Writable, folder.clone())));
        all.sort_by_key(|(_, path)| path.components().count());
        all
    }
}

/// How a path is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MountKind {
    Empty,
    Readable,
    Writable,
}

/// Checks that a sandbox can be set up, by setting one up. Blocks for a moment. `as_user` makes it start as the user
/// that commands run as.
///
/// # Errors
/// Why it failed, with the remedy.
pub fn probe_sandbox(wrap: &[OsString], as_user: impl FnOnce(&mut Command)) -> Result<(), String> {
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

/// Finds a program in the absolute folders of a PATH.
fn find(name: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    let mut folders = std::env::split_paths(path?).filter(|folder| folder.is_absolute());
    folders.find_map(|folder| Some(folder.join(name)).filter(|program| program.is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(access: &SandboxAccess) -> String {
        let options = SandboxOptions {
            hidden: vec!["/data".into(), "/tmp/project/data".into()],
            program: "/data/bin/runtrail".into(),
        };
        let all = options.arguments("/usr/bin/bwrap".into(), access, |folder| folder != "/run/wrappers");
        all.join(OsStr::new(" ")).into_string().unwrap()
    }

    #[test]
    fn sandbox_hides_before_it_shows() {
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
    fn sandbox_has_a_network_on_request() {
        let line = line(&SandboxAccess { writable: Vec::new(), network: true });
        assert!(!line.contains("--unshare-net") && line.contains("--ro-bind /run/systemd/resolve"), "{line}");
    }

    #[test]
    fn sandbox_finds_programs_in_absolute_folders() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("bwrap"), "").unwrap();
        let path = std::env::join_paths([Path::new("."), Path::new("/nowhere"), folder.path()]).unwrap();
        assert_eq!(find("bwrap", Some(&path)), Some(folder.path().join("bwrap")));
        assert_eq!((find("bwrap", Some(OsStr::new("/nowhere"))), find("bwrap", None)), (None, None));
    }
}
