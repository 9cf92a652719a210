//! Runs the programs that a phase needs: git, checks and linters. Each has a time limit and a bound on its output, is waited for
//! until it exits (not until its pipes close), and leaves no process behind.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::Path;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::confined_fs::Folder;

/// How much of a program's standard error is kept, in bytes: its end.
const STDERR_TAIL: usize = 64 << 10;

/// How long the pipes of a program are read after it and all its processes have ended.
const DRAIN: Duration = Duration::from_secs(5);

/// How long processes that a program has left behind may take to end after SIGTERM.
const TERM: Duration = Duration::from_secs(1);

/// How long they may take after SIGKILL. What is left then cannot be ended.
const KILL: Duration = Duration::from_secs(5);

/// How often it is looked whether they have ended.
const LOOK: Duration = Duration::from_millis(10);

/// The programs that this process has started itself and still uses, by process id.
static RUNNING: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// How much of the standard output is kept.
#[derive(Clone, Copy, Debug)]
pub enum Output {
    /// All of it. A program that prints more bytes is ended.
    AtMost(usize),
    /// The last bytes, however many it prints.
    Tail(usize),
}

/// What a program may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long it may run.
    pub time: Duration,
    /// How much it may print.
    pub output: Output,
}

/// A program that has exited.
#[derive(Debug)]
pub struct Exited {
    /// How.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// The end of what it printed to standard error, if that was a pipe.
    pub stderr: Vec<u8>,
    /// The processes that it left behind and that were ended: name and process id, for people.
    pub left: Vec<String>,
}

/// Why a program has not exited by itself.
#[derive(Debug)]
pub enum Stopped {
    /// It could not be started.
    NotStarted(io::Error),
    /// It ran into its time limit; the output so far.
    TooLong(Vec<u8>),
    /// It printed more than it may.
    TooMuch,
    /// It could not be waited for.
    Lost(io::Error),
}

/// A program that is not one of those left behind, as long as this lives.
#[derive(Debug)]
pub struct Running(i32);

impl Running {
    /// The program of this process id.
    pub fn new(pid: u32) -> Self {
        let pid = i32::try_from(pid).unwrap_or(0);
        running().insert(pid);
        Self(pid)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        running().remove(&self.0);
    }
}

fn running() -> std::sync::MutexGuard<'static, BTreeSet<i32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes this process the parent of all processes that lose theirs below it, so that [`run`] finds them.
pub fn adopt_orphans() {
    // Without it a process that left its group is ended with the phase, by its supervisor.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

/// A command of the operator's for `sh -c` in a folder of the checkout, which must be held until it is started. Git finds no
/// repository around the checkout, and none that the environment names.
pub fn shell(script: &str, folder: &Folder, checkout: &Path) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(script).current_dir(folder.as_child_sees_it());
    // A ceiling is itself not looked at.
    shell.env("GIT_CEILING_DIRECTORIES", checkout.parent().unwrap_or(checkout));
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"] {
        shell.env_remove(variable);
    }
    shell
}

/// What is kept of a stream.
struct Kept {
    bytes: VecDeque<u8>,
    output: Output,
}

impl Kept {
    fn new(output: Output) -> Self {
        Self { bytes: VecDeque::new(), output }
    }

    /// Reads to the end. False if there is more than may be.
    async fn read(&mut self, stream: Option<impl AsyncRead + Unpin>) -> bool {
        let Some(mut stream) = stream else { return true };
        let mut buffer = vec![0; 64 << 10];
        // A pipe that cannot be read any more is at its end.
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            self.bytes.extend(&buffer[..read]);
            match self.output {
                Output::AtMost(most) if self.bytes.len() > most => return false,
                Output::Tail(tail) if self.bytes.len() > tail => {
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

/// Runs a program until it exits, with this on its standard input. `ends_leftovers`: whether processes that it leaves behind are
/// ended too; no other program of this kind may run meanwhile.
///
/// # Errors
/// [`Stopped`]: it did not exit by itself. Nothing of it is left.
pub async fn run(
    mut command: Command,
    input: Option<&[u8]>,
    limits: Limits,
    ends_leftovers: bool,
) -> Result<Exited, Stopped> {
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() }).stdout(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(Stopped::NotStarted)?;
    let pid = child.id().unwrap_or(0);
    let known = Running::new(pid);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (mut out, mut err) = (Kept::new(limits.output), Kept::new(Output::Tail(STDERR_TAIL)));
    let feed = async {
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            // A program that does not listen says why when it exits.
            let _ = stdin.write_all(input).await;
        }
    };
    let mut is_within = true;
    let mut left = Vec::new();
    let ended = {
        let mut talk = pin!(async { tokio::join!(feed, out.read(stdout), err.read(stderr)).1 });
        let mut is_talking = true;
        let exit = async {
            loop {
                tokio::select! {
                    status = child.wait() => return status.map(Some),
                    within = &mut talk, if is_talking => {
                        is_talking = false;
                        is_within = within;
                        if !within { return Ok(None) }
                    }
                }
            }
        };
        let ended = tokio::time::timeout(limits.time, exit).await;
        if !matches!(ended, Ok(Ok(Some(_)))) {
            // It has not been waited for, so its process id is still its own.
            let _ = killpg(Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX)), Signal::SIGKILL);
            let _ = child.wait().await;
        }
        drop(known);
        if ends_leftovers {
            left = end_leftovers().await;
        }
        // What it has printed is in the pipe. A process that could not be ended may hold that open.
        if is_talking && let Ok(within) = tokio::time::timeout(DRAIN, talk).await {
            is_within = within;
        }
        ended
    };
    let stdout = out.into_bytes();
    match ended {
        Err(_) => Err(Stopped::TooLong(stdout)),
        Ok(Err(error)) => Err(Stopped::Lost(error)),
        Ok(Ok(Some(status))) if is_within => Ok(Exited { status, stdout, stderr: err.into_bytes(), left }),
        Ok(Ok(_)) => Err(Stopped::TooMuch),
    }
}

/// Ends what programs have left behind, and says what that was.
async fn end_leftovers() -> Vec<String> {
    let found = leftovers();
    let named = found.iter().map(|(pid, name)| format!("{name} ({pid})")).collect();
    for (signal, limit) in [(Signal::SIGTERM, TERM), (Signal::SIGKILL, KILL)] {
        let until = Instant::now() + limit;
        let mut asked = BTreeSet::new();
        loop {
            let left = leftovers();
            if left.is_empty() {
                return named;
            }
            for (pid, _) in left {
                // One that forks after SIGKILL leaves children, which are looked for again.
                if asked.insert(pid) {
                    let _ = kill(Pid::from_raw(pid), signal);
                }
            }
            if Instant::now() > until {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    named
}

/// A process as `/proc` tells of it.
struct Process {
    pid: i32,
    parent: i32,
    name: String,
    is_zombie: bool,
}

/// The descendants of this process that are none of the programs in use, nor descendants of those. Ended ones are taken off the
/// system's table.
fn leftovers() -> Vec<(i32, String)> {
    let processes = processes();
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let known = running().clone();
    let (mut parents, mut next, mut found) = (vec![own], 0, Vec::new());
    while let Some(&parent) = parents.get(next) {
        next += 1;
        for process in processes.iter().filter(|process| process.parent == parent && !known.contains(&process.pid)) {
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

/// All processes; none where there is no `/proc`.
#[expect(clippy::disallowed_methods, reason = "/proc is the system's own")]
fn processes() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let read = |entry: io::Result<std::fs::DirEntry>| {
        let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        let stat = String::from_utf8_lossy(&stat).into_owned();
        // `pid (name) state ppid …`; the name may hold anything, so look behind its last parenthesis.
        let (head, rest) = stat.rsplit_once(')')?;
        let mut rest = rest.split_whitespace();
        let is_zombie = rest.next()? == "Z";
        let parent = rest.next()?.parse().ok()?;
        Some(Process { pid, parent, name: head.split_once('(')?.1.to_owned(), is_zombie })
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
    async fn output_is_bounded() {
        let limits = Limits { time: LONG, output: Output::AtMost(1000) };
        let done = run(shell("printf %01000d 0"), None, limits, false).await.unwrap();
        assert_eq!(done.stdout.len(), 1000);
        assert!(matches!(run(shell("yes"), None, limits, false).await, Err(Stopped::TooMuch)));
        let limits = Limits { time: LONG, output: Output::Tail(4) };
        let done = run(shell("seq 100000; echo err >&2; exit 3"), None, limits, false).await.unwrap();
        assert_eq!((done.stdout.as_slice(), done.stderr.as_slice()), (&b"000\n"[..], &b"err\n"[..]));
        assert_eq!(done.status.code(), Some(3));
    }

    #[tokio::test]
    async fn time_is_bounded_and_the_output_so_far_is_kept() {
        let limits = Limits { time: Duration::from_millis(500), output: Output::Tail(100) };
        let stopped = run(shell("echo begun; exec sleep 1000"), None, limits, false).await;
        assert!(matches!(stopped, Err(Stopped::TooLong(said)) if said == b"begun\n"));
    }

    #[tokio::test]
    async fn input_that_nobody_reads_is_no_error() {
        let limits = Limits { time: LONG, output: Output::Tail(100) };
        let done = run(shell("true"), Some(&vec![b'x'; 1 << 20]), limits, false).await.unwrap();
        assert!(done.status.success());
        let done = run(shell("wc -c"), Some(&vec![b'x'; 1 << 20]), limits, false).await.unwrap();
        assert_eq!(String::from_utf8(done.stdout).unwrap().trim(), "1048576");
    }
}
