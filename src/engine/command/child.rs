//! Sets up a command's process between fork and exec.

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};

/// A user and its groups, by numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserIds {
    pub user: u32,
    /// Its primary group.
    pub group: u32,
    /// All its groups.
    pub groups: Vec<u32>,
}

impl std::fmt::Display for UserIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.user, self.group)?;
        self.groups.iter().try_for_each(|group| write!(f, ":{group}"))
    }
}

impl std::str::FromStr for UserIds {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text.split(':').map(|number| number.parse().ok()).collect::<Option<Vec<u32>>>();
        match numbers.as_deref() {
            Some([user, group, groups @ ..]) => Ok(Self { user: *user, group: *group, groups: groups.to_vec() }),
            _ => Err("must be numbers: USER:GROUP:GROUPS"),
        }
    }
}

/// Makes the command the leader of a new session and process group. It has no controlling terminal, not even that of
/// whoever started the server; with `terminal`, its standard output becomes one. Its signal mask is restored.
#[allow(unsafe_code)]
pub(super) fn start_session(shell: &mut Command, terminal: bool, mask: SigSet) {
    // SAFETY: only async-signal-safe functions are called between fork and exec: setsid(2), ioctl(2) and
    // pthread_sigmask(3).
    unsafe {
        shell.pre_exec(move || {
            rustix::process::setsid()?;
            if terminal {
                rustix::process::ioctl_tiocsctty(rustix::stdio::stdout())?;
            }
            Ok(mask.thread_set_mask()?)
        });
    }
}

/// The command gets SIGKILL when this process ends, however it ends.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub(super) fn die_with_parent(shell: &mut Command) {
    let parent = nix::unistd::getpid();
    // SAFETY: only async-signal-safe functions are called between fork and exec: prctl(2) and getppid(2).
    unsafe {
        shell.pre_exec(move || {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            // The parent may have ended before the line above.
            if nix::unistd::getppid() == parent { Ok(()) } else { Err(Errno::ESRCH.into()) }
        });
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn die_with_parent(_: &mut Command) {}

/// Puts the command into this control group. Done before the change of user, since the supervisor's user may do it.
#[allow(unsafe_code)]
pub(super) fn join_cgroup(shell: &mut Command, group: &Path) -> std::io::Result<()> {
    let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CLOEXEC;
    let members = rustix::fs::open(group.join("cgroup.procs"), flags, rustix::fs::Mode::empty())?;
    // SAFETY: only an async-signal-safe function is called between fork and exec: write(2).
    unsafe {
        // 0 stands for the writing process.
        shell.pre_exec(move || Ok(rustix::io::write(&members, b"0").map(drop)?));
    }
    Ok(())
}

/// Gives the command's outputs to its user.
pub(super) fn give_outputs(ids: &UserIds, outputs: [&OwnedFd; 2]) {
    let (user, group) = (rustix::fs::Uid::from_raw(ids.user), rustix::fs::Gid::from_raw(ids.group));
    for output in outputs {
        let _ = rustix::fs::fchown(output, Some(user), Some(group));
    }
}

/// Makes the command run as this user for good.
#[allow(unsafe_code)]
pub(super) fn become_user(shell: &mut Command, ids: &UserIds) {
    let (user, group) = (nix::unistd::Uid::from_raw(ids.user), nix::unistd::Gid::from_raw(ids.group));
    let groups: Vec<_> = ids.groups.iter().copied().map(nix::unistd::Gid::from_raw).collect();
    // SAFETY: only system calls are made between fork and exec, without allocation: setgroups(2), setgid(2) and
    // setuid(2).
    unsafe {
        shell.pre_exec(move || {
            nix::unistd::setgroups(&groups)?;
            nix::unistd::setgid(group)?;
            Ok(nix::unistd::setuid(user)?)
        });
    }
}

/// Keeps set-user-ID programs such as sudo from raising privileges (prctl(2), `PR_SET_NO_NEW_PRIVS`).
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub(super) fn set_no_new_privileges(shell: &mut Command) {
    // SAFETY: only an async-signal-safe function is called between fork and exec: prctl(2).
    unsafe {
        shell.pre_exec(|| Ok(nix::sys::prctl::set_no_new_privs()?));
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn set_no_new_privileges(_: &mut Command) {}
