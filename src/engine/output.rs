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
use super::masking::{Masking, Pieces};
use super::redraw::{Item, Rows};
use super::usage::Meter;
use crate::journal::{Journal, WriteError};
use crate::model::kinds::MAX_LINE_BYTES;
use crate::model::kinds::{Failure, Output};
use crate::model::{FramePayload, Log, LogStream};
use crate::secrets::Patterns;
use crate::store::{AppendFrames, Lease, NewFrame, RunWrite};
use crate::terminal::{Event, Lines};

/// How long a line without its end is held back.
const PARTIAL: Duration = Duration::from_millis(200);

/// The least time from one redraw to the next.
const REDRAW: Duration = Duration::from_secs(1);

/// About how many bytes of redraws are journaled in [`REDRAW`]: long rows are drawn anew less often.
const REDRAW_BYTES: usize = 4096;

/// The most time from one redraw to the next.
const REDRAW_LIMIT: Duration = Duration::from_secs(4);

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

/// Journals everything these outputs carry until they end, as far as it is within the attempt's limits.
///
/// # Errors
/// The journal refused: the lease is gone, or the database is.
pub async fn journal_all(
    outputs: Outputs,
    journal: &Journal,
    lease: Lease,
    phase: &Arc<str>,
    reported: &Reported,
    meter: &Meter,
) -> Result<(), WriteError> {
    let (sender, mut waiting) = mpsc::unbounded_channel();
    let queue = Queue { groups: sender, room: Arc::new(Semaphore::new(WAITING)) };
    let secrets = journal.masked(lease.run);
    let readers = outputs.into_iter().map(|(stream, pipe)| {
        // The last one to end drops the last way to the journal.
        read(pipe, stream, Arc::clone(phase), Heard { reported, meter }, secrets.clone(), queue.clone())
    });
    let readers = futures::future::join_all(readers);
    drop(queue);
    let write = async {
        let mut rows = Rows::default();
        while let Some(Group { mut items, mut room }) = waiting.recv().await {
            while room.num_permits() < GROUP
                && let Ok(more) = waiting.try_recv()
            {
                room.merge(more.room);
                items.extend(more.items);
            }
            let mut write = RunWrite::new(AppendFrames { lease });
            write.frames = rows.frames(items, phase);
            let committed = journal.write(write).await?;
            if let Some(first) = committed.frames.first() {
                rows.committed(first.seq);
            }
        }
        Ok(())
    };
    // The readers end with their pipes; the writer when all have ended, or at once if the journal refuses.
    tokio::pin!(readers);
    tokio::pin!(write);
    tokio::select! {
        result = &mut write => result,
        _ = &mut readers => write.await,
    }
}

/// Items that wait to be journaled, and the room they take until they are.
struct Group {
    items: Vec<Item>,
    room: OwnedSemaphorePermit,
}

/// The way to the journal. Bounded by bytes: who finds no room waits, and so in the end does the command that prints.
#[derive(Clone)]
struct Queue {
    groups: mpsc::UnboundedSender<Group>,
    room: Arc<Semaphore>,
}

impl Queue {
    /// Takes items. Whether anybody still journals them: nobody does once the journal has refused.
    async fn take(&self, items: Vec<Item>) -> bool {
        let size = items.iter().map(Item::size).sum::<usize>().min(WAITING);
        let room = Arc::clone(&self.room).acquire_many_owned(u32::try_from(size).unwrap_or(u32::MAX)).await;
        // Never closed.
        let Ok(room) = room else { return false };
        self.groups.send(Group { items, room }).is_ok()
    }
}

/// When what is held back is due.
#[derive(Default)]
struct Pace {
    /// Since when a line without its end is held back.
    held_since: Option<Instant>,
    /// Before this moment no row is drawn anew.
    next_redraw: Option<Instant>,
}

impl Pace {
    /// When something is to be given, if nothing more is printed.
    fn due(&self, lines: &Lines) -> Option<Instant> {
        let held = self.held_since.map(|since| since + PARTIAL);
        let redraw = lines.has_redraws().then(|| self.next_redraw.unwrap_or_else(Instant::now));
        held.into_iter().chain(redraw).min()
    }

    /// Gives what is due now. Returns whether nothing was printed for so long that all that is held is due.
    fn give(&mut self, lines: &mut Lines, masking: &mut Masking, events: &mut Vec<Event>) -> bool {
        let now = Instant::now();
        let before = events.len();
        let is_paused = self.held_since.is_some_and(|since| since + PARTIAL <= now);
        if is_paused {
            self.held_since = None;
            lines.push(masking.flush(), events);
            lines.flush(events);
        }
        if lines.has_redraws() && self.next_redraw.is_none_or(|next| next <= now) {
            lines.redraw(events);
        }
        if events.len() > before {
            let size = events[before..].iter().map(Event::size).sum::<usize>();
            let wait = REDRAW.mul_f64((size as f64 / REDRAW_BYTES as f64).max(1.0));
            self.next_redraw = Some(now + wait.min(REDRAW_LIMIT));
        }
        is_paused
    }
}

/// What is heeded of what is read.
#[derive(Clone, Copy)]
struct Heard<'a> {
    reported: &'a Reported,
    meter: &'a Meter,
}

/// Reads one output to its end, and masks these secrets in it.
async fn read(
    mut pipe: impl AsyncRead + Unpin,
    stream: LogStream,
    phase: Arc<str>,
    Heard { reported, meter }: Heard<'_>,
    secrets: Option<Arc<Patterns>>,
    queue: Queue,
) {
    let mut masking = Masking::new(secrets.clone());
    let mut pieces = Pieces::new(secrets);
    let mut lines = Lines::new(stream.may_report());
    let mut buffer = vec![0; 64 * 1024];
    let mut events = Vec::new();
    let mut pace = Pace::default();
    let frame = |payload: FramePayload| Item::Frame(NewFrame::now(Some(Arc::clone(&phase)), &payload));
    loop {
        let read = match pace.due(&lines) {
            None => Some(pipe.read(&mut buffer).await),
            Some(due) => tokio::time::timeout_at(due, pipe.read(&mut buffer)).await.ok(),
        };
        match read {
            // A pipe that fails has ended.
            Some(Ok(0) | Err(_)) => break,
            Some(Ok(count)) => {
                // What is beyond the limit is read, so that the command does not hang while it is asked to end, and forgotten.
                let count = meter.print(count);
                lines.push(masking.push(&buffer[..count]), &mut events);
                // What is held now is what came last.
                let since = pace.held_since.filter(|_| events.is_empty());
                let is_held = lines.has_new() || masking.holds() || pieces.holds();
                pace.held_since = is_held.then(|| since.unwrap_or_else(Instant::now));
            }
            None => {}
        }
        let is_paused = pace.give(&mut lines, &mut masking, &mut events);
        let mut items = to_items(&mut events, stream, &phase, reported, &mut pieces);
        if is_paused {
            items.extend(pieces.flush().map(frame));
        } else if pieces.holds() {
            pace.held_since.get_or_insert_with(Instant::now);
        }
        items.truncate(meter.make(items.len()));
        if !items.is_empty() && !queue.take(items).await {
            return;
        }
    }
    lines.push(masking.finish(), &mut events);
    lines.finish(&mut events);
    let mut items = to_items(&mut events, stream, &phase, reported, &mut pieces);
    items.extend(pieces.finish().map(frame));
    items.truncate(meter.make(items.len()));
    if !items.is_empty() {
        queue.take(items).await;
    }
}

fn to_items(
    events: &mut Vec<Event>,
    stream: LogStream,
    phase: &Arc<str>,
    reported: &Reported,
    pieces: &mut Pieces,
) -> Vec<Item> {
    let frame = |payload: &FramePayload| NewFrame::now(Some(Arc::clone(phase)), payload);
    let log = |line, cont| Log { stream, line, cont, replaces: None };
    let mut items = Vec::with_capacity(events.len());
    for event in events.drain(..) {
        match event {
            Event::Row { text, cont } => items.push(Item::Row(stream, frame(&FramePayload::Log(log(text, cont))))),
            Event::Redraw { row, text, cont } => items.push(Item::Redraw(row, log(text, cont))),
            Event::Report(line) => {
                let Some(payload) = FramePayload::parse_report(&line) else { continue };
                match heed(&payload, reported) {
                    Ok(()) => items.extend(pieces.take(payload).iter().map(|payload| Item::Frame(frame(payload)))),
                    Err(refused) => {
                        items.push(Item::Frame(frame(&FramePayload::Error(refused))));
                        items.extend(
                            split(&line).map(|(piece, cont)| Item::Frame(frame(&FramePayload::Log(log(piece, cont))))),
                        );
                    }
                }
            }
        }
    }
    items
}

/// Heeds a report. The failure to journal in its place, if it is refused.
fn heed(payload: &FramePayload, reported: &Reported) -> Result<(), Failure> {
    let mut told = reported.lock().unwrap_or_else(PoisonError::into_inner);
    match payload {
        FramePayload::Error(failure) => told.error = Some(failure.message.clone()),
        FramePayload::Output(output) => told.take(output)?,
        _ => {}
    }
    Ok(())
}

/// A line in pieces that fit into frames, and whether each continues the one before.
fn split(line: &str) -> impl Iterator<Item = (String, bool)> {
    let mut rest = Some(line);
    let mut cont = false;
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let (piece, after) = text.split_at(text.floor_char_boundary(MAX_LINE_BYTES));
        rest = Some(after).filter(|after| !after.is_empty());
        Some((piece.to_owned(), std::mem::replace(&mut cont, true)))
    })
}
