//! A server's process: its resource usage and its end.

use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The kernel's tick in `/proc/{pid}/stat`, the same on every Linux.
const TICKS: f64 = 100.0;

/// Killed when dropped.
pub struct Process(pub Child);

impl Process {
    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(PathBuf::from(format!("/proc/{}", self.0.id())).join(name)).unwrap_or_default()
    }

    /// CPU seconds used so far, by all its threads.
    pub fn cpu(&self) -> f64 {
        let stat = self.file("stat");
        let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).map_or(0.0, |ticks| ticks.parse::<f64>().unwrap());
        (ticks(11) + ticks(12)) / TICKS
    }

    fn status(&self, name: &str) -> f64 {
        let status = self.file("status");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim_matches([':', ' ', '\t', 'k', 'B']).parse().unwrap_or(0.0)
    }

    /// Memory in use, in KiB.
    pub fn rss(&self) -> f64 {
        self.status("VmRSS")
    }

    /// The most memory that was ever in use, in KiB.
    pub fn peak_rss(&self) -> f64 {
        self.status("VmHWM")
    }

    /// SIGTERM; how it ended and after how long.
    pub fn terminate(&mut self) -> (ExitStatus, Duration) {
        let began = Instant::now();
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), Signal::SIGTERM).unwrap();
        (self.0.wait().unwrap(), began.elapsed())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
