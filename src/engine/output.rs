//! Reads a command's outputs and journals them as frames.
//!
//! Output that arrives during a commit is collected for the next one: a command that prints fast is journaled in large
//! writes, and one that prints slowly without delay. If the journal cannot keep up, the pipes fill and the command
//! blocks.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use super::command::launcher::Outputs;
use super::meter::Meter;
use super::output_masker::{OutputMasker, ReportMasker};
use super::phase_report::SharedReport;
use super::row_frames::{OutputItem, RowFrames};
use crate::journal::{Journal, WriteError};
use crate::model::kinds::{Failure, MAX_LINE_BYTES};
use crate::model::{FramePayload, Log, LogStream};
use crate::secrets::Patterns;
use crate::store::{AppendFrames, Lease, NewFrame, RunWrite};
use crate::terminal::{Event, Lines};

/// How long an unfinished line is held back.
const PARTIAL_LINE_DELAY: Duration = Duration::from_millis(200);

/// The least time between two redraws.
const REDRAW_INTERVAL: Duration = Duration::from_secs(1);

/// About how many bytes of redraws are journaled per [`REDRAW_INTERVAL`]. Long rows are redrawn less often.
const REDRAW_BYTES_PER_INTERVAL: usize = 4096;

/// The most time between two redraws.
const MAX_REDRAW_INTERVAL: Duration = Duration::from_secs(4);

/// About how many bytes of frames one write has.
const WRITE_BYTES: usize = 256 * 1024;

/// About how many bytes of frames may be queued: enough that the next write is full when the last one is done. Counted
/// in bytes, since one read returns from one byte to 64 KiB.
const MAX_QUEUED_BYTES: usize = 2 * WRITE_BYTES;

/// Journals these outputs until they end, up to the limits of the attempt.
///
/// # Errors
/// The lease is lost, or the database's own.
pub async fn journal_outputs(
    outputs: Outputs,
    journal: &Journal,
    lease: Lease,
    phase: &Arc<str>,
    report: &SharedReport,
    meter: &Meter,
) -> Result<(), WriteError> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let queue = OutputQueue { sender, free_bytes: Arc::new(Semaphore::new(MAX_QUEUED_BYTES)) };
    let secrets = journal.masked(lease.run);
    let readers = outputs.into_iter().map(|(stream, pipe)| {
        // The last reader drops the last sender.
        read_output(pipe, stream, Arc::clone(phase), Accounting { report, meter }, secrets.clone(), queue.clone())
    });
    let readers = futures::future::join_all(readers);
    drop(queue);
    let write = async {
        let mut rows = RowFrames::default();
        while let Some(QueuedItems { mut items, mut share }) = receiver.recv().await {
            while share.num_permits() < WRITE_BYTES
                && let Ok(more) = receiver.try_recv()
            {
                share.merge(more.share);
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
    // The writer completes when all readers have ended, or at once if the journal refuses.
    tokio::pin!(readers);
    tokio::pin!(write);
    tokio::select! {
        result = &mut write => result,
        _ = &mut readers => write.await,
    }
}

/// Items to be journaled, and their share of the queue's bytes.
struct QueuedItems {
    items: Vec<OutputItem>,
    share: OwnedSemaphorePermit,
}

/// The queue from the readers to the writer. It is bounded by bytes: a full queue blocks the reader, and so at last the
/// command.
#[derive(Clone)]
struct OutputQueue {
    sender: mpsc::UnboundedSender<QueuedItems>,
    free_bytes: Arc<Semaphore>,
}

impl OutputQueue {
    /// Queues items. Returns false if the journal has refused, so that nobody will write them.
    async fn push(&self, items: Vec<OutputItem>) -> bool {
        let size = items.iter().map(OutputItem::size).sum::<usize>().min(MAX_QUEUED_BYTES);
        let share = Arc::clone(&self.free_bytes).acquire_many_owned(u32::try_from(size).unwrap_or(u32::MAX)).await;
        // The semaphore is never closed.
        let Ok(share) = share else { return false };
        self.sender.send(QueuedItems { items, share }).is_ok()
    }
}

/// When output that is held back has to be flushed.
#[derive(Default)]
struct FlushTimer {
    /// Since when an unfinished line is held back.
    held_since: Option<Instant>,
    /// No row is redrawn before this moment.
    next_redraw: Option<Instant>,
}

impl FlushTimer {
    /// When the next flush is due if nothing more is printed.
    fn due(&self, lines: &Lines) -> Option<Instant> {
        let held = self.held_since.map(|since| since + PARTIAL_LINE_DELAY);
        let redraw = lines.has_redraws().then(|| self.next_redraw.unwrap_or_else(Instant::now));
        held.into_iter().chain(redraw).min()
    }

    /// Flushes what is due. Returns whether the command has been silent for so long that everything held back is due.
    fn flush(&mut self, lines: &mut Lines, masker: &mut OutputMasker, events: &mut Vec<Event>) -> bool {
        let now = Instant::now();
        let before = events.len();
        let is_paused = self.held_since.is_some_and(|since| since + PARTIAL_LINE_DELAY <= now);
        if is_paused {
            self.held_since = None;
            lines.push(masker.flush(), events);
            lines.flush(events);
        }
        if lines.has_redraws() && self.next_redraw.is_none_or(|next| next <= now) {
            lines.redraw(events);
        }
        if events.len() > before {
            let size = events[before..].iter().map(Event::size).sum::<usize>();
            let wait = REDRAW_INTERVAL.mul_f64((size as f64 / REDRAW_BYTES_PER_INTERVAL as f64).max(1.0));
            self.next_redraw = Some(now + wait.min(MAX_REDRAW_INTERVAL));
        }
        is_paused
    }
}

/// What is updated as output is read.
#[derive(Clone, Copy)]
struct Accounting<'a> {
    report: &'a SharedReport,
    meter: &'a Meter,
}

/// Reads one output to its end, and masks these secrets in it.
async fn read_output(
    mut pipe: impl AsyncRead + Unpin,
    stream: LogStream,
    phase: Arc<str>,
    Accounting { report, meter }: Accounting<'_>,
    secrets: Option<Arc<Patterns>>,
    queue: OutputQueue,
) {
    let mut masker = OutputMasker::new(secrets.clone());
    let mut report_masker = ReportMasker::new(secrets);
    let mut lines = Lines::new(stream.may_report());
    let mut buffer = vec![0; 64 * 1024];
    let mut events = Vec::new();
    let mut timer = FlushTimer::default();
    let frame = |payload: FramePayload| OutputItem::Frame(NewFrame::now(Some(Arc::clone(&phase)), &payload));
    loop {
        let read = match timer.due(&lines) {
            None => Some(pipe.read(&mut buffer).await),
            Some(due) => tokio::time::timeout_at(due, pipe.read(&mut buffer)).await.ok(),
        };
        match read {
            // A failed read means that the pipe has ended.
            Some(Ok(0) | Err(_)) => break,
            Some(Ok(count)) => {
                // Bytes beyond the limit are read and discarded, so that the command does not block while it is being
                // ended.
                let count = meter.count_output(count);
                lines.push(masker.push(&buffer[..count]), &mut events);
                // Without an event, what is held back is older than this read.
                let since = timer.held_since.filter(|_| events.is_empty());
                let is_held = lines.has_new() || masker.has_held_bytes() || report_masker.has_held_bytes();
                timer.held_since = is_held.then(|| since.unwrap_or_else(Instant::now));
            }
            None => {}
        }
        let is_paused = timer.flush(&mut lines, &mut masker, &mut events);
        let mut items = to_items(&mut events, stream, &phase, report, &mut report_masker);
        if is_paused {
            items.extend(report_masker.flush().map(frame));
        } else if report_masker.has_held_bytes() {
            timer.held_since.get_or_insert_with(Instant::now);
        }
        items.truncate(meter.count_frames(items.len()));
        if !items.is_empty() && !queue.push(items).await {
            return;
        }
    }
    lines.push(masker.finish(), &mut events);
    lines.finish(&mut events);
    let mut items = to_items(&mut events, stream, &phase, report, &mut report_masker);
    items.extend(report_masker.finish().map(frame));
    items.truncate(meter.count_frames(items.len()));
    if !items.is_empty() {
        queue.push(items).await;
    }
}

fn to_items(
    events: &mut Vec<Event>,
    stream: LogStream,
    phase: &Arc<str>,
    report: &SharedReport,
    report_masker: &mut ReportMasker,
) -> Vec<OutputItem> {
    let frame = |payload: &FramePayload| NewFrame::now(Some(Arc::clone(phase)), payload);
    let log = |line, cont| Log { stream, line, cont, replaces: None };
    let mut items = Vec::with_capacity(events.len());
    for event in events.drain(..) {
        match event {
            Event::Row { text, cont } => {
                items.push(OutputItem::Row(stream, frame(&FramePayload::Log(log(text, cont)))))
            }
            Event::Redraw { row, text, cont } => items.push(OutputItem::Redraw(row, log(text, cont))),
            Event::Report(line) => {
                let Some(payload) = FramePayload::parse_report(&line) else { continue };
                match apply_report(&payload, report) {
                    Ok(()) => items
                        .extend(report_masker.push(payload).iter().map(|payload| OutputItem::Frame(frame(payload)))),
                    Err(refused) => {
                        items.push(OutputItem::Frame(frame(&FramePayload::Error(refused))));
                        items.extend(
                            split_line(&line)
                                .map(|(part, cont)| OutputItem::Frame(frame(&FramePayload::Log(log(part, cont))))),
                        );
                    }
                }
            }
        }
    }
    items
}

/// Applies a report of the command. Returns the failure to journal in its place, if it is refused.
fn apply_report(payload: &FramePayload, report: &SharedReport) -> Result<(), Failure> {
    let mut report = report.lock();
    match payload {
        FramePayload::Error(failure) => report.error = Some(failure.message.clone()),
        FramePayload::Output(output) => report.accept_output(output)?,
        _ => {}
    }
    Ok(())
}

/// Splits a line into parts that fit into frames, each with whether it continues the one before.
fn split_line(line: &str) -> impl Iterator<Item = (String, bool)> {
    let mut rest = Some(line);
    let mut cont = false;
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let (part, after) = text.split_at(text.floor_char_boundary(MAX_LINE_BYTES));
        rest = Some(after).filter(|after| !after.is_empty());
        Some((part.to_owned(), std::mem::replace(&mut cont, true)))
    })
}
