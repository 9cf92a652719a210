//! A server's connection to a supervisor.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::{Pid, WaitOptions, waitpid};
use tokio::net::UnixStream;
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::handover::protocol::{Answer, Hello, MAX_ANSWER_BYTES, Refusal, Request, VERSION, Welcome, line};
use super::handover::record::{Record, TimedRecord, decode};
use super::launcher::{CommandEvent, RecordSource, RunningCommand};
use super::orphans::kill_attempt_orphans;
use super::report::SupervisorReport;

/// How many bytes are read at once, and about how many a batch of records has at most.
const BATCH_BYTES: usize = 256 * 1024;

/// How many bytes of records are journaled before the supervisor is told. It keeps more without harm.
const ACK_INTERVAL_BYTES: u64 = 64 * 1024;

/// How often, and how long, an adopted supervisor that was dismissed is waited for.
const REAP_TRIES: u32 = 100;
const REAP_INTERVAL: Duration = Duration::from_millis(100);

/// A command, by the connection to its supervisor.
pub struct SupervisedCommand {
    /// The supervisor, if it is a child of this process.
    child: Option<Child>,
    /// The supervisor, if this server has taken it over.
    adopted: Option<Pid>,
    stream: Arc<UnixStream>,
    events: mpsc::UnboundedReceiver<CommandEvent>,
    socket: Option<String>,
    /// How long ago the command began when the connection was made.
    begun: Option<Duration>,
    /// Cancelled when this server leaves its commands to the next one.
    hand_over: CancellationToken,
}

/// What a connection is made with.
pub struct Connecting {
    pub child: Option<Child>,
    pub stream: std::os::unix::net::UnixStream,
    pub hello: Hello,
    /// The name of the supervisor's socket, if it has one.
    pub socket: Option<String>,
    /// The workspace of the attempt, which identifies the processes of a supervisor that was killed.
    pub workspace: Option<PathBuf>,
    pub hand_over: CancellationToken,
}

/// Introduces this server to a supervisor. If that fails, or is cancelled, the command does not begin, or ends.
///
/// # Errors
/// The supervisor has ended or refuses this server.
pub async fn connect(with: Connecting) -> io::Result<(SupervisedCommand, SupervisorRecords)> {
    let Connecting { child, stream, hello, socket, workspace, hand_over } = with;
    stream.set_nonblocking(true)?;
    let stream = Arc::new(UnixStream::from_std(stream)?);
    let (sender, events) = mpsc::unbounded_channel();
    let peer = || stream.peer_cred().ok().and_then(|peer| Pid::from_raw(peer.pid()?));
    let adopted = if child.is_none() { peer() } else { None };
    let offset = hello.offset;
    let mut command =
        SupervisedCommand { child, adopted, stream: Arc::clone(&stream), events, socket, begun: None, hand_over };
    let mut records = SupervisorRecords {
        stream,
        buffer: Vec::new(),
        taken: 0,
        offset,
        acknowledged: offset,
        events: sender,
        workspace,
        output_ended: None,
        is_over: false,
    };
    command.send(&Request::Hello(hello)).await?;
    let Welcome { version: _, begun_ms, events, output_ended } = records.answer().await?;
    command.begun = begun_ms.map(Duration::from_millis);
    // Delays are journaled when they happen.
    let events = events.into_iter().filter(|event| !matches!(event, SupervisorReport::Delayed(_)));
    events.for_each(|event| records.report(event));
    records.output_ended = output_ended;
    Ok((command, records))
}

impl SupervisedCommand {
    async fn send(&self, request: &Request) -> io::Result<()> {
        let line = line(request);
        let mut rest = &line[..];
        while !rest.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[async_trait]
impl RunningCommand for SupervisedCommand {
    fn socket(&self) -> Option<&str> {
        self.socket.as_deref()
    }

    fn begun(&self) -> Option<Duration> {
        self.begun
    }

    async fn begin(&mut self) {
        // A write fails when the supervisor has ended, which its records show.
        let _ = self.send(&Request::Begin).await;
    }

    async fn terminate(&mut self) {
        let _ = self.send(&Request::Terminate).await;
    }

    async fn kill(&mut self) {
        let _ = self.send(&Request::Kill).await;
    }

    async fn next_event(&mut self) -> CommandEvent {
        self.events.recv().await.unwrap_or(CommandEvent::Finished)
    }
}

impl Drop for SupervisedCommand {
    fn drop(&mut self) {
        if self.hand_over.is_cancelled() {
            return;
        }
        // The supervisor reads everything at once, so there is room. If it has ended, so has the command.
        let is_told = self.stream.try_write(&line(&Request::End)).is_ok();
        let is_ended = self.child.as_mut().is_none_or(|child| matches!(child.try_wait(), Ok(Some(_))));
        if let Some(pid) = self.adopted {
            reap_later(pid);
        }
        if !is_told && !is_ended {
            tracing::warn!("a supervisor could not be told that its command is not needed any more");
        }
    }
}

/// Takes the exit status of a supervisor that is about to end, if it is a child of this process: a server that was
/// restarted in its process still has the children of the one before.
fn reap_later(pid: Pid) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    runtime.spawn(async move {
        for _ in 0..REAP_TRIES {
            match waitpid(Some(pid), WaitOptions::NOHANG) {
                Ok(None) => tokio::time::sleep(REAP_INTERVAL).await,
                // It has ended, or is no child.
                Ok(Some(_)) | Err(_) => return,
            }
        }
    });
}

/// The records of a command, from its supervisor.
pub struct SupervisorRecords {
    stream: Arc<UnixStream>,
    /// Bytes that were read, and how many of them are records that were taken.
    buffer: Vec<u8>,
    taken: usize,
    /// The offset of the next record.
    offset: u64,
    acknowledged: u64,
    events: mpsc::UnboundedSender<CommandEvent>,
    workspace: Option<PathBuf>,
    /// The offset after which background processes print, if that was known when the connection was made.
    output_ended: Option<u64>,
    is_over: bool,
}

impl SupervisorRecords {
    /// Reads more. Returns false at the end of the connection. Cancel safe.
    async fn fill(&mut self) -> bool {
        self.buffer.drain(..std::mem::take(&mut self.taken));
        loop {
            if self.stream.readable().await.is_err() {
                return false;
            }
            self.buffer.reserve(BATCH_BYTES);
            match self.stream.try_read_buf(&mut self.buffer) {
                Ok(count) => return count > 0,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
        }
    }

    /// The supervisor's answer to the first message.
    async fn answer(&mut self) -> io::Result<Welcome> {
        let end = loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer) {
                break end;
            }
            if self.buffer.len() > MAX_ANSWER_BYTES || !self.fill().await {
                return Err(io::Error::other("its supervisor has ended"));
            }
        };
        let answer = serde_json::from_slice(&self.buffer[..end]).map_err(io::Error::other)?;
        self.taken = end + 1;
        match answer {
            Answer::Welcome(welcome) => Ok(welcome),
            Answer::Failed(reason) => Err(io::Error::other(reason)),
            Answer::Refused(refusal) => Err(io::Error::other(match refusal {
                Refusal::Version => "its supervisor is of a later version",
                Refusal::Token => "another server has it, or its time is over",
                Refusal::Moved => "the data folder was moved",
                Refusal::Offset => "its output is not kept any more",
                Refusal::Unknown => "its supervisor refuses this server",
            })),
        }
    }

    fn report(&self, report: SupervisorReport) {
        let event = match report {
            SupervisorReport::NotStarted(reason) => CommandEvent::NotStarted(reason),
            SupervisorReport::Delayed(reason) => CommandEvent::Delayed(reason),
            SupervisorReport::Exited(exit) => CommandEvent::Exited(exit),
            SupervisorReport::ServiceSignalled(signalled) => CommandEvent::ServiceSignalled(signalled),
            SupervisorReport::LeftBehind(left) => CommandEvent::LeftBehind(left),
            SupervisorReport::Stuck(stuck) => CommandEvent::Stuck(stuck),
        };
        // Nobody listens any more if the command was dropped.
        let _ = self.events.send(event);
    }

    fn finish(&mut self) {
        let _ = self.events.send(CommandEvent::Finished);
        self.is_over = true;
    }

    /// Takes the records that are complete. Stops after the end of the command's own outputs.
    fn take(&mut self) -> Result<(Vec<TimedRecord>, bool), super::handover::record::BadRecord> {
        let (mut records, mut size) = (Vec::new(), 0);
        while size < BATCH_BYTES
            && let Some((record, length)) = decode(&self.buffer[self.taken..], self.offset)?
        {
            self.taken += length;
            self.offset = record.end;
            size += length;
            match record.record {
                Record::Event(report) => self.report(report),
                Record::Finished => {
                    self.finish();
                    return Ok((records, true));
                }
                Record::OutputEnded => {
                    self.output_ended = Some(record.end);
                    return Ok((records, true));
                }
                Record::Unknown => {}
                Record::Row { .. }
                | Record::Redraw { .. }
                | Record::Frame { .. }
                | Record::Output { .. }
                | Record::Bytes { .. }
                | Record::Discarded => records.push(record),
            }
        }
        Ok((records, false))
    }

    /// Handles the end of the supervisor before that of its command.
    async fn on_loss(&mut self) {
        // A killed supervisor leaves processes behind. The attempt's background processes are killed with them.
        if let Some(workspace) = &self.workspace {
            kill_attempt_orphans(workspace).await;
        }
        self.finish();
    }
}

#[async_trait]
impl RecordSource for SupervisorRecords {
    async fn next(&mut self, pending: &mut Vec<TimedRecord>) -> bool {
        while !self.is_over {
            match self.take() {
                Ok((records, is_end)) => {
                    let has_records = !records.is_empty();
                    pending.extend(records);
                    if is_end || has_records {
                        return !is_end;
                    }
                    if !self.fill().await {
                        self.on_loss().await;
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "a command is ended");
                    self.on_loss().await;
                }
            }
        }
        false
    }

    fn has_ended_output(&self, offset: u64) -> bool {
        self.output_ended.is_some_and(|ended| ended <= offset)
    }

    fn acknowledge(&mut self, offset: u64) {
        if offset.saturating_sub(self.acknowledged) >= ACK_INTERVAL_BYTES
            && self.stream.try_write(&line(&Request::Ack(offset))).is_ok()
        {
            self.acknowledged = offset;
        }
    }
}

/// The first message of this server, whose claim has this number.
pub fn hello(token: i64, offset: u64, handover: Duration, folder: String) -> Hello {
    let handover_ms = u64::try_from(handover.as_millis()).unwrap_or(u64::MAX);
    Hello { version: VERSION, token, offset, handover_ms, folder, secrets: Vec::new() }
}
