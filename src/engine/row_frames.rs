//! Maps the rows of an output to their frames: a redrawn row is journaled as a frame that replaces an earlier one,
//! named by its seq.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{FramePayload, Log, LogStream};
use crate::store::NewFrame;

/// How many rows of an output can still be redrawn. A screen has fewer.
const MAX_KNOWN_ROWS: u64 = 4096;

/// How many runs of rows are stored. Outputs whose frames alternate with others have many, and of those fewer rows can
/// be redrawn after a hand-over; later redraws are new frames.
const MAX_STORED_RUNS: usize = 64;

/// Something to be journaled.
#[derive(Debug)]
pub enum OutputItem {
    /// A frame that is never replaced.
    Frame(NewFrame),
    /// The next row of this output.
    Row(LogStream, NewFrame),
    /// A redrawn row: its number, and its new content.
    Redraw(u64, Log),
}

/// Where the frame of a row is.
#[derive(Clone, Copy, Debug)]
enum RowFrame {
    /// In the next write: the index of its frame.
    Pending(usize),
    /// In the journal: its seq.
    Committed(u64),
}

/// Rows in a row whose frames are, too: the number of the first, its seq (or its index in the next write), and how many
/// there are.
type RowRun = (u64, u64, u64);

/// The last rows of one output.
#[derive(Debug)]
struct RowHistory {
    stream: LogStream,
    /// How many rows the output has had.
    count: u64,
    committed: VecDeque<RowRun>,
    /// The indexes of the frames of the newest rows, in the next write.
    pending: Vec<usize>,
}

/// The same as it is stored with the frames of a write. The seqs of `pending` begin with the first one of the write.
#[derive(Serialize, Deserialize)]
struct StoredRows {
    stream: LogStream,
    count: u64,
    committed: Vec<RowRun>,
    pending: Vec<RowRun>,
}

/// The last rows of all outputs of a command.
#[derive(Debug, Default)]
pub struct RowFrames {
    outputs: Vec<RowHistory>,
}

impl RowFrames {
    /// The frames of the next write. A row that is redrawn before it is journaled has one frame.
    pub fn frames(&mut self, items: Vec<OutputItem>, phase: &Arc<str>) -> Vec<NewFrame> {
        let mut frames = Vec::with_capacity(items.len());
        for item in items {
            match item {
                OutputItem::Frame(frame) => frames.push(frame),
                OutputItem::Row(stream, frame) => {
                    let output = self.output(stream);
                    output.count += 1;
                    output.pending.push(frames.len());
                    frames.push(frame);
                }
                OutputItem::Redraw(row, log) => {
                    let target = self.output(log.stream).frame_of(row);
                    let frame = |log| NewFrame::now(Some(Arc::clone(phase)), &FramePayload::Log(log));
                    match target {
                        Some(RowFrame::Pending(index)) => frames[index] = frame(log),
                        Some(RowFrame::Committed(seq)) => frames.push(frame(Log { replaces: Some(seq), ..log })),
                        // The row has left the screen long ago, and rows are redrawn only on the screen.
                        None => frames.push(frame(log)),
                    }
                }
            }
        }
        frames
    }

    /// Records that the frames of the last write are in the journal, from this seq on.
    pub fn committed(&mut self, first: u64) {
        for output in &mut self.outputs {
            let mut row = output.count - output.pending.len() as u64;
            for index in std::mem::take(&mut output.pending) {
                output.add(row, first + index as u64);
                row += 1;
            }
        }
    }

    /// What is to be stored with the frames of the next write.
    pub fn to_json(&self) -> String {
        let stored = self.outputs.iter().map(|output| {
            let first = output.count - output.pending.len() as u64;
            let mut pending = Vec::new();
            for (row, index) in (first..).zip(&output.pending) {
                add_to_runs(&mut pending, row, *index as u64);
            }
            let committed = output.committed.iter().rev().take(MAX_STORED_RUNS).rev().copied().collect();
            StoredRows { stream: output.stream, count: output.count, committed, pending }
        });
        serde_json::to_string(&stored.collect::<Vec<_>>()).unwrap_or_default()
    }

    /// The rows as they were stored with a write whose frames begin with this seq.
    ///
    /// # Errors
    /// The text is not what [`Self::to_json`] returns.
    pub fn from_json(text: &str, first: u64) -> serde_json::Result<Self> {
        let stored: Vec<StoredRows> = serde_json::from_str(text)?;
        let outputs = stored.into_iter().map(|StoredRows { stream, count, committed, pending }| {
            let mut output = RowHistory { stream, count, committed: committed.into(), pending: Vec::new() };
            for (row, index, length) in pending {
                (0..length).for_each(|next| output.add(row + next, first + index + next));
            }
            output
        });
        Ok(Self { outputs: outputs.collect() })
    }

    fn output(&mut self, stream: LogStream) -> &mut RowHistory {
        let index = self.outputs.iter().position(|output| output.stream == stream).unwrap_or_else(|| {
            self.outputs.push(RowHistory { stream, count: 0, committed: VecDeque::new(), pending: Vec::new() });
            self.outputs.len() - 1
        });
        &mut self.outputs[index]
    }
}

impl RowHistory {
    fn frame_of(&self, row: u64) -> Option<RowFrame> {
        if let Some(place) = row.checked_sub(self.count - self.pending.len() as u64) {
            return self.pending.get(usize::try_from(place).ok()?).copied().map(RowFrame::Pending);
        }
        let after = self.committed.partition_point(|(first, ..)| *first <= row);
        let (first, seq, length) = *self.committed.get(after.checked_sub(1)?)?;
        (row - first < length).then(|| RowFrame::Committed(seq + (row - first)))
    }

    /// Adds a row that is in the journal.
    fn add(&mut self, row: u64, seq: u64) {
        match self.committed.back_mut() {
            Some(run) if continues(run, row, seq) => run.2 += 1,
            _ => self.committed.push_back((row, seq, 1)),
        }
        while let Some((first, seq, length)) = self.committed.front_mut()
            && row - *first >= MAX_KNOWN_ROWS
        {
            (*first, *seq, *length) = (*first + 1, *seq + 1, *length - 1);
            if *length == 0 {
                self.committed.pop_front();
            }
        }
    }
}

const fn continues((first, at, length): &RowRun, row: u64, place: u64) -> bool {
    *first + *length == row && *at + *length == place
}

fn add_to_runs(runs: &mut Vec<RowRun>, row: u64, place: u64) {
    match runs.last_mut() {
        Some(run) if continues(run, row, place) => run.2 += 1,
        _ => runs.push((row, place, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(line: &str) -> Log {
        Log { stream: LogStream::Stdout, line: line.into(), cont: false, replaces: None }
    }

    fn row(stream: LogStream, line: &str) -> OutputItem {
        OutputItem::Row(stream, NewFrame::now(None, &FramePayload::Log(Log { stream, ..log(line) })))
    }

    fn logged(frames: &[NewFrame]) -> Vec<(String, Option<u64>)> {
        let read = |frame: &NewFrame| serde_json::from_str::<Log>(&frame.data).unwrap();
        frames.iter().map(read).map(|log| (log.line, log.replaces)).collect()
    }

    #[test]
    fn row_frames_name_the_frame_to_replace() {
        use LogStream::{Stderr, Stdout};
        let (mut rows, phase) = (RowFrames::default(), Arc::from("p"));
        let other = OutputItem::Frame(NewFrame::now(None, &FramePayload::Log(log("report"))));
        let frames = rows.frames(vec![row(Stdout, "a"), other, row(Stderr, "e"), row(Stdout, "b")], &phase);
        assert_eq!(frames.len(), 4);
        rows.committed(10);
        let items = vec![
            OutputItem::Redraw(1, log("b2")),
            row(Stdout, "c"),
            OutputItem::Redraw(2, log("c2")),
            OutputItem::Redraw(0, log("a2")),
        ];
        let expected = [("b2", Some(13)), ("c2", None), ("a2", Some(10))];
        assert_eq!(logged(&rows.frames(items, &phase)), expected.map(|(line, seq)| (line.to_owned(), seq)));
        rows.committed(20);
        let error = Log { stream: Stderr, ..log("e2") };
        let items = vec![OutputItem::Redraw(2, log("c3")), OutputItem::Redraw(0, error)];
        assert_eq!(logged(&rows.frames(items, &phase)), [("c3".to_owned(), Some(21)), ("e2".to_owned(), Some(12))]);
    }

    #[test]
    fn row_frames_keep_only_the_last_rows() {
        let (mut rows, phase) = (RowFrames::default(), Arc::from("p"));
        for first in [1, MAX_KNOWN_ROWS + 1, 2 * MAX_KNOWN_ROWS + 5] {
            let many = (0..MAX_KNOWN_ROWS).map(|_| row(LogStream::Stdout, "x")).collect();
            rows.frames(many, &phase);
            rows.committed(first);
        }
        assert_eq!(rows.outputs[0].committed, [(2 * MAX_KNOWN_ROWS, 2 * MAX_KNOWN_ROWS + 5, MAX_KNOWN_ROWS)]);
        assert!(rows.outputs[0].frame_of(2 * MAX_KNOWN_ROWS - 1).is_none());
        assert!(matches!(rows.outputs[0].frame_of(3 * MAX_KNOWN_ROWS - 1), Some(RowFrame::Committed(_))));
    }

    proptest::proptest! {
        /// Whatever was printed and committed: the rows that are stored with a write are those after its commit.
        #[test]
        fn row_frames_are_stored_as_they_are_after_the_commit(
            writes in proptest::collection::vec((proptest::collection::vec(0..4u8, 1..30), 0..5u64), 1..20),
        ) {
            use LogStream::{Stderr, Stdout};
            let (mut rows, phase, mut head) = (RowFrames::default(), Arc::from("p"), 0);
            for (kinds, others) in writes {
                let items = kinds.into_iter().map(|kind| match kind {
                    0 => OutputItem::Frame(NewFrame::now(None, &FramePayload::Log(log("report")))),
                    1 => row(Stderr, "e"),
                    _ => row(Stdout, "o"),
                });
                let count = rows.frames(items.collect(), &phase).len() as u64;
                let (stored, first) = (rows.to_json(), head + others + 1);
                rows.committed(first);
                head += others + count;
                let loaded = RowFrames::from_json(&stored, first).unwrap();
                for stream in [Stdout, Stderr] {
                    let last = rows.output(stream).count;
                    let of = |rows: &RowFrames, row| rows.outputs.iter().find(|output| output.stream == stream)
                        .and_then(|output| output.frame_of(row)).map(|frame| format!("{frame:?}"));
                    for row in last.saturating_sub(MAX_STORED_RUNS as u64)..last {
                        proptest::prop_assert_eq!(of(&loaded, row), of(&rows, row));
                    }
                }
            }
        }
    }
}
