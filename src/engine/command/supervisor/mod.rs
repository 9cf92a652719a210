//! `runtrail supervise`: the process between the server and one command. It reads what the command prints, keeps it
//! until it is journaled, and ends the command, and everything that the command started, when the server asks for it,
//! or when the server goes away and no other one takes its place in time.
//!
//! Its standard input is a socket that the server holds the other end of. As the *subreaper* of its descendants
//! (prctl(2), `PR_SET_CHILD_SUBREAPER`) it also finds those that left the process group or session, or lost their
//! parent. If the supervisor itself is killed, the command gets its parent-death signal.
//!
//! One thread waits for servers ([`link`]), output ([`outputs`]), signals, and the next check of [`Termination`].

mod link;
pub(in crate::engine) mod output_parser;
mod outputs;
mod shell;
mod spawn;
mod watch;

use std::ffi::OsString;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::process::Pid;

use super::child::UserIds;
use super::handover::protocol::{Answer, line};
use super::handover::record::Record;
use super::handover::sockets::SocketFolder;
use super::handover::spool::Spool;
use super::oom::oom_kill_count;
use super::pipe::open_outputs;
use super::report::{Exit, SupervisorReport};
use super::termination::Termination;
use crate::engine::clock::uptime_ms;
use crate::model::OutputMode;
use crate::secrets::Patterns;
use link::Link;
use outputs::OutputReader;
use shell::{describe_spawn_error, set_limits, shell_command};
use spawn::{SpawnError, spawn_with_retry};

/// Signals that ask a whole service to end. The command may get one a moment before its supervisor does.
const END_SIGNALS: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];

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
    /// How the command's outputs are connected: `merged`, `separate` or `tty`. A terminal becomes its controlling one.
    #[arg(long, value_parser = parse_output_mode)]
    output: OutputMode,
    /// Pass on what the command prints as it is, without parsing and masking it.
    #[arg(long)]
    raw: bool,
    /// How many bytes of output count. Further ones are discarded.
    #[arg(long, default_value_t = u64::MAX)]
    allowance: u64,
    /// The folder of the socket on which to wait for another server.
    #[arg(long)]
    sockets: Option<PathBuf>,
    /// The name of the socket.
    #[arg(long, requires = "sockets")]
    socket: Option<String>,
    /// How many bytes of records to keep while no server reads them.
    #[arg(long, default_value_t = 0)]
    spool: u64,
    /// If the command exits with code 0, the processes that it leaves behind run until the server asks for their end.
    #[arg(long)]
    keep: bool,
    /// The argument of `sh -c`.
    command: String,
}

fn parse_output_mode(text: &str) -> Result<OutputMode, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

/// Runs `sh -c command` until everything it started has ended and its server has no more questions.
pub fn supervise(args: &SuperviseArgs) -> ExitCode {
    // Other processes of the same user must not reach the command's variables and outputs through this one. It is not
    // essential.
    let _ = super::own_process::hide();
    // The socket is the standard input, and a duplicate of it can be written to.
    let Ok(stream) = std::io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from) else {
        return ExitCode::FAILURE;
    };
    match stream.try_clone().map_err(|error| error.to_string()).and_then(|stream| Supervisor::new(args, stream)) {
        Ok(mut supervisor) => {
            drop(stream);
            supervisor.watch();
            ExitCode::SUCCESS
        }
        Err(reason) => {
            let _ = (&stream).write_all(&line(&Answer::Failed(reason)));
            ExitCode::FAILURE
        }
    }
}

struct Supervisor<'a> {
    args: &'a SuperviseArgs,
    link: Link,
    spool: Spool,
    signals: SignalFd,
    /// The signals that the command does not inherit as blocked.
    mask: SigSet,
    secrets: Option<Arc<Patterns>>,
    outputs: Option<OutputReader>,
    main: Option<Pid>,
    /// How the command exited, if that is not reported yet.
    exit: Option<Exit>,
    /// Everything reported so far, each with the offset of its record.
    reports: Vec<(u64, SupervisorReport)>,
    /// The offset after which background processes print.
    output_ended: Option<u64>,
    is_signalled: bool,
    termination: Termination,
    has_children: bool,
    started: Instant,
    /// When the command began.
    begun: Option<Instant>,
    /// How long it ran, once it has exited.
    ran: Option<Duration>,
    /// Whether the server has told it to begin.
    may_begin: bool,
    is_finished: bool,
    killed_before: u64,
}

impl<'a> Supervisor<'a> {
    fn new(args: &'a SuperviseArgs, stream: UnixStream) -> Result<Self, String> {
        #[cfg(target_os = "linux")]
        nix::sys::prctl::set_child_subreaper(true)
            .map_err(|error| format!("cannot watch over the command's descendants: {error}"))?;
        // Blocked signals are read from a descriptor and never end this process. The command gets the original mask.
        let mut watched = SigSet::empty();
        END_SIGNALS.into_iter().chain([Signal::SIGCHLD]).for_each(|signal| watched.add(signal));
        let mask = watched
            .thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)
            .map_err(|error| format!("cannot block signals: {error}"))?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&watched, flags).map_err(|error| format!("cannot read signals: {error}"))?;
        let listening = |error: std::io::Error| format!("cannot listen for another server: {error}");
        let folder = args.sockets.as_deref().map(SocketFolder::open).transpose().map_err(listening)?;
        let socket = match (&folder, &args.socket) {
            (Some(folder), Some(name)) => Some(folder.bind(name).map_err(listening)?),
            _ => None,
        };
        let path = folder.as_ref().map(|folder| folder.path().to_string_lossy().into_owned()).unwrap_or_default();
        let spool_folder = folder.as_ref().map(SocketFolder::handle).transpose().map_err(listening)?;
        Ok(Self {
            args,
            link: Link::new(stream, socket, path).map_err(|error| format!("cannot use its socket: {error}"))?,
            spool: Spool::new(spool_folder, args.spool),
            signals,
            mask,
            secrets: None,
            outputs: None,
            main: None,
            exit: None,
            reports: Vec::new(),
            output_ended: None,
            is_signalled: false,
            termination: Termination::new(),
            has_children: true,
            started: Instant::now(),
            begun: None,
            ran: None,
            may_begin: false,
            is_finished: false,
            killed_before: 0,
        })
    }

    /// Starts the command. A failure is reported.
    fn begin(&mut self) {
        self.begun = Some(Instant::now());
        if let Err(reason) = self.start_shell() {
            self.report(SupervisorReport::NotStarted(reason));
            self.finish();
        }
    }

    fn start_shell(&mut self) -> Result<(), String> {
        let args = self.args;
        set_limits(args);
        self.killed_before = oom_kill_count(args.group.as_deref());
        let (ends, stdio) =
            open_outputs(args.output).map_err(|error| format!("its outputs cannot be made: {error}"))?;
        let mut shell = shell_command(args, stdio, self.mask)?;
        let child = spawn_with_retry(self, || shell.spawn()).map_err(|error| match error {
            SpawnError::Failed(error) => describe_spawn_error(&error),
            SpawnError::Cancelled => "its end was asked for before the system could start it".to_owned(),
        })?;
        self.main = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        // The ends of the command close with `shell`, so that the outputs end with the last process that has them open.
        self.outputs = Some(OutputReader::new(ends, self.secrets.clone(), !args.raw, args.allowance));
        Ok(())
    }

    /// Adds records to the spool.
    fn keep(&mut self, records: impl IntoIterator<Item = Record>) {
        let (mut bytes, uptime) = (Vec::new(), uptime_ms());
        for record in records {
            let count = self.outputs.as_mut().map_or(0, OutputReader::take_count);
            let start = self.spool.end() + bytes.len() as u64;
            record.encode(uptime, count, &mut bytes);
            match record {
                Record::OutputEnded => self.output_ended = Some(self.spool.end() + bytes.len() as u64),
                Record::Event(report) => self.reports.push((start, report)),
                _ => {}
            }
        }
        if !bytes.is_empty() {
            self.spool.append(&bytes);
        }
    }

    fn report(&mut self, report: SupervisorReport) {
        self.keep([Record::Event(report)]);
    }

    /// The command and everything it started has ended, or could not be started.
    fn finish(&mut self) {
        let (mut records, now) = (Vec::new(), self.started.elapsed());
        if let Some(outputs) = &mut self.outputs {
            outputs.end(now, &mut records);
        }
        self.keep(records);
        self.keep([Record::Finished]);
        self.is_finished = true;
    }
}
