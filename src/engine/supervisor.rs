//! `runtrail supervise`: the pipe of one phase's command. A program of its own, between the server and the command.
//!
//! Its standard input is a socket to the server, which closes when the server goes away, in whatever way; then everything the
//! command ever started is killed. It is the *subreaper* of its descendants (prctl(2), `PR_SET_CHILD_SUBREAPER`), so it also finds
//! those that left the process group or the session, or lost their parent. Should it be killed itself, the command dies by its
//! parent-death signal.
//!
//! One thread that waits for three things: words of the server, signals, and the time at which [`Termination`] wants to look again.
//! It prints nothing: the command writes straight into the server's pipes.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, WaitOptions, wait};

use super::child::{
    UserIds, become_user, die_with_parent, gain_no_privileges, give_outputs, in_own_session, join_group,
};
use super::oom::oom_kill_count;
use super::process_table::{ProcessInfo, SignalResult, descendants, find_process, send};
use super::report::{Exit, ProcessList, ServiceSignal, SupervisorReport};
use super::spawn::{SpawnError, spawn_with_retry};
use super::termination::{NextCheck, Termination, TerminationSignal};
use crate::model::kinds::ProcessName;

/// Byte from the server: ask all processes to end (SIGTERM).
pub const TERMINATE: u8 = b't';
/// Byte from the server: end everything now (SIGKILL).
pub const KILL: u8 = b'k';

/// The exit code when the command could not be started, as shells have it.
const NOT_STARTED: u8 = 127;

/// Signals that ask a whole service to end. The command may get one a moment before its supervisor does.
const END_SIGNALS: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];

/// MountKind long is waited for such a signal after a command has failed, which it may have done because of it.
const SIGNAL_FOLLOWS: Duration = Duration::from_millis(100);

/// The same after a command that such a signal has ended: it hardly had another reason.
const SIGNAL_FOLLOWS_ANOTHER: Duration = Duration::from_secs(1);

/// What to supervise.
#[derive(Clone, Debug, clap::Args)]
pub struct SuperviseArgs {
    /// Its limit of open files, after the server has raised its own.
    #[arg(long)]
    open_files: Option<u64>,
    /// Its umask, in decimal, after the server has restricted its own.
    #[arg(long)]
    umask: Option<u32>,
    /// The user that it runs as, by numbers: `USER:GROUP:GROUPS`.
    #[arg(long = "become")]
    ids: Option<UserIds>,
    /// No program that it starts has more rights than it has itself.
    #[arg(long)]
    no_new_privileges: bool,
    /// The control group that it is put into.
    #[arg(long)]
    group: Option<PathBuf>,
    /// A program that carries it out, such as one that makes a sandbox, and its arguments, one each.
    #[arg(long, allow_hyphen_values = true)]
    wrap: Vec<OsString>,
    /// What it is found by if nobody holds its pipe: the variable of its workspace.
    #[arg(long)]
    mark: Option<OsString>,
    /// Its standard output is a terminal that becomes its controlling one.
    #[arg(long)]
    terminal: bool,
    /// What it leaves behind is kept, if it ends with exit code 0, until the server asks for the end.
    #[arg(long)]
    keep: bool,
    /// Given to `sh -c`.
    command: String,
}

/// Runs `sh -c command` until everything it started has ended.
pub fn supervise(args: &SuperviseArgs) -> ExitCode {
    // The socket is the standard input; a copy of it may be written to.
    let Ok(pipe) = std::io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::from(NOT_STARTED) };
    let mut pipe = UnixStream::from(pipe);
    // Others of the same user may not reach the command's variables, outputs and pipe through this process. If the system cannot, so be it.
    let _ = super::own_process::hide();
    match Supervisor::start(args, &pipe) {
        Ok(mut supervisor) => {
            supervisor.watch();
            ExitCode::SUCCESS
        }
        Err(reason) => {
            tell(&mut pipe, &SupervisorReport::NotStarted(reason));
            ExitCode::from(NOT_STARTED)
        }
    }
}

/// Whoever does not hear it is gone, which is heard next.
fn tell(pipe: &mut UnixStream, report: &SupervisorReport) {
    if let Ok(mut line) = serde_json::to_vec(report) {
        line.push(b'\n');
        let _ = pipe.write_all(&line);
    }
}

struct Supervisor {
    pipe: UnixStream,
    /// Whether the server is still there.
    is_held: bool,
    signals: SignalFd,
    main: Option<Pid>,
    /// MountKind the command ended, if it did and that was not reported yet.
    exit: Option<Exit>,
    keep: bool,
    group: Option<PathBuf>,
    /// The command is the child of what carries it out.
    is_wrapped: bool,
    is_signalled: bool,
    termination: Termination,
    has_children: bool,
    began: Instant,
    killed_before: u64,
}

impl Supervisor {
    fn start(args: &SuperviseArgs, pipe: &UnixStream) -> Result<Self, String> {
        #[cfg(target_os = "linux")]
        nix::sys::prctl::set_child_subreaper(true)
            .map_err(|error| format!("cannot watch over the command's descendants: {error}"))?;
        // Signals are read, and so never end this process. The command gets them as they were.
        let mut watched = SigSet::empty();
        END_SIGNALS.into_iter().chain([Signal::SIGCHLD]).for_each(|signal| watched.add(signal));
        let before = watched
            .thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)
            .map_err(|error| format!("cannot block signals: {error}"))?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&watched, flags).map_err(|error| format!("cannot read signals: {error}"))?;
        let mut pipe = pipe.try_clone().map_err(|error| format!("cannot hold the pipe: {error}"))?;
        if let Some(limit) = args.open_files
            && let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE)
        {
            // Lower than what it is now, so nothing forbids it.
            let _ = setrlimit(Resource::RLIMIT_NOFILE, limit.min(most), most);
        }
        if let Some(umask) = args.umask {
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
        }
        let killed_before = oom_kill_count(args.group.as_deref());
        // By its place: a phase may have a PATH of its own.
        let mut shell = match args.wrap.split_first() {
            None => Command::new(SHELL),
            Some((program, rest)) => {
                let mut wrapped = Command::new(program);
                wrapped.args(rest).args(["--", SHELL]);
                wrapped
            }
        };
        shell.args(["-c", &args.command]).stdin(Stdio::null());
        in_own_session(&mut shell, args.terminal, before);
        if let Some(group) = &args.group {
            let joined = join_group(&mut shell, group);
            joined.map_err(|error| format!("its control group {} cannot be joined: {error}", group.display()))?;
        }
        if let Some(ids) = &args.ids {
            // Its outputs are its own, also when it opens them by their names in /dev.
            give_outputs(ids);
            become_user(&mut shell, ids);
        }
        // Whoever becomes another user has no such signal any more, so this comes behind it.
        die_with_parent(&mut shell);
        if args.no_new_privileges {
            gain_no_privileges(&mut shell);
        }
        let short =
            |pipe: &mut UnixStream, error: &std::io::Error| tell(pipe, &SupervisorReport::Delayed(not_started(error)));
        let child = spawn_with_retry(&mut pipe, || shell.spawn(), short).map_err(|error| match error {
            SpawnError::Failed(error) => not_started(&error),
            SpawnError::Cancelled => "its end was asked for before the system could start it".to_owned(),
        })?;
        Ok(Self {
            pipe,
            is_held: true,
            signals,
            main: i32::try_from(child.id()).ok().and_then(Pid::from_raw),
            exit: None,
            keep: args.keep,
            group: args.group.clone(),
            is_wrapped: !args.wrap.is_empty(),
            is_signalled: false,
            termination: Termination::new(),
            has_children: true,
            began: Instant::now(),
            killed_before,
        })
    }

    /// Watches until all have ended, or the rest is given up.
    fn watch(&mut self) {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        loop {
            self.reap();
            self.command_ended();
            let processes = if self.termination.needs_processes() { descendants(own) } else { Vec::new() };
            let step = self.termination.next(self.began.elapsed(), &processes, self.has_children);
            for (process, request) in step.requests {
                // It ends when the command does, and would end that at once.
                let is_wrapper = self.is_wrapped && self.main.is_some_and(|main| main.as_raw_pid() == process.pid);
                if is_wrapper && request == TerminationSignal::Terminate {
                    continue;
                }
                if send(process, signal_of(request)) == SignalResult::Refused {
                    self.termination.refused(process);
                }
            }
            if !step.left_behind.is_empty() {
                self.tell(&SupervisorReport::LeftBehind(named(&step.left_behind)));
            }
            match step.next_check {
                NextCheck::Now => {}
                NextCheck::OnEvent => self.wait(None),
                NextCheck::Until(at) => self.wait(Some(at.saturating_sub(self.began.elapsed()))),
                NextCheck::Done(stuck) => {
                    if !stuck.is_empty() {
                        self.tell(&SupervisorReport::Stuck(named(&stuck)));
                    }
                    return;
                }
            }
        }
    }

    /// Asks how children have ended: without that they stay, as zombies.
    fn reap(&mut self) {
        loop {
            let (pid, status) = match wait(WaitOptions::NOHANG) {
                Ok(Some(ended)) => ended,
                Ok(None) => return,
                Err(rustix::io::Errno::INTR) => continue,
                Err(_nobody_is_left) => {
                    self.has_children = false;
                    return;
                }
            };
            if Some(pid) == self.main {
                let signal = status.terminating_signal();
                let code = signal.map(|signal| 128 + signal).or(status.exit_status());
                self.exit = code.map(|code| Exit { signal, ..Exit::with_code(code) });
            }
        }
    }

    /// Reports the end of the command itself, once.
    fn command_ended(&mut self) {
        let Some(exit) = self.exit.take() else { return };
        if exit.code != 0 && !self.termination.needs_processes() {
            // It may have failed because of a signal to the whole service, of which this process has its own next.
            let by_request = END_SIGNALS.into_iter().any(|signal| exit.code == 128 + signal as i32);
            let until = self.began.elapsed() + if by_request { SIGNAL_FOLLOWS_ANOTHER } else { SIGNAL_FOLLOWS };
            while !self.termination.needs_processes()
                && let Some(left) = until.checked_sub(self.began.elapsed())
            {
                self.wait(Some(left));
            }
        }
        let out_of_memory = oom_kill_count(self.group.as_deref()).saturating_sub(self.killed_before);
        self.tell(&SupervisorReport::Exited(Exit { out_of_memory, ..exit }));
        self.termination.command_ended(self.began.elapsed(), self.keep && exit.code == 0);
    }

    /// Waits for the next word or signal.
    fn wait(&mut self, limit: Option<Duration>) {
        let timeout = limit.and_then(|limit| Timespec::try_from(limit).ok());
        let mut waits = vec![PollFd::new(&self.signals, PollFlags::IN)];
        if self.is_held {
            waits.push(PollFd::new(&self.pipe, PollFlags::IN));
        }
        // Interrupted, it is looked again.
        let _ = poll(&mut waits, timeout.as_ref());
        let is_ready = |wait: &PollFd<'_>| !wait.revents().is_empty();
        let (signalled, spoken) = (waits.first().is_some_and(is_ready), waits.get(1).is_some_and(is_ready));
        if signalled {
            self.take_signals();
        }
        if spoken {
            self.listen();
        }
    }

    fn take_signals(&mut self) {
        while let Ok(Some(info)) = self.signals.read_signal() {
            let Some(signal) = END_SIGNALS.into_iter().find(|signal| *signal as u32 == info.ssi_signo) else {
                continue;
            };
            if !std::mem::replace(&mut self.is_signalled, true) {
                let by = sender(info.ssi_pid);
                self.tell(&SupervisorReport::ServiceSignalled(ServiceSignal {
                    signal: signal.as_str().to_owned(),
                    by,
                }));
            }
            self.termination.terminate();
        }
    }

    /// Does as the server says.
    fn listen(&mut self) {
        let mut byte = [0];
        match self.pipe.read(&mut byte) {
            Ok(1) if byte[0] == TERMINATE => self.termination.terminate(),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Ok(1) if byte[0] == KILL => self.termination.kill(self.began.elapsed()),
            // An unknown byte, the end, or a broken socket: nobody wants this command any more.
            _ => {
                self.is_held = false;
                self.termination.kill(self.began.elapsed());
            }
        }
    }

    fn tell(&mut self, report: &SupervisorReport) {
        tell(&mut self.pipe, report);
    }
}

/// The shell that carries commands out.
const SHELL: &str = "/bin/sh";

fn not_started(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => format!("the shell {SHELL} is missing: install it"),
        _ => format!("the shell {SHELL} cannot be started: {error}"),
    }
}

fn named(processes: &[ProcessInfo]) -> ProcessList {
    ProcessList::of(processes.iter().map(|process| ProcessName { pid: process.id.pid, name: process.name.clone() }))
}

/// Who has sent a signal.
fn sender(pid: u32) -> String {
    let name = i32::try_from(pid).ok().filter(|pid| *pid > 0).and_then(find_process).map(|process| process.name);
    match (pid, name) {
        (0, _) => "the system".to_owned(),
        (pid, Some(name)) => format!("{name} (pid {pid})"),
        (pid, None) => format!("pid {pid}"),
    }
}

const fn signal_of(request: TerminationSignal) -> rustix::process::Signal {
    match request {
        TerminationSignal::Stop => rustix::process::Signal::STOP,
        TerminationSignal::Terminate => rustix::process::Signal::TERM,
        TerminationSignal::Continue => rustix::process::Signal::CONT,
        TerminationSignal::Kill => rustix::process::Signal::KILL,
    }
}
