//! `runtrail supervise`: the leash of one phase's command. A program of its own, between the server and the command.
//!
//! It holds one end of a pipe from the server (its standard input) and starts the command in a process group. When the
//! server goes away, in whatever way, the pipe closes and everything the command ever started is killed. It is the
//! *subreaper* of its descendants (prctl(2), `PR_SET_CHILD_SUBREAPER`), so it also finds those that left the process group
//! or lost their parent. Should it be killed itself, the command dies by its parent-death signal.
//!
//! No threads of a runtime, no output of its own: the command writes straight into the server's pipes.

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

/// Byte from the server: ask the process group to end (SIGTERM).
pub const TERMINATE: u8 = b't';
/// Byte from the server: end everything now (SIGKILL).
pub const KILL: u8 = b'k';

/// The exit code when the command could not be started, as shells have it.
const NOT_STARTED: u8 = 127;

/// The command runs; what it leaves behind is killed as soon as it ends.
const RUN: u8 = 0;
/// The command was asked to end; what it leaves behind may take its time.
const ENDING: u8 = 1;
/// Everything must end.
const KILLED: u8 = 2;

/// Runs `sh -c command` until everything it started has ended. Returns the command's exit code; 128 + n if signal n ended it.
/// With `open_files`, its limit of open files is that again, after the server has raised its own.
pub fn supervise(command: &str, open_files: Option<u64>) -> ExitCode {
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::prctl::set_child_subreaper(true) {
        eprintln!("runtrail: cannot watch over the command's descendants: {error}");
        return ExitCode::from(NOT_STARTED);
    }
    if let Some(limit) = open_files
        && let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE)
    {
        // Lower than what it is now, so nothing forbids it.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, limit.min(most), most);
    }
    // By its place: a phase may have a PATH of its own.
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]).stdin(Stdio::null()).process_group(0);
    die_with_parent(&mut shell);
    let main = match shell.spawn() {
        Ok(child) => Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX)),
        Err(error) => {
            eprintln!("runtrail: cannot start sh: {error}");
            return ExitCode::from(NOT_STARTED);
        }
    };
    let mode = Arc::new(AtomicU8::new(RUN));
    {
        let mode = Arc::clone(&mode);
        std::thread::spawn(move || listen(main, &mode));
    }
    let code = reap(main, &mode);
    ExitCode::from(code)
}

/// Does as the server says, until it says nothing more because it is gone.
fn listen(main: Pid, mode: &AtomicU8) {
    let mut byte = [0];
    loop {
        match std::io::stdin().read(&mut byte) {
            Ok(1) if byte[0] == TERMINATE => {
                mode.fetch_max(ENDING, Ordering::SeqCst);
                // Already gone is as good as ended.
                let _ = killpg(main, Signal::SIGTERM);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            // KILL, an unknown byte, the end, or a broken pipe: nobody wants this command any more.
            _ => {
                mode.store(KILLED, Ordering::SeqCst);
                kill_all(main);
                return;
            }
        }
    }
}

/// Waits until no descendant is left, the command first. Returns the command's exit code.
fn reap(main: Pid, mode: &AtomicU8) -> u8 {
    let mut code = NOT_STARTED;
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, status)) if pid == main => code = u8::try_from(status & 0xff).unwrap_or(u8::MAX),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == main => {
                code = 128u8.saturating_add(u8::try_from(signal as i32).unwrap_or(0));
            }
            Ok(_) => {
                // A descendant ended; its own children are ours now.
                if mode.load(Ordering::SeqCst) == KILLED {
                    kill_all(main);
                }
                continue;
            }
            Err(Errno::EINTR) => continue,
            // ECHILD: nobody is left.
            Err(_) => return code,
        }
        // The command itself has ended. What it left in the background ends with it.
        let left_alone = mode.compare_exchange(RUN, KILLED, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if left_alone || mode.load(Ordering::SeqCst) == KILLED {
            kill_all(main);
        }
    }
}

/// Kills the process group and every descendant. One that forks meanwhile leaves children to us: `reap` calls again.
fn kill_all(main: Pid) {
    let _ = killpg(main, Signal::SIGKILL);
    for pid in descendants() {
        let _ = kill(pid, Signal::SIGKILL);
    }
}

/// All descendants of this process, from /proc; none where there is no /proc.
fn descendants() -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let parents: Vec<(i32, i32)> = entries
        .filter_map(|entry| {
            let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // `pid (name) state ppid …`; the name may hold anything, so look behind its last parenthesis.
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect();
    let mut found = vec![i32::try_from(std::process::id()).unwrap_or(0)];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|(_, ppid)| *ppid == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.into_iter().skip(1).map(Pid::from_raw).collect()
}

/// The command gets SIGKILL when this process is gone, however that happens.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn die_with_parent(shell: &mut Command) {
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
fn die_with_parent(_: &mut Command) {}

/// The exit code of a phase, from how its supervisor ended. `None` if someone killed the supervisor itself.
pub fn exit_code(status: std::process::ExitStatus) -> Option<i32> {
    status.code().filter(|_| status.signal().is_none())
}
