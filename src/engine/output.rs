//! Journals what a command prints.
//!
//! Records that arrive during a commit wait for the next one: a command that prints fast is journaled in large writes,
//! and one that prints slowly without delay. If the journal cannot keep up, the supervisor keeps the records, and at
//! last the command blocks.

use std::sync::{Arc, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::clock::uptime_ms;
use super::command::handover::record::{Record, TimedRecord};
use super::command::launcher::RecordSource;
use super::meter::Meter;
use super::phase_report::{PhaseReport, SharedReport};
use super::row_frames::{OutputItem, RowFrames};
use crate::journal::{Journal, WriteError};
use crate::model::kinds::{Failure, MAX_LINE_BYTES};
use crate::model::{FramePayload, Log, Timestamp};
use crate::store::{AppendFrames, Lease, NewFrame, RunWrite, SpoolPosition, SupervisorUpdate};

/// Where the output of a command goes.
pub(super) struct OutputJournal<'a> {
    pub(super) journal: &'a Journal,
    pub(super) lease: Lease,
    pub(super) phase: Arc<str>,
    /// What the command reports for the engine. `None` of processes in the background: their phase has ended.
    pub(super) report: Option<&'a SharedReport>,
    pub(super) meter: &'a Meter,
    /// Whether another server can take the command over, so that the offset is stored with the frames.
    pub(super) is_adoptable: bool,
    pub(super) reading: Reading,
}

/// What reads output, so that a server that leaves its commands to the next one can wait until all that was read is
/// journaled.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    /// Nothing more is read.
    pub(super) stop: CancellationToken,
    pub(super) readers: TaskTracker,
}

impl OutputJournal<'_> {
    /// Journals these records to the end of the command's own output, or, when called again, of what it has left in the
    /// background. `rows` are those journaled before.
    ///
    /// # Errors
    /// The lease is lost, or the database's own.
    pub(super) async fn run(&self, records: &mut dyn RecordSource, mut rows: RowFrames) -> Result<(), WriteError> {
        let reader = self.reading.readers.token();
        loop {
            let mut pending = Vec::new();
            let has_more = tokio::select! {
                biased;
                () = self.reading.stop.cancelled() => {
                    drop(reader);
                    return std::future::pending().await;
                }
                has_more = records.next(&mut pending) => has_more,
            };
            if let Some(last) = pending.last() {
                let offset = last.end;
                if self.write(pending, offset, &mut rows).await? {
                    records.acknowledge(offset);
                }
            }
            if !has_more {
                return Ok(());
            }
        }
    }

    /// Journals the records before this offset. Returns whether there was anything to journal.
    async fn write(&self, records: Vec<TimedRecord>, offset: u64, rows: &mut RowFrames) -> Result<bool, WriteError> {
        let (mut items, mut has_reported) = (Vec::with_capacity(records.len()), false);
        for record in records {
            self.meter.count_output(record.output_bytes as usize);
            self.add(record, &mut items, &mut has_reported);
        }
        items.truncate(self.meter.count_frames(items.len()));
        if items.is_empty() {
            return Ok(false);
        }
        let frames = rows.frames(items, &self.phase);
        let supervisor = self.is_adoptable.then(|| {
            let report = self.report.filter(|_| has_reported).map(|report| lock(report).to_json());
            Box::new(SupervisorUpdate::Journaled(SpoolPosition {
                phase: Arc::clone(&self.phase),
                offset,
                rows: rows.to_json(),
                report,
                usage: self.meter.usage_json(),
            }))
        });
        let mut write = RunWrite::new(AppendFrames { lease: self.lease, supervisor });
        write.frames = frames;
        let committed = self.journal.write(write).await?;
        if let Some(first) = committed.frames.first() {
            rows.committed(first.seq);
        }
        Ok(true)
    }

    fn add(&self, record: TimedRecord, items: &mut Vec<OutputItem>, has_reported: &mut bool) {
        let ts = time_of(record.uptime_ms);
        let frame = |kind: &str, data: String| NewFrame {
            ts,
            phase: Some(Arc::clone(&self.phase)),
            kind: kind.into(),
            data: data.into(),
        };
        match record.record {
            Record::Row { stream, data } => items.push(OutputItem::Row(stream, frame("log", data))),
            Record::Redraw { stream, row, text, cont } => {
                items.push(OutputItem::Redraw(row, Log { stream, line: text, cont, replaces: None }));
            }
            Record::Frame { kind, data } => {
                if kind == "error"
                    && let Ok(failure) = serde_json::from_str::<Failure>(&data)
                {
                    if let Some(report) = self.report {
                        lock(report).error = Some(failure.message);
                    }
                    *has_reported = true;
                }
                items.push(OutputItem::Frame(frame(&kind, data)));
            }
            Record::Output { stream, line } => {
                let Some(FramePayload::Output(output)) = FramePayload::parse_report(&line) else { return };
                let accepted = self.report.map_or(Ok(()), |report| lock(report).accept_output(&output));
                *has_reported = true;
                let item = |payload: &FramePayload| OutputItem::Frame(frame(payload.kind(), payload.data()));
                match accepted {
                    Ok(()) => items.push(item(&FramePayload::Output(output))),
                    Err(refused) => {
                        items.push(item(&FramePayload::Error(refused)));
                        let log = |(line, cont)| FramePayload::Log(Log { stream, line, cont, replaces: None });
                        items.extend(split_line(&line).map(|part| item(&log(part))));
                    }
                }
            }
            Record::Bytes { .. }
            | Record::Discarded
            | Record::OutputEnded
            | Record::Event(_)
            | Record::Finished
            | Record::Unknown => {}
        }
    }
}

/// A poisoned lock is safe to use: a report is valid between any two statements.
fn lock(report: &SharedReport) -> MutexGuard<'_, PhaseReport> {
    report.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When a record was made, by the attempt's clock. 0 stands for now.
fn time_of(record_uptime_ms: i64) -> Timestamp {
    let now = Timestamp::now();
    match record_uptime_ms {
        0 => now,
        made => Timestamp(now.0 - (uptime_ms() - made).max(0)),
    }
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

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;
