//! Runs the programs that a phase needs: git, checks and linters. Each has a time limit and bounded output, is waited
//! for until it exits (not until its pipes close), and leaves no process behind.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::Path;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use parking_lot::{Mutex, MutexGuard};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::confined_fs::Folder;

/// How much of the end of a program's standard error is kept.
const STDERR_TAIL_BYTES: usize = 64 << 10;

/// How long a program's pipes are read after all its processes have ended.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// How long leftover processes may take to end after SIGTERM.
const TERM_TIME: Duration = Duration::from_secs(1);

/// How long they may take after SIGKILL. The remaining ones cannot be ended.
const KILL_TIME: Duration = Duration::from_secs(5);

/// How often leftover processes are looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The ids of the processes that this process has started and still uses.
static OWN_PROCESSES: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// How much of a program's output is kept.
#[derive(Clone, Copy, Debug)]
pub enum OutputBound {
    /// All of it. A program that prints more bytes is killed.
    AtMost(usize),
    /// The last bytes.
    Tail(usize),
}

#[derive(Clone, Copy, Debug)]
pub struct CommandLimits {
    pub time: Duration,
    /// Of its standard output.
    pub output: OutputBound,
}

/// A program that has exited.
#[derive(Debug)]
pub struct CommandExit {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    /// The end of its standard error, if that was a pipe.
    pub stderr: Vec<u8>,
    /// The processes that it left behind, which were ended: `name (pid)`.
    pub leftovers: Vec<String>,
}

/// Why a program did not exit by itself.
#[derive(Debug)]
pub enum CommandError {
    NotStarted(io::Error),
    /// Has the output so far.
    TimedOut(Vec<u8>),
    TooMuchOutput,
    WaitFailed(io::Error),
}

/// Marks a process as one that this process uses, so that it does not count as leftover.
#[derive(Debug)]
pub struct OwnProcess(i32);

impl OwnProcess {
    pub fn new(pid: u32) -> Self {
        let pid = i32::try_from(pid).unwrap_or(0);
        own_processes().insert(pid);
        Self(pid)
    }
}

impl Drop for OwnProcess {
    fn drop(&mut self) {
        own_processes().remove(&self.0);
    }
}

fn own_processes() -> MutexGuard<'static, BTreeSet<i32>> {
    OWN_PROCESSES.lock()
}

/// Makes this process the parent of all orphans below it, so that [`run`] finds them.
pub fn adopt_orphans() {
    // If it fails, the supervisor ends orphans at the end of the phase.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

/// A shell command in a folder of the checkout. `folder` must stay open until the command is started. Git in the
/// command finds neither a repository around the checkout nor one that the environment names.
pub fn shell(script: &str, folder: &Folder, checkout: &Path) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(script).current_dir(folder.as_child_sees_it());
    // Git does not search the ceiling itself.
    shell.env("GIT_CEILING_DIRECTORIES", checkout.parent().unwrap_or(checkout));
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"] {
        shell.env_remove(variable);
    }
    shell
}

/// The kept part of an output stream.
struct BoundedBuffer {
    bytes: VecDeque<u8>,
    bound: OutputBound,
}

impl BoundedBuffer {
    fn new(bound: OutputBound) -> Self {
        Self { bytes: VecDeque::new(), bound }
    }

    /// Reads to the end. Returns false if the stream exceeds the bound.
    async fn read(&mut self, stream: Option<impl AsyncRead + Unpin>) -> bool {
        let Some(mut stream) = stream else { return true };
        let mut buffer = vec![0; 64 << 10];
        // An error counts as the end of the pipe.
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            self.bytes.extend(&buffer[..read]);
            match self.bound {
                OutputBound::AtMost(most) if self.bytes.len() > most => return false,
                OutputBound::Tail(tail) if self.bytes.len() > tail => {
                    self.bytes.drain(..self.bytes.len() - tail);
                }
                _ => {}
            }
        }
        true
    }

    fn into_bytes(self) -> Vec<u8> {
        self.bytes.into()
    }
}

/// Runs a program until it exits, with this standard input. `ends_leftovers`: whether processes that it leaves behind
/// are ended too; then no other program of this kind may run at the same time.
///
/// # Errors
/// [`CommandError`]: the program did not exit by itself. It has been killed.
pub async fn run(
    mut command: Command,
    input: Option<&[u8]>,
    limits: CommandLimits,
    ends_leftovers: bool,
) -> Result<CommandExit, CommandError> {
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() }).stdout(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(CommandError::NotStarted)?;
    let pid = child.id().unwrap_or(0);
    let own_process = OwnProcess::new(pid);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (mut out, mut err) =
        (BoundedBuffer::new(limits.output), BoundedBuffer::new(OutputBound::Tail(STDERR_TAIL_BYTES)));
    let write_input = async {
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            // A program that closes its input reports why when it exits.
            let _ = stdin.write_all(input).await;
        }
    };
    let mut is_within = true;
    let mut leftovers = Vec::new();
    let ended = {
        let mut transfer = pin!(async { tokio::join!(write_input, out.read(stdout), err.read(stderr)).1 });
        let mut is_transferring = true;
        let exit = async {
            loop {
                tokio::select! {
                    status = child.wait() => return status.map(Some),
                    within = &mut transfer, if is_transferring => {
                        is_transferring = false;
                        is_within = within;
                        if !within { return Ok(None) }
                    }
                }
            }
        };
        let ended = tokio::time::timeout(limits.time, exit).await;
        if !matches!(ended, Ok(Ok(Some(_)))) {
            // The child was not reaped, so its id cannot have been reused.
            let _ = killpg(Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX)), Signal::SIGKILL);
            let _ = child.wait().await;
        }
        drop(own_process);
        if ends_leftovers {
            leftovers = end_leftovers().await;
        }
        // Its output is in the pipe. A process that could not be ended may hold the pipe open, hence the time limit.
        if is_transferring && let Ok(within) = tokio::time::timeout(DRAIN_TIME, transfer).await {
            is_within = within;
        }
        ended
    };
    let stdout = out.into_bytes();
    match ended {
        Err(_) => Err(CommandError::TimedOut(stdout)),
        Ok(Err(error)) => Err(CommandError::WaitFailed(error)),
        Ok(Ok(Some(status))) if is_within => Ok(CommandExit { status, stdout, stderr: err.into_bytes(), leftovers }),
        Ok(Ok(_)) => Err(CommandError::TooMuchOutput),
    }
}

/// Ends leftover processes; `name (pid)` of each.
async fn end_leftovers() -> Vec<String> {
    let found = find_leftovers();
    let named = found.iter().map(|(pid, name)| format!("{name} ({pid})")).collect();
    for (signal, limit) in [(Signal::SIGTERM, TERM_TIME), (Signal::SIGKILL, KILL_TIME)] {
        let until = Instant::now() + limit;
        let mut signalled = BTreeSet::new();
        loop {
            let left = find_leftovers();
            if left.is_empty() {
                return named;
            }
            for (pid, _) in left {
                // A process that forks before SIGKILL leaves children, which the next round finds.
                if signalled.insert(pid) {
                    let _ = kill(Pid::from_raw(pid), signal);
                }
            }
            if Instant::now() > until {
                break;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
    named
}

/// A process in `/proc`.
struct ProcessEntry {
    pid: i32,
    parent: i32,
    name: String,
    is_zombie: bool,
}

/// The descendants of this process, without the programs in use and their descendants. Reaps zombies.
fn find_leftovers() -> Vec<(i32, String)> {
    let processes = processes();
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let in_use = own_processes().clone();
    let (mut parents, mut next, mut found) = (vec![own], 0, Vec::new());
    while let Some(&parent) = parents.get(next) {
        next += 1;
        for process in processes.iter().filter(|process| process.parent == parent && !in_use.contains(&process.pid)) {
            parents.push(process.pid);
            if !process.is_zombie {
                found.push((process.pid, process.name.clone()));
            } else if parent == own {
                let _ = waitpid(Pid::from_raw(process.pid), Some(WaitPidFlag::WNOHANG));
            }
        }
    }
    found
}

/// All processes; empty without `/proc`.
#[expect(clippy::disallowed_methods, reason = "/proc is the system's own")]
fn processes() -> Vec<ProcessEntry> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let read = |entry: io::Result<std::fs::DirEntry>| {
        let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        let stat = String::from_utf8_lossy(&stat).into_owned();
        // `pid (name) state ppid …`. The name may contain anything, so the last parenthesis counts.
        let (start, rest) = stat.rsplit_once(')')?;
        let mut rest = rest.split_whitespace();
        let is_zombie = rest.next()? == "Z";
        let parent = rest.next()?.parse().ok()?;
        Some(ProcessEntry { pid, parent, name: start.split_once('(')?.1.to_owned(), is_zombie })
    };
    entries.filter_map(read).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = super::shell(script, &Folder::current().unwrap(), Path::new("/"));
        command.stderr(Stdio::piped()).current_dir("/");
        command
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn command_output_is_bounded() {
        let limits = CommandLimits { time: LONG, output: OutputBound::AtMost(1000) };
        let done = run(shell("printf %01000d 0"), None, limits, false).await.unwrap();
        assert_eq!(done.stdout.len(), 1000);
        assert!(matches!(run(shell("yes"), None, limits, false).await, Err(CommandError::TooMuchOutput)));
        let limits = CommandLimits { time: LONG, output: OutputBound::Tail(4) };
        let done = run(shell("seq 100000; echo err >&2; exit 3"), None, limits, false).await.unwrap();
        assert_eq!((done.stdout.as_slice(), done.stderr.as_slice()), (&b"000\n"[..], &b"err\n"[..]));
        assert_eq!(done.status.code(), Some(3));
    }

    #[tokio::test]
    async fn command_time_limit_keeps_the_output_so_far() {
        let limits = CommandLimits { time: Duration::from_millis(500), output: OutputBound::Tail(100) };
        let stopped = run(shell("echo begun; exec sleep 1000"), None, limits, false).await;
        assert!(matches!(stopped, Err(CommandError::TimedOut(said)) if said == b"begun\n"));
    }

    #[tokio::test]
    async fn command_may_ignore_its_input() {
        let limits = CommandLimits { time: LONG, output: OutputBound::Tail(100) };
        let done = run(shell("true"), Some(&vec![b'x'; 1 << 20]), limits, false).await.unwrap();
        assert!(done.status.success());
        let done = run(shell("wc -c"), Some(&vec![b'x'; 1 << 20]), limits, false).await.unwrap();
        assert_eq!(String::from_utf8(done.stdout).unwrap().trim(), "1048576");
    }
}
