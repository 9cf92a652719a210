//! Counts how many processes of a control group the kernel has killed for lack of memory.

use std::path::Path;

/// The count of this group, or of this process's own; 0 if it is unknown. Other processes of the group count as well,
/// so a difference is a likely cause and no proof.
#[expect(clippy::disallowed_methods, reason = "/proc is the system's own")]
pub fn oom_kill_count(group: Option<&Path>) -> u64 {
    if let Some(killed) = group.and_then(|group| oom_kills_in(&group.join("memory.events"))) {
        return killed;
    }
    std::fs::read_to_string("/proc/self/cgroup")
        .ok()
        .and_then(|groups| oom_kills_of(&groups, Path::new("/sys/fs/cgroup")))
        .unwrap_or(0)
}

/// The same for a process in these control groups (`/proc/PID/cgroup`), mounted here.
fn oom_kills_of(groups: &str, mounted: &Path) -> Option<u64> {
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
        oom_kills_in(&file)
    })
}

#[expect(clippy::disallowed_methods, reason = "control groups are the system's own")]
fn oom_kills_in(events: &Path) -> Option<u64> {
    let events = std::fs::read_to_string(events).ok()?;
    events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oom_kill_count_reads_both_cgroup_versions() {
        let mounted = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let file = mounted.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        write("system.slice/x.service/memory.events", "low 0\nhigh 0\nmax 3\noom 2\noom_kill 2\noom_group_kill 0\n");
        write("memory/jobs/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n");
        assert_eq!(oom_kills_of("0::/system.slice/x.service\n", mounted.path()), Some(2));
        assert_eq!(oom_kills_of("9:name=systemd:/\n4:memory:/jobs\n0::/\n", mounted.path()), Some(7));
        assert_eq!(oom_kills_of("0::/elsewhere\n", mounted.path()), None);
        assert_eq!(oom_kills_of("", mounted.path()), None);
    }
}
