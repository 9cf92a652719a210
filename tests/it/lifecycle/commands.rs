//! Commands as steps of a simulation: they take time of its clock, print whose they are, and end as they are told to.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use runtrail::engine::{
    CommandEvent, CommandLauncher, CommandSpec, Exit, Record, RecordSource, RunningCommand, StartedCommand, TimedRecord,
};
use runtrail::model::{FramePayload, Log, LogStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// The commands of one server. Each prints its name with every line.
pub struct Simulated {
    pub server: String,
}

/// What a command does, as its text says: `lines=3 ms=400 code=1 stubborn tries=2`.
#[derive(Clone, Copy, Debug)]
struct Script {
    lines: u64,
    /// How long it takes.
    ms: u64,
    code: i32,
    /// Does not end when it is asked to.
    stubborn: bool,
    /// The try from which on it ends well.
    tries: u64,
}

impl Script {
    fn of(text: &str) -> Self {
        let mut script = Self { lines: 1, ms: 0, code: 0, stubborn: false, tries: 0 };
        for word in text.split_whitespace() {
            let (name, value) = word.split_once('=').unwrap_or((word, "0"));
            let number: u64 = value.parse().expect("a number");
            match name {
                "lines" => script.lines = number,
                "ms" => script.ms = number,
                "code" => script.code = i32::try_from(number).unwrap(),
                "stubborn" => script.stubborn = true,
                "tries" => script.tries = number,
                other => panic!("no command says {other}"),
            }
        }
        script
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Signal {
    None,
    Terminate,
    Kill,
}

#[async_trait]
impl CommandLauncher for Simulated {
    async fn start(&self, command: CommandSpec<'_>) -> io::Result<StartedCommand> {
        let CommandSpec { run, variables, .. } = command;
        let mut script = Script::of(run);
        let this: u64 = variables["RUNTRAIL_TRY"].to_str().unwrap().parse().unwrap();
        if script.tries != 0 {
            script.code = i32::from(this < script.tries);
        }
        let line = format!("{} {}", self.server, variables["RUNTRAIL_PHASE"].display());
        let (print, printed) = mpsc::unbounded_channel();
        let (signal, mut signalled) = watch::channel(Signal::None);
        let work = tokio::spawn(async move {
            let carried_out = async {
                for _ in 0..script.lines {
                    let _ = print.send(line.clone());
                    tokio::time::sleep(Duration::from_millis(script.ms / script.lines.max(1))).await;
                }
                Some(script.code)
            };
            tokio::select! {
                code = carried_out => code,
                _ = signalled.wait_for(|signal| *signal == Signal::Kill || *signal == Signal::Terminate && !script.stubborn) => None,
            }
        });
        let command = Command { work, signal, has_ended: false };
        Ok(StartedCommand { command: Box::new(command), records: Box::new(Printed(printed)) })
    }
}

/// The lines of a command.
struct Printed(mpsc::UnboundedReceiver<String>);

#[async_trait]
impl RecordSource for Printed {
    async fn next(&mut self, pending: &mut Vec<TimedRecord>) -> bool {
        let Some(line) = self.0.recv().await else { return false };
        let stream = LogStream::Output;
        let data = FramePayload::Log(Log { stream, line, cont: false, replaces: None }).data();
        pending.push(TimedRecord { record: Record::Row { stream, data }, uptime_ms: 0, output_bytes: 1, end: 0 });
        true
    }
}

struct Command {
    work: JoinHandle<Option<i32>>,
    signal: watch::Sender<Signal>,
    /// Whether that was told.
    has_ended: bool,
}

#[async_trait]
impl RunningCommand for Command {
    async fn begin(&mut self) {}

    async fn terminate(&mut self) {
        self.signal.send_replace(Signal::Terminate);
    }

    async fn kill(&mut self) {
        self.signal.send_replace(Signal::Kill);
    }

    async fn next_event(&mut self) -> CommandEvent {
        if self.has_ended {
            return CommandEvent::Finished;
        }
        let code = (&mut self.work).await.unwrap_or(None);
        self.has_ended = true;
        code.map_or(CommandEvent::Finished, |code| CommandEvent::Exited(Exit::with_code(code)))
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        self.work.abort();
    }
}
