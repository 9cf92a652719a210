//! Commands as steps of a simulation: they take time of its clock, print whose they are, and end as they are told to.

use std::io;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use runtrail::engine::{Commands, Outputs, RunningCommand, Variables};
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
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

impl Commands for Simulated {
    fn start(&self, command: &str, _: &Path, variables: Variables) -> io::Result<(Box<dyn RunningCommand>, Outputs)> {
        let mut script = Script::of(command);
        let this: u64 = variables["RUNTRAIL_TRY"].to_str().unwrap().parse().unwrap();
        if script.tries != 0 {
            script.code = i32::from(this < script.tries);
        }
        let line = format!("{} {}\n", self.server, variables["RUNTRAIL_PHASE"].display());
        let (stdout, mut print) = tokio::io::duplex(1 << 16);
        let (signal, mut signalled) = watch::channel(Signal::None);
        let work = tokio::spawn(async move {
            let carried_out = async {
                for _ in 0..script.lines {
                    print.write_all(line.as_bytes()).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(script.ms / script.lines.max(1))).await;
                }
                Some(script.code)
            };
            tokio::select! {
                code = carried_out => code,
                _ = signalled.wait_for(|signal| *signal == Signal::Kill || *signal == Signal::Terminate && !script.stubborn) => None,
            }
        });
        let outputs = Outputs { stdout: Box::new(stdout), stderr: Box::new(tokio::io::empty()) };
        Ok((Box::new(Command { work, signal, code: None }), outputs))
    }
}

struct Command {
    work: JoinHandle<Option<i32>>,
    signal: watch::Sender<Signal>,
    /// How it ended, once that was heard.
    code: Option<Option<i32>>,
}

#[async_trait]
impl RunningCommand for Command {
    async fn terminate(&mut self) {
        self.signal.send_replace(Signal::Terminate);
    }

    async fn kill(&mut self) {
        self.signal.send_replace(Signal::Kill);
    }

    async fn ended(&mut self) -> Option<i32> {
        if self.code.is_none() {
            self.code = Some((&mut self.work).await.unwrap_or(None));
        }
        self.code.flatten()
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        self.work.abort();
    }
}
