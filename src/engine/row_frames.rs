//! Maps the rows of an output to their frames: a redrawn row is journaled as a frame that replaces an earlier one,
//! named by its seq.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::model::{FramePayload, Log, LogStream};
use crate::store::NewFrame;

/// How many rows of an output can still be redrawn. A screen has fewer.
const MAX_KNOWN_ROWS: usize = 4096;

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

impl OutputItem {
    /// About how many bytes it takes.
    pub fn size(&self) -> usize {
        match self {
            Self::Frame(frame) | Self::Row(_, frame) => frame.size(),
            Self::Redraw(_, log) => log.line.len() + 128,
        }
    }
}

/// Where the frame of a row is.
#[derive(Clone, Copy, Debug)]
enum RowFrame {
    /// In the next write: the index of its frame.
    Pending(usize),
    /// In the journal: its seq.
    Committed(u64),
}

/// The last rows of one output.
#[derive(Debug)]
struct RowHistory {
    stream: LogStream,
    /// How many rows the output has had.
    count: u64,
    frames: VecDeque<RowFrame>,
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
                    output.frames.push_back(RowFrame::Pending(frames.len()));
                    if output.frames.len() > MAX_KNOWN_ROWS {
                        output.frames.pop_front();
                    }
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
            // Pending rows are the newest ones.
            for row in output.frames.iter_mut().rev() {
                let RowFrame::Pending(index) = *row else { break };
                *row = RowFrame::Committed(first + index as u64);
            }
        }
    }

    fn output(&mut self, stream: LogStream) -> &mut RowHistory {
        let index = self.outputs.iter().position(|output| output.stream == stream).unwrap_or_else(|| {
            self.outputs.push(RowHistory { stream, count: 0, frames: VecDeque::new() });
            self.outputs.len() - 1
        });
        &mut self.outputs[index]
    }
}

impl RowHistory {
    fn frame_of(&self, row: u64) -> Option<RowFrame> {
        let first = self.count - self.frames.len() as u64;
        let index = usize::try_from(row.checked_sub(first)?).ok()?;
        self.frames.get(index).copied()
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
        for _ in 0..3 {
            let many = (0..MAX_KNOWN_ROWS).map(|_| row(LogStream::Stdout, "x")).collect();
            rows.frames(many, &phase);
            rows.committed(1);
        }
        assert_eq!(rows.outputs[0].frames.len(), MAX_KNOWN_ROWS);
        assert!(rows.outputs[0].frame_of(2 * MAX_KNOWN_ROWS as u64 - 1).is_none());
        assert!(matches!(rows.outputs[0].frame_of(2 * MAX_KNOWN_ROWS as u64), Some(RowFrame::Committed(1))));
    }
}
