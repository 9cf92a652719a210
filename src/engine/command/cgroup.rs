//! A control group (cgroups(7), version 2) for each attempt. It limits memory and processes, and it finds processes to
//! kill that no longer descend from the attempt's commands.
//!
//! Below the server's own group is one group of ours, `runtrail-…`. It has a group for each attempt and one for the
//! server: the kernel distributes memory and processes only below a group without processes of its own.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::process_table::find_process;
use crate::model::limits::Limits;

/// How long the processes of a group may take to end after SIGKILL.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a group is checked for remaining processes.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The controllers that attempts need.
const CONTROLLERS: [&str; 2] = ["memory", "pids"];

/// The prefix of our groups' names.
const GROUP_PREFIX: &str = "runtrail-";

/// The group of the server itself.
const SERVER_GROUP: &str = "server";

/// The control groups of all attempts.
#[derive(Clone, Debug)]
pub struct AttemptCgroups {
    root: PathBuf,
    /// The group that [`Self::root`] is in, and so are those of earlier servers.
    own: PathBuf,
    /// How the names of our group and those of earlier servers begin.
    prefix: String,
    has_memory: bool,
    has_processes: bool,
}

/// Why there are no control groups.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// Version 2 is not mounted.
    #[error("this system has no control groups of version 2")]
    None,
    /// The server may not create groups.
    #[error("control groups cannot be made in {}: {source}", .folder.display())]
    Refused { folder: PathBuf, source: io::Error },
}

impl AttemptCgroups {
    /// Prepares our group below that of this process. `name` distinguishes servers that run at the same time. What an
    /// earlier server of this name has left stays until [`Self::sweep`].
    ///
    /// # Errors
    /// [`CgroupError`].
    #[expect(clippy::disallowed_methods, reason = "/proc is the system's own")]
    pub fn prepare(name: &str) -> Result<Self, CgroupError> {
        let read = |file| std::fs::read_to_string(file).unwrap_or_default();
        let own = own_group(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup")).ok_or(CgroupError::None)?;
        Self::prepare_in(&own, name, std::process::id())
    }

    fn prepare_in(own: &Path, name: &str, pid: u32) -> Result<Self, CgroupError> {
        let root = own.join(format!("{GROUP_PREFIX}{name}-{pid}"));
        let refused = |source| CgroupError::Refused { folder: own.to_owned(), source };
        make(&root).map_err(refused)?;
        let has = |controller: &str| words(&root.join("cgroup.controllers")).iter().any(|word| word == controller);
        let may_have = words(&own.join("cgroup.controllers")).iter().any(|word| CONTROLLERS.contains(&word.as_str()));
        if may_have && !CONTROLLERS.into_iter().all(has) {
            // This process may be the one that keeps controllers from being distributed, so it moves into a group of
            // its own.
            let server = root.join(SERVER_GROUP);
            make(&server).and_then(|()| write(&server.join("cgroup.procs"), &pid.to_string())).map_err(refused)?;
            CONTROLLERS.into_iter().for_each(|controller| distribute(own, controller));
            if !CONTROLLERS.into_iter().any(has) {
                let _ = write(&own.join("cgroup.procs"), &pid.to_string());
                let _ = remove(&server);
            }
        }
        CONTROLLERS.into_iter().for_each(|controller| distribute(&root, controller));
        let of_attempts =
            |controller: &str| words(&root.join("cgroup.subtree_control")).iter().any(|word| word == controller);
        let (own, prefix) = (own.to_owned(), format!("{GROUP_PREFIX}{name}-"));
        Ok(Self { has_memory: of_attempts("memory"), has_processes: of_attempts("pids"), root, own, prefix })
    }

    /// Why limits do not work here, if they do not.
    pub fn lacks_any(&self) -> Option<&'static str> {
        self.lacks(&Limits { memory: Some(0), processes: Some(0), ..Limits::default() })
    }

    /// Why these limits do not work here, if they do not.
    pub fn lacks(&self, limits: &Limits) -> Option<&'static str> {
        let lacks = limits.memory.is_some() && !self.has_memory || limits.processes.is_some() && !self.has_processes;
        lacks.then_some(
            "the server may not distribute memory and processes among control groups; start it by systemd with `Delegate=yes`",
        )
    }

    /// Creates the group of an attempt, or opens it, and sets those limits that work here. Blocks.
    ///
    /// # Errors
    /// The system's.
    pub fn make(&self, name: &Path, limits: &Limits) -> io::Result<PathBuf> {
        let group = self.group(name);
        make(&group)?;
        if let Some(memory) = limits.memory.filter(|_| self.has_memory) {
            write(&group.join("memory.max"), &memory.to_string())?;
            // Without swap the file does not exist.
            let _ = write(&group.join("memory.swap.max"), "0");
        }
        if let Some(processes) = limits.processes.filter(|_| self.has_processes) {
            write(&group.join("pids.max"), &processes.to_string())?;
        }
        Ok(group)
    }

    /// Kills all processes of an attempt and removes its group, if it exists. Blocks.
    pub fn end(&self, name: &Path) {
        let group = self.group(name);
        end(&group);
        if let Some(root) = group.parent().filter(|root| *root != self.root)
            && groups_in(root).iter().all(|left| left.ends_with(SERVER_GROUP))
        {
            // It was the last attempt of an earlier server. The supervisor may need a moment to end.
            let _ = remove(root);
        }
    }

    /// The group of an attempt: that of an earlier server if this one has taken the attempt over.
    fn group(&self, name: &Path) -> PathBuf {
        let earlier = self.earlier().map(|root| root.join(name)).find(|group| group.exists());
        earlier.unwrap_or_else(|| self.root.join(name))
    }

    /// The groups of earlier servers of our name.
    fn earlier(&self) -> impl Iterator<Item = PathBuf> {
        let is_earlier = |group: &PathBuf| {
            let name = group.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            *group != self.root && name.starts_with(&self.prefix)
        };
        groups_in(&self.own).into_iter().filter(is_earlier)
    }

    /// Kills what earlier servers of this name have left, except the attempts with these names, and removes empty
    /// groups of other servers that are gone. Blocks.
    pub fn sweep(&self, adopted: &HashSet<OsString>) {
        for root in self.earlier() {
            let is_adopted = |group: &PathBuf| group.file_name().is_some_and(|name| adopted.contains(name));
            let groups = groups_in(&root);
            if !groups.iter().any(is_adopted) {
                end(&root);
                continue;
            }
            // The supervisors of the attempts that go on may be in the group of their server.
            let is_left = |group: &&PathBuf| !is_adopted(group) && !group.ends_with(SERVER_GROUP);
            groups.iter().filter(is_left).for_each(|group| end(group));
        }
        for group in groups_in(&self.own).iter().filter(|group| **group != self.root) {
            let name = group.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let pid = name.strip_prefix(GROUP_PREFIX).and_then(|name| name.rsplit_once('-')?.1.parse().ok());
            if !name.starts_with(&self.prefix) && pid.is_some_and(|pid| find_process(pid).is_none()) {
                let _ = remove(group);
            }
        }
    }
}

fn end(group: &Path) {
    if !group.exists() {
        return;
    }
    let until = Instant::now() + KILL_TIMEOUT;
    // New processes are members of the group as well, so the loop reaches them.
    while remove(group).is_err() && Instant::now() < until {
        if write(&group.join("cgroup.kill"), "1").is_err() {
            kill_each(group);
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    if group.exists() {
        tracing::warn!(group = %group.display(), "cannot end what an attempt has left");
    }
}

/// Before Linux 5.14 there is no `cgroup.kill`.
fn kill_each(group: &Path) {
    let pids = words(&group.join("cgroup.procs")).into_iter().filter_map(|pid| pid.parse().ok());
    for pid in pids.filter_map(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// The groups inside a group.
#[expect(clippy::disallowed_methods, reason = "control groups are the system's own")]
fn groups_in(group: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(group).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

fn distribute(group: &Path, controller: &str) {
    // Refused if the controller does not exist, or if the group has processes.
    let _ = write(&group.join("cgroup.subtree_control"), &format!("+{controller}"));
}

#[expect(clippy::disallowed_methods, reason = "control groups are the system's own")]
fn make(group: &Path) -> io::Result<()> {
    match std::fs::create_dir(group) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Removes a group and the groups inside it, if they have no processes.
#[expect(clippy::disallowed_methods, reason = "control groups are the system's own")]
fn remove(group: &Path) -> io::Result<()> {
    groups_in(group).iter().try_for_each(|inner| remove(inner))?;
    match std::fs::remove_dir(group) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[expect(clippy::disallowed_methods, reason = "control groups are the system's own")]
fn write(file: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    std::fs::OpenOptions::new().write(true).open(file)?.write_all(text.as_bytes())
}

#[expect(clippy::disallowed_methods, reason = "control groups are the system's own")]
fn words(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// The folder of this process's group, from `/proc/self/mountinfo` (proc(5)) and `/proc/self/cgroup`.
fn own_group(mounts: &str, groups: &str) -> Option<PathBuf> {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        if kind.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = mount.split(' ').skip(3);
        let (top, at) = (fields.next()?, fields.next()?);
        // The mount may show only a part of the hierarchy.
        let below = Path::new(own).strip_prefix(top).ok()?;
        Some(Path::new(at).join(below))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroup_of_this_process_is_found() {
        let mounts =
            "24 30 0:22 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw\n31 1 0:9 / /proc rw - proc proc rw\n";
        let own = |groups: &str| own_group(mounts, groups);
        assert_eq!(
            own("4:memory:/x\n0::/system.slice/runtrail.service\n").unwrap(),
            Path::new("/sys/fs/cgroup/unified/system.slice/runtrail.service")
        );
        assert_eq!(own("0::/\n").unwrap(), Path::new("/sys/fs/cgroup/unified/"));
        assert_eq!(own("4:memory:/x\n"), None);
        assert_eq!(own_group("31 1 0:9 / /proc rw - proc proc rw\n", "0::/\n"), None);
        let part = "24 30 0:22 /a/b /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        assert_eq!(own_group(part, "0::/a/b/c\n").unwrap(), Path::new("/sys/fs/cgroup/c"));
        assert_eq!(own_group(part, "0::/d\n"), None);
    }

    /// Creates the files of a group as the kernel does.
    fn group(folder: &Path, controllers: &str, distributed: &str) {
        std::fs::create_dir_all(folder).unwrap();
        for (file, text) in [
            ("cgroup.controllers", controllers),
            ("cgroup.subtree_control", distributed),
            ("cgroup.procs", ""),
            ("memory.max", "max"),
            ("pids.max", "max"),
        ] {
            std::fs::write(folder.join(file), text).unwrap();
        }
    }

    #[test]
    fn cgroup_of_an_attempt_gets_the_supported_limits() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("own");
        group(&own, "cpu memory pids", "memory pids");
        group(&own.join("runtrail-x-1"), "memory pids", "memory pids");
        let groups = AttemptCgroups {
            root: own.join("runtrail-x-1"),
            prefix: "runtrail-x-".to_owned(),
            own: own.clone(),
            has_memory: true,
            has_processes: true,
        };
        let limits = Limits { memory: Some(1 << 20), processes: Some(7), ..Limits::default() };
        assert_eq!(groups.lacks(&limits), None);
        group(&own.join("runtrail-x-1/run-1"), "memory pids", "");
        let made = groups.make(Path::new("run-1"), &limits).unwrap();
        let text = |name: &str| std::fs::read_to_string(made.join(name)).unwrap();
        assert!(text("memory.max").starts_with("1048576") && text("pids.max").starts_with('7'));
        let without = AttemptCgroups { has_memory: false, ..groups };
        assert!(without.lacks(&limits).is_some_and(|reason| reason.contains("Delegate=yes")));
        assert_eq!(without.lacks(&Limits::default()), None);
    }

    #[test]
    fn cgroup_of_an_adopted_attempt_is_that_of_the_earlier_server() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().to_owned();
        for group in ["runtrail-x-1/run-1", "runtrail-x-1/run-2", "runtrail-x-2", "runtrail-y-1/run-1"] {
            std::fs::create_dir_all(own.join(group)).unwrap();
        }
        let groups = AttemptCgroups {
            root: own.join("runtrail-x-2"),
            prefix: "runtrail-x-".to_owned(),
            own: own.clone(),
            has_memory: false,
            has_processes: false,
        };
        groups.sweep(&HashSet::from(["run-1".into()]));
        assert!(own.join("runtrail-x-1/run-1").exists() && !own.join("runtrail-x-1/run-2").exists());
        let made = |name: &str| groups.make(Path::new(name), &Limits::default()).unwrap();
        assert_eq!((made("run-1"), made("run-3")), (own.join("runtrail-x-1/run-1"), own.join("runtrail-x-2/run-3")));
        groups.end(Path::new("run-1"));
        assert!(!own.join("runtrail-x-1").exists());
    }
}
