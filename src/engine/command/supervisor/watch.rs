//! The supervisor's loop.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{WaitOptions, wait};

use super::super::handover::protocol::{Request, VERSION, Welcome};
use super::super::oom::oom_kill_count;
use super::super::process_table::{ProcessInfo, SignalResult, descendants, find_process, send_signal};
use super::super::report::{Exit, ProcessList, ServiceSignal, SupervisorReport};
use super::super::termination::{NextCheck, TerminationSignal};
use super::link::LinkEnd;
use super::spawn::Spawner;
use super::{END_SIGNALS, Supervisor, describe_spawn_error};
use crate::model::kinds::ProcessName;
use crate::secrets::Patterns;

/// How long to wait for a signal to the whole service after a command has failed, since the signal may be the reason.
const SIGNAL_WAIT_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// The same after a command that such a signal has ended, which makes it the likely reason.
const SIGNAL_WAIT_AFTER_SIGNAL: Duration = Duration::from_secs(1);

/// What is ready after a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ready {
    Signal,
    Link(LinkEnd),
    Output(usize),
}

impl Supervisor<'_> {
    /// Watches the command until all its processes have ended, or the rest cannot be ended, and the server has let it
    /// go.
    pub(super) fn watch(&mut self) {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        loop {
            if self.may_begin && self.begun.is_none() {
                self.begin();
            }
            if self.link.is_abandoned() {
                if self.begun.is_none() || self.is_finished {
                    return;
                }
                self.termination.kill(self.started.elapsed());
            }
            let limit = if self.begun.is_none() || self.is_finished { None } else { self.check_processes(own) };
            // Records of this round are sent before the wait.
            self.send();
            match limit {
                Some(limit) => self.wait(Some(limit)),
                None if self.link.is_abandoned() && self.is_finished => {}
                None => self.wait(None),
            }
        }
    }

    /// Decides about the processes. Returns how long to wait for the next event, if that is limited.
    fn check_processes(&mut self, own: i32) -> Option<Duration> {
        self.reap();
        self.report_exit();
        let processes = if self.termination.needs_processes() { descendants(own) } else { Vec::new() };
        let step = self.termination.next(self.started.elapsed(), &processes, self.has_children);
        for (process, request) in step.requests {
            // The wrapper exits when the command does. SIGTERM would make it kill the command at once.
            let is_main = self.main.is_some_and(|main| main.as_raw_pid() == process.pid);
            if !self.args.wrap.is_empty() && is_main && request == TerminationSignal::Terminate {
                continue;
            }
            if send_signal(process, signal_of(request)) == SignalResult::Refused {
                self.termination.refused(process);
            }
        }
        if !step.left_behind.is_empty() {
            self.report(SupervisorReport::LeftBehind(process_list(&step.left_behind)));
        }
        match step.next_check {
            NextCheck::Now => Some(Duration::ZERO),
            NextCheck::OnEvent => None,
            NextCheck::Until(at) => Some(at.saturating_sub(self.started.elapsed())),
            NextCheck::Done(stuck) => {
                if !stuck.is_empty() {
                    self.report(SupervisorReport::Stuck(process_list(&stuck)));
                }
                self.finish();
                None
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
        self.ran = self.begun.map(|begun| begun.elapsed());
        if exit.code != 0 && !self.termination.needs_processes() {
            // It may have failed because of a signal to the whole service, which this process gets next.
            let by_request = END_SIGNALS.into_iter().any(|signal| exit.code == 128 + signal as i32);
            let until =
                self.started.elapsed() + if by_request { SIGNAL_WAIT_AFTER_SIGNAL } else { SIGNAL_WAIT_AFTER_FAILURE };
            while !self.termination.needs_processes()
                && let Some(left) = until.checked_sub(self.started.elapsed())
            {
                self.wait(Some(left));
            }
        }
        let out_of_memory = oom_kill_count(self.args.group.as_deref()).saturating_sub(self.killed_before);
        self.report(SupervisorReport::Exited(Exit { out_of_memory, ..exit }));
        let keep = self.args.keep && exit.code == 0;
        let (mut records, now) = (Vec::new(), self.started.elapsed());
        if let Some(outputs) = self.outputs.as_mut().filter(|_| keep) {
            outputs.end_of_command(now, &mut records);
        }
        self.keep(records);
        self.termination.command_ended(now, keep);
    }

    /// Waits for servers, output, signals, and what is due.
    fn wait(&mut self, limit: Option<Duration>) {
        let now = self.started.elapsed();
        let has_room = self.has_room();
        let flush = self.outputs.as_ref().filter(|_| has_room).and_then(|outputs| outputs.due(now));
        let due = [flush, self.link.next_check(now)];
        let due = due.into_iter().flatten().map(|due| due.saturating_sub(now));
        let limit = due.chain(limit).min();
        for ready in self.poll(limit) {
            let now = self.started.elapsed();
            match ready {
                Ready::Signal => self.handle_signals(),
                Ready::Link(LinkEnd::Listener) => self.link.accept(),
                Ready::Link(LinkEnd::Guest) => self.meet_guest(now),
                Ready::Link(LinkEnd::Holder) => self.hear_holder(now),
                Ready::Output(index) => {
                    let mut records = Vec::new();
                    if let Some(outputs) = &mut self.outputs {
                        outputs.read(index, now, &mut records);
                    }
                    self.keep(records);
                }
            }
        }
        let (mut records, now) = (Vec::new(), self.started.elapsed());
        // Without room, a line may only be unfinished because its rest was not read.
        if let Some(outputs) = self.outputs.as_mut().filter(|_| has_room) {
            outputs.flush(now, &mut records);
        }
        self.keep(records);
        self.link.check(now);
        self.send();
    }

    fn send(&mut self) {
        let now = self.started.elapsed();
        self.link.send(&mut self.spool, now);
    }

    /// Whether output is read.
    fn has_room(&self) -> bool {
        !self.spool.is_full(self.link.has_reader())
    }

    /// What is ready within this time.
    fn poll(&self, limit: Option<Duration>) -> Vec<Ready> {
        let timeout = limit.and_then(|limit| Timespec::try_from(limit).ok());
        let mut waits = vec![(Ready::Signal, PollFd::new(&self.signals, PollFlags::IN))];
        let listener = self.link.listener();
        waits.extend(listener.map(|socket| (Ready::Link(LinkEnd::Listener), PollFd::new(socket, PollFlags::IN))));
        for (end, stream, has_more) in self.link.streams(&self.spool) {
            let flags = if has_more { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
            waits.push((Ready::Link(end), PollFd::new(stream, flags)));
        }
        // A command whose output is not read blocks on its pipe.
        let outputs = self.outputs.as_ref().filter(|_| self.has_room());
        for (index, end) in outputs.iter().flat_map(|outputs| outputs.ends()) {
            waits.push((Ready::Output(index), PollFd::from_borrowed_fd(end, PollFlags::IN)));
        }
        let (kinds, mut fds): (Vec<Ready>, Vec<PollFd<'_>>) = waits.into_iter().unzip();
        // After EINTR the caller simply checks again.
        let _ = poll(&mut fds, timeout.as_ref());
        let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        kinds.into_iter().zip(&fds).filter(|(_, fd)| is_ready(fd)).map(|(kind, _)| kind).collect()
    }

    fn handle_signals(&mut self) {
        while let Ok(Some(info)) = self.signals.read_signal() {
            let Some(signal) = END_SIGNALS.into_iter().find(|signal| *signal as u32 == info.ssi_signo) else {
                continue;
            };
            if !std::mem::replace(&mut self.is_signalled, true) {
                let by = describe_sender(info.ssi_pid);
                self.report(SupervisorReport::ServiceSignalled(ServiceSignal {
                    signal: signal.as_str().to_owned(),
                    by,
                }));
            }
            self.termination.terminate();
        }
    }

    /// Reads what a server says that has connected.
    fn meet_guest(&mut self, now: Duration) {
        let (reports, output_ended) = (&self.reports, self.output_ended);
        let ran = self.ran.or(self.begun.map(|begun| begun.elapsed()));
        let begun_ms = ran.map(|ran| u64::try_from(ran.as_millis()).unwrap_or(u64::MAX));
        let welcome = |offset: u64| {
            let before = reports.iter().filter(|(at, _)| *at < offset);
            let events = before.map(|(_, report)| report.clone()).collect();
            Welcome { version: VERSION, begun_ms, events, output_ended }
        };
        let Some(hello) = self.link.meet_guest(&mut self.spool, now, welcome) else { return };
        if !hello.secrets.is_empty() {
            self.secrets = Some(Patterns::new(hello.secrets.iter().map(String::as_str)).into());
        }
        // More may have arrived together with the first message.
        self.hear_holder(now);
    }

    fn hear_holder(&mut self, now: Duration) {
        for request in self.link.hear_holder(now) {
            self.handle(request, now);
        }
    }

    /// Handles a message from the server.
    fn handle(&mut self, request: Request, now: Duration) {
        match request {
            Request::Begin => self.may_begin = true,
            Request::Ack(offset) => self.spool.acknowledge(offset),
            Request::Terminate => self.termination.terminate(),
            Request::Kill => self.termination.kill(now),
            // The link has seen to the last one.
            Request::Hello(_) | Request::Unknown | Request::End => {}
        }
    }
}

impl Spawner for Supervisor<'_> {
    fn report_delay(&mut self, error: &std::io::Error) {
        self.report(SupervisorReport::Delayed(describe_spawn_error(error)));
        self.send();
    }

    fn wait_for_end(&mut self, limit: Duration) -> bool {
        let until = self.started.elapsed() + limit;
        while let Some(left) = until.checked_sub(self.started.elapsed()) {
            self.wait(Some(left));
            if self.termination.needs_processes() || self.link.is_abandoned() {
                return true;
            }
        }
        false
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
