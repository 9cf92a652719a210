//! What a command's process does between fork and exec, and whose it becomes.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};

/// A user, and all groups it is in, by numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserIds {
    /// The user.
    pub user: u32,
    /// Its own group.
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

/// The command leads a session, and so a process group, of its own. No terminal controls it: not even the one of whoever
/// started the server; with `terminal`, the one that is its standard output does. Signals are blocked as they were before.
#[allow(unsafe_code)]
pub(super) fn in_own_session(shell: &mut Command, terminal: bool, mask: SigSet) {
    // SAFETY: between fork and exec only async-signal-safe calls are made: setsid(2), ioctl(2) and pthread_sigmask(3).
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

/// The command gets SIGKILL when this process is gone, however that happens.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub(super) fn die_with_parent(shell: &mut Command) {
    let parent = nix::unistd::getpid();
    // SAFETY: between fork and exec only async-signal-safe calls are made: prctl(2) and getppid(2).
    unsafe {
        shell.pre_exec(move || {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            // The parent may have gone before the line above.
            if nix::unistd::getppid() == parent { Ok(()) } else { Err(Errno::ESRCH.into()) }
        });
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn die_with_parent(_: &mut Command) {}

/// The command joins this control group. As long as it is of the supervisor's user, who may do that.
#[allow(unsafe_code)]
pub(super) fn join_group(shell: &mut Command, group: &Path) -> std::io::Result<()> {
    let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CLOEXEC;
    let members = rustix::fs::open(group.join("cgroup.procs"), flags, rustix::fs::Mode::empty())?;
    // SAFETY: between fork and exec only an async-signal-safe call is made: write(2).
    unsafe {
        // 0 is the process that writes it.
        shell.pre_exec(move || Ok(rustix::io::write(&members, b"0").map(drop)?));
    }
    Ok(())
}

/// Gives the command's outputs to its user. What is no pipe or terminal of its own, as in tests, stays as it is.
pub(super) fn give_outputs(ids: &UserIds) {
    let (user, group) = (rustix::fs::Uid::from_raw(ids.user), rustix::fs::Gid::from_raw(ids.group));
    for output in [rustix::stdio::stdout(), rustix::stdio::stderr()] {
        let is_own = rustix::fs::fstat(output).is_ok_and(|facts| {
            let kind = rustix::fs::FileType::from_raw_mode(facts.st_mode);
            kind == rustix::fs::FileType::Fifo || rustix::termios::isatty(output)
        });
        if is_own {
            let _ = rustix::fs::fchown(output, Some(user), Some(group));
        }
    }
}

/// The command becomes this user, for good.
#[allow(unsafe_code)]
pub(super) fn become_user(shell: &mut Command, ids: &UserIds) {
    let (user, group) = (nix::unistd::Uid::from_raw(ids.user), nix::unistd::Gid::from_raw(ids.group));
    let groups: Vec<_> = ids.groups.iter().copied().map(nix::unistd::Gid::from_raw).collect();
    // SAFETY: between fork and exec only system calls are made, and nothing is allocated: setgroups(2), setgid(2) and setuid(2).
    unsafe {
        shell.pre_exec(move || {
            nix::unistd::setgroups(&groups)?;
            nix::unistd::setgid(group)?;
            Ok(nix::unistd::setuid(user)?)
        });
    }
}

/// Programs with the set-user-ID bit, such as sudo, have the command's own rights only (prctl(2), `PR_SET_NO_NEW_PRIVS`).
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub(super) fn gain_no_privileges(shell: &mut Command) {
    // SAFETY: between fork and exec only an async-signal-safe call is made: prctl(2).
    unsafe {
        shell.pre_exec(|| Ok(nix::sys::prctl::set_no_new_privs()?));
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn gain_no_privileges(_: &mut Command) {}
