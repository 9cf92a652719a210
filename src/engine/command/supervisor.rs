//! `runtrail supervise`: the process between the server and one command. It ends the command, and everything that the
//! command started, when the server asks for it or goes away.
//!
//! Its standard input is the supervisor pipe, a socket that closes however the server ends. As the *subreaper* of its
//! descendants (prctl(2), `PR_SET_CHILD_SUBREAPER`) it also finds those that left the process group or session, or lost
//! their parent. If the supervisor itself is killed, the command gets its parent-death signal.
//!
//! One thread waits for messages from the server, signals, and the next check of [`Termination`]. It prints nothing:
//! the command writes straight into the server's pipes.

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
    UserIds, become_user, die_with_parent, give_outputs, join_cgroup, set_no_new_privileges, start_session,
};
use super::oom::oom_kill_count;
use super::process_table::{ProcessInfo, SignalResult, descendants, find_process, send_signal};
use super::report::{Exit, ProcessList, ServiceSignal, SupervisorReport};
use super::spawn::{SpawnError, spawn_with_retry};
use super::termination::{NextCheck, Termination, TerminationSignal};
use crate::model::kinds::ProcessName;

/// Message from the server: send SIGTERM to all processes.
pub const TERMINATE: u8 = b't';
/// Message from the server: send SIGKILL to all processes.
pub const KILL: u8 = b'k';

/// The shell that runs commands. An absolute path, since a phase may set its own PATH.
const SHELL: &str = "/bin/sh";

/// The exit code if the command could not be started, as in shells.
const NOT_STARTED_EXIT_CODE: u8 = 127;

/// Signals that ask a whole service to end. The command may get one a moment before its supervisor does.
const END_SIGNALS: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];

/// How long to wait for such a signal after a command has failed, since the signal may be the reason.
const SIGNAL_WAIT_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// The same after a command that such a signal has ended, which makes it the likely reason.
const SIGNAL_WAIT_AFTER_SIGNAL: Duration = Duration::from_secs(1);

/// What to supervise.
#[derive(Clone, Debug, clap::Args)]
pub struct SuperviseArgs {
    /// The command's limit of open files. The server has raised its own.
    #[arg(long)]
    open_files: Option<u64>,
    /// The command's umask, in decimal. The server has restricted its own.
    #[arg(long)]
    umask: Option<u32>,
    /// The user that the command runs as, by numbers: `USER:GROUP:GROUPS`.
    #[arg(long = "become")]
    ids: Option<UserIds>,
    /// No program that the command starts may gain privileges.
    #[arg(long)]
    no_new_privileges: bool,
    /// The command's control group.
    #[arg(long)]
    group: Option<PathBuf>,
    /// A program that runs the command, such as a sandbox, and its arguments: one option each.
    #[arg(long, allow_hyphen_values = true)]
    wrap: Vec<OsString>,
    /// Identifies the supervisor if its server is gone: the variable of its workspace.
    #[arg(long)]
    mark: Option<OsString>,
    /// The command's standard output is a terminal, which becomes its controlling one.
    #[arg(long)]
    terminal: bool,
    /// If the command exits with code 0, the processes that it leaves behind run until the server asks for their end.
    #[arg(long)]
    keep: bool,
    /// The argument of `sh -c`.
    command: String,
}

/// Runs `sh -c command` until everything it started has ended.
pub fn supervise(args: &SuperviseArgs) -> ExitCode {
    // The pipe is the standard input, and a duplicate of it can be written to.
    let Ok(pipe) = std::io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::from(NOT_STARTED_EXIT_CODE) };
    let mut pipe = UnixStream::from(pipe);
    // Other processes of the same user must not reach the command's variables and outputs through this one. It is not
    // essential.
    let _ = super::own_process::hide();
    match Supervisor::start(args, &pipe) {
        Ok(mut supervisor) => {
            supervisor.watch();
            ExitCode::SUCCESS
        }
        Err(reason) => {
            send_report(&mut pipe, &SupervisorReport::NotStarted(reason));
            ExitCode::from(NOT_STARTED_EXIT_CODE)
        }
    }
}

/// A failed write means that the server is gone, which the next read shows.
fn send_report(pipe: &mut UnixStream, report: &SupervisorReport) {
    if let Ok(mut line) = serde_json::to_vec(report) {
        line.push(b'\n');
        let _ = pipe.write_all(&line);
    }
}

struct Supervisor {
    pipe: UnixStream,
    /// Whether the server is still there.
    is_server_connected: bool,
    signals: SignalFd,
    main: Option<Pid>,
    /// How the command exited, if that is not reported yet.
    exit: Option<Exit>,
    keep: bool,
    group: Option<PathBuf>,
    /// The command is a child of the program that runs it.
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
        // Blocked signals are read from a descriptor and never end this process. The command gets the original mask.
        let mut watched = SigSet::empty();
        END_SIGNALS.into_iter().chain([Signal::SIGCHLD]).for_each(|signal| watched.add(signal));
        let before = watched
            .thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)
            .map_err(|error| format!("cannot block signals: {error}"))?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&watched, flags).map_err(|error| format!("cannot read signals: {error}"))?;
        let mut pipe = pipe.try_clone().map_err(|error| format!("cannot duplicate the supervisor pipe: {error}"))?;
        if let Some(limit) = args.open_files
            && let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE)
        {
            // Lowering a limit is always allowed.
            let _ = setrlimit(Resource::RLIMIT_NOFILE, limit.min(most), most);
        }
        if let Some(umask) = args.umask {
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
        }
        let killed_before = oom_kill_count(args.group.as_deref());
        let mut shell = match args.wrap.split_first() {
            None => Command::new(SHELL),
            Some((program, rest)) => {
                let mut wrapped = Command::new(program);
                wrapped.args(rest).args(["--", SHELL]);
                wrapped
            }
        };
        shell.args(["-c", &args.command]).stdin(Stdio::null());
        start_session(&mut shell, args.terminal, before);
        if let Some(group) = &args.group {
            let joined = join_cgroup(&mut shell, group);
            joined.map_err(|error| format!("its control group {} cannot be joined: {error}", group.display()))?;
        }
        if let Some(ids) = &args.ids {
            // The command may also open its outputs by their names in /dev.
            give_outputs(ids);
            become_user(&mut shell, ids);
        }
        // A change of user clears the parent-death signal, so it is set afterwards.
        die_with_parent(&mut shell);
        if args.no_new_privileges {
            set_no_new_privileges(&mut shell);
        }
        let report_delay = |pipe: &mut UnixStream, error: &std::io::Error| {
            send_report(pipe, &SupervisorReport::Delayed(describe_shell_error(error)))
        };
        let child = spawn_with_retry(&mut pipe, || shell.spawn(), report_delay).map_err(|error| match error {
            SpawnError::Failed(error) => describe_shell_error(&error),
            SpawnError::Cancelled => "its end was asked for before the system could start it".to_owned(),
        })?;
        Ok(Self {
            pipe,
            is_server_connected: true,
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

    /// Watches the processes until all have ended, or the rest cannot be ended.
    fn watch(&mut self) {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        loop {
            self.reap();
            self.report_exit();
            let processes = if self.termination.needs_processes() { descendants(own) } else { Vec::new() };
            let step = self.termination.next(self.began.elapsed(), &processes, self.has_children);
            for (process, request) in step.requests {
                // The wrapper exits when the command does. SIGTERM would make it kill the command at once.
                let is_wrapper = self.is_wrapped && self.main.is_some_and(|main| main.as_raw_pid() == process.pid);
                if is_wrapper && request == TerminationSignal::Terminate {
                    continue;
                }
                if send_signal(process, signal_of(request)) == SignalResult::Refused {
                    self.termination.refused(process);
                }
            }
            if !step.left_behind.is_empty() {
                self.report(&SupervisorReport::LeftBehind(process_list(&step.left_behind)));
            }
            match step.next_check {
                NextCheck::Now => {}
                NextCheck::OnEvent => self.wait(None),
                NextCheck::Until(at) => self.wait(Some(at.saturating_sub(self.began.elapsed()))),
                NextCheck::Done(stuck) => {
                    if !stuck.is_empty() {
                        self.report(&SupervisorReport::Stuck(process_list(&stuck)));
                    }
                    return;
                }
            }
        }
    }

    /// Collects the exit status of ended children, which are zombies until then.
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

    /// Reports the exit of the command itself, once.
    fn report_exit(&mut self) {
        let Some(exit) = self.exit.take() else { return };
        if exit.code != 0 && !self.termination.needs_processes() {
            // It may have failed because of a signal to the whole service, which this process gets next.
            let by_request = END_SIGNALS.into_iter().any(|signal| exit.code == 128 + signal as i32);
            let until =
                self.began.elapsed() + if by_request { SIGNAL_WAIT_AFTER_SIGNAL } else { SIGNAL_WAIT_AFTER_FAILURE };
            while !self.termination.needs_processes()
                && let Some(left) = until.checked_sub(self.began.elapsed())
            {
                self.wait(Some(left));
            }
        }
        let out_of_memory = oom_kill_count(self.group.as_deref()).saturating_sub(self.killed_before);
        self.report(&SupervisorReport::Exited(Exit { out_of_memory, ..exit }));
        self.termination.command_ended(self.began.elapsed(), self.keep && exit.code == 0);
    }

    /// Waits for the next message or signal.
    fn wait(&mut self, limit: Option<Duration>) {
        let timeout = limit.and_then(|limit| Timespec::try_from(limit).ok());
        let mut waits = vec![PollFd::new(&self.signals, PollFlags::IN)];
        if self.is_server_connected {
            waits.push(PollFd::new(&self.pipe, PollFlags::IN));
        }
        // After EINTR the caller simply checks again.
        let _ = poll(&mut waits, timeout.as_ref());
        let is_ready = |wait: &PollFd<'_>| !wait.revents().is_empty();
        let (has_signal, has_message) = (waits.first().is_some_and(is_ready), waits.get(1).is_some_and(is_ready));
        if has_signal {
            self.handle_signals();
        }
        if has_message {
            self.handle_message();
        }
    }

    fn handle_signals(&mut self) {
        while let Ok(Some(info)) = self.signals.read_signal() {
            let Some(signal) = END_SIGNALS.into_iter().find(|signal| *signal as u32 == info.ssi_signo) else {
                continue;
            };
            if !std::mem::replace(&mut self.is_signalled, true) {
                let by = describe_sender(info.ssi_pid);
                self.report(&SupervisorReport::ServiceSignalled(ServiceSignal {
                    signal: signal.as_str().to_owned(),
                    by,
                }));
            }
            self.termination.terminate();
        }
    }

    /// Handles a message from the server.
    fn handle_message(&mut self) {
        let mut byte = [0];
        match self.pipe.read(&mut byte) {
            Ok(1) if byte[0] == TERMINATE => self.termination.terminate(),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Ok(1) if byte[0] == KILL => self.termination.kill(self.began.elapsed()),
            // An unknown byte, the end of the pipe or an error: the server no longer wants this command.
            _ => {
                self.is_server_connected = false;
                self.termination.kill(self.began.elapsed());
            }
        }
    }

    fn report(&mut self, report: &SupervisorReport) {
        send_report(&mut self.pipe, report);
    }
}

fn describe_shell_error(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => format!("the shell {SHELL} is missing: install it"),
        _ => format!("the shell {SHELL} cannot be started: {error}"),
    }
}

fn process_list(processes: &[ProcessInfo]) -> ProcessList {
    ProcessList::of(processes.iter().map(|process| ProcessName { pid: process.id.pid, name: process.name.clone() }))
}

/// Describes the sender of a signal.
fn describe_sender(pid: u32) -> String {
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
