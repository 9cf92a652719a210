//! Reads a command's outputs as they come and journals them as frames.
//!
//! While one commit is under way, what comes next is collected; so a command that prints fast is journaled in large groups
//! and one that prints slowly without delay. If the journal cannot keep up, the pipes fill and the command waits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use super::commands::Outputs;
use super::lines::{Line, Splitter, split};
use super::masking::{Masking, Pieces};
use crate::journal::{Journal, WriteError};
use crate::model::kinds::{Failure, Output};
use crate::model::{Body, Log, LogStream};
use crate::secrets::Patterns;
use crate::store::{Change, Guard, Lease, NewFrame, Write};

/// How long a line without its end is held back.
const PARTIAL: Duration = Duration::from_millis(200);

/// About how many bytes of frames one write carries.
const GROUP: usize = 256 * 1024;

/// About how many bytes of frames may wait to be journaled: enough that the next write is full when the last one is done.
/// Counted in bytes, since a read brings what the pipe has, from a letter to 64 KiB.
const WAITING: usize = 2 * GROUP;

/// What a command reported that the engine itself heeds.
#[derive(Debug, Default)]
pub struct Told {
    /// How many bytes earlier phases have given to later ones.
    pub given: usize,
    /// The message of the last error.
    pub error: Option<String>,
    /// Values for later phases, by name.
    pub outputs: BTreeMap<String, String>,
}

/// The most bytes that the phases of an attempt give to later ones: what fits into the environment of a command, with room for the rest.
const GIVEN: usize = 1 << 20;

impl Told {
    /// Takes a value, unless all of them would be more than a command can be given. Says so then.
    fn take(&mut self, output: &Output) -> Result<(), Failure> {
        let others = self.outputs.iter().filter(|(name, _)| **name != output.name);
        let size = others.map(|(name, value)| Output::variable(name).len() + value.len()).sum::<usize>();
        if self.given + size + Output::variable(&output.name).len() + output.value.len() > GIVEN {
            let name = &output.name;
            let message =
                format!("the output {name} is not passed on: all outputs of a run together take {GIVEN} bytes at most");
            return Err(Failure { code: "output_too_large".to_owned(), message, retryable: false });
        }
        self.outputs.insert(output.name.clone(), output.value.clone());
        Ok(())
    }
}

/// Heard while it is read.
pub type Reported = Mutex<Told>;

/// Journals everything both outputs carry until they end.
///
/// # Errors
/// The journal refused: the lease is gone, or the database is.
pub async fn journal_all(
    outputs: Outputs,
    journal: &Journal,
    lease: Lease,
    phase: &Arc<str>,
    reported: &Reported,
) -> Result<(), WriteError> {
    let (sender, mut waiting) = mpsc::unbounded_channel();
    let queue = Queue { groups: sender, room: Arc::new(Semaphore::new(WAITING)) };
    let secrets = journal.masked(lease.run);
    let stdout = read(outputs.stdout, LogStream::Stdout, Arc::clone(phase), reported, secrets.clone(), queue.clone());
    let stderr = read(outputs.stderr, LogStream::Stderr, Arc::clone(phase), reported, secrets, queue);
    let write = async {
        while let Some(Group { mut frames, mut room }) = waiting.recv().await {
            while room.num_permits() < GROUP
                && let Ok(more) = waiting.try_recv()
            {
                room.merge(more.room);
                frames.extend(more.frames);
            }
            let mut write = Write::new(lease.run, Guard::Lease(lease), Change::None);
            write.frames = frames;
            journal.write(write).await?;
        }
        Ok(())
    };
    // The readers end with their pipes; the writer when both have ended, or at once if the journal refuses.
    let both = async { tokio::join!(stdout, stderr) };
    tokio::pin!(both);
    tokio::pin!(write);
    tokio::select! {
        result = &mut write => result,
        _ = &mut both => write.await,
    }
}

/// Frames that wait to be journaled, and the room they take until they are.
struct Group {
    frames: Vec<NewFrame>,
    room: OwnedSemaphorePermit,
}

/// The way to the journal. Bounded by bytes: who finds no room waits, and so in the end does the command that prints.
#[derive(Clone)]
struct Queue {
    groups: mpsc::UnboundedSender<Group>,
    room: Arc<Semaphore>,
}

impl Queue {
    /// Takes frames. Whether anybody still journals them: nobody does once the journal has refused.
    async fn take(&self, frames: Vec<NewFrame>) -> bool {
        let size = frames.iter().map(NewFrame::size).sum::<usize>().min(WAITING);
        let room = Arc::clone(&self.room).acquire_many_owned(u32::try_from(size).unwrap_or(u32::MAX)).await;
        // Never closed.
        let Ok(room) = room else { return false };
        self.groups.send(Group { frames, room }).is_ok()
    }
}

/// Reads one output to its end, and masks these secrets in it.
async fn read(
    mut pipe: impl AsyncRead + Unpin,
    stream: LogStream,
    phase: Arc<str>,
    reported: &Reported,
    secrets: Option<Arc<Patterns>>,
    queue: Queue,
) {
    let mut masking = Masking::new(secrets.clone());
    let mut pieces = Pieces::new(secrets);
    let mut splitter = Splitter::default();
    let mut buffer = vec![0; 64 * 1024];
    let mut lines = Vec::new();
    let mut held_since: Option<Instant> = None;
    loop {
        let count = match held_since {
            None => pipe.read(&mut buffer).await,
            Some(since) => match tokio::time::timeout_at(since + PARTIAL, pipe.read(&mut buffer)).await {
                Ok(count) => count,
                Err(_) => {
                    splitter.push(masking.flush(), &mut lines);
                    splitter.flush(&mut lines);
                    held_since = None;
                    let mut frames = to_frames(&mut lines, stream, &phase, reported, &mut pieces);
                    frames.extend(pieces.flush().map(|body| NewFrame::now(Some(Arc::clone(&phase)), &body)));
                    if !queue.take(frames).await {
                        return;
                    }
                    continue;
                }
            },
        };
        match count {
            // A pipe that fails has ended.
            Ok(0) | Err(_) => break,
            Ok(count) => splitter.push(masking.push(&buffer[..count]), &mut lines),
        }
        let holds = splitter.holds() || masking.holds() || pieces.holds();
        held_since = if holds { Some(held_since.unwrap_or_else(Instant::now)) } else { None };
        if !lines.is_empty() {
            // What is held now is what came last.
            held_since = held_since.map(|_| Instant::now());
            if !queue.take(to_frames(&mut lines, stream, &phase, reported, &mut pieces)).await {
                return;
            }
            if pieces.holds() {
                held_since = held_since.or_else(|| Some(Instant::now()));
            }
        }
    }
    splitter.push(masking.finish(), &mut lines);
    splitter.finish(&mut lines);
    let mut frames = to_frames(&mut lines, stream, &phase, reported, &mut pieces);
    frames.extend(pieces.finish().map(|body| NewFrame::now(Some(Arc::clone(&phase)), &body)));
    if !frames.is_empty() {
        queue.take(frames).await;
    }
}

fn to_frames(
    lines: &mut Vec<Line>,
    stream: LogStream,
    phase: &Arc<str>,
    reported: &Reported,
    pieces: &mut Pieces,
) -> Vec<NewFrame> {
    let frame = |body: &Body| NewFrame::now(Some(Arc::clone(phase)), body);
    let mut frames = Vec::with_capacity(lines.len());
    for Line { text, cont } in lines.drain(..) {
        // Only standard output reports, and only with a whole line.
        if stream == LogStream::Stdout
            && !cont
            && let Some(body) = Body::reported(&text)
        {
            let mut told = reported.lock().unwrap_or_else(PoisonError::into_inner);
            let refused = match &body {
                Body::Error(failure) => {
                    told.error = Some(failure.message.clone());
                    None
                }
                Body::Output(output) => told.take(output).err(),
                _ => None,
            };
            drop(told);
            let Some(refused) = refused else {
                frames.extend(pieces.take(body).iter().map(frame));
                continue;
            };
            frames.push(frame(&Body::Error(refused)));
        }
        let mut pieces = Vec::with_capacity(1);
        split(text, cont, &mut pieces);
        let log = |Line { text, cont }| frame(&Body::Log(Log { stream, line: text, cont }));
        frames.extend(pieces.into_iter().map(log));
    }
    frames
}
