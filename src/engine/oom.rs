//! MountKind many processes the kernel has killed for lack of memory in this process's control group.

use std::path::Path;

/// That number so far, or that of a command's own group; 0 where it cannot be told. The group's other processes count too, so a difference
/// is a likely cause and no proof.
#[expect(clippy::disallowed_methods, reason = "/proc is the system's own")]
pub fn oom_kill_count(group: Option<&Path>) -> u64 {
    if let Some(killed) = group.and_then(|group| killed_in(&group.join("memory.events"))) {
        return killed;
    }
    std::fs::read_to_string("/proc/self/cgroup")
        .ok()
        .and_then(|groups| count_of(&groups, Path::new("/sys/fs/cgroup")))
        .unwrap_or(0)
}

/// The same for a process of these control groups (`/proc/PID/cgroup`), which are mounted here.
fn count_of(groups: &str, mounted: &Path) -> Option<u64> {
    groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?.trim_start_matches('/'));
        let file = match controllers {
            "" => mounted.join(path).join("memory.events"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                mounted.join("memory").join(path).join("memory.oom_control")
            }
            _ => return None,
        };
        killed_in(&file)
    })
}

#[expect(clippy::disallowed_methods, reason = "control groups are the system's own")]
fn killed_in(events: &Path) -> Option<u64> {
    let events = std::fs::read_to_string(events).ok()?;
    events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_control_groups_are_read() {
        let mounted = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let file = mounted.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        write("system.slice/x.service/memory.events", "low 0\nhigh 0\nmax 3\noom 2\noom_kill 2\noom_group_kill 0\n");
        write("memory/jobs/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n");
        assert_eq!(count_of("0::/system.slice/x.service\n", mounted.path()), Some(2));
        assert_eq!(count_of("9:name=systemd:/\n4:memory:/jobs\n0::/\n", mounted.path()), Some(7));
        assert_eq!(count_of("0::/elsewhere\n", mounted.path()), None);
        assert_eq!(count_of("", mounted.path()), None);
    }
}
