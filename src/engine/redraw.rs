//! Which frame a row of an output is: a frame that replaces another names its seq, which is known once that one is committed.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::model::{FramePayload, Log, LogStream};
use crate::store::NewFrame;

/// How many rows and pieces of an output may still be drawn anew: more than a screen has.
const KNOWN: usize = 4096;

/// Something on its way to the journal.
#[derive(Debug)]
pub enum Item {
    /// A frame that stays as it is.
    Frame(NewFrame),
    /// The next row of this output.
    Row(LogStream, NewFrame),
    /// A row of the output was drawn anew: its number, and the row as it is now.
    Redraw(u64, Log),
}

impl Item {
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
enum Place {
    /// In the write that is being made: the index of its frame.
    Here(usize),
    /// In the journal: its seq.
    Committed(u64),
}

/// The last rows of one output.
#[derive(Debug)]
struct Output {
    stream: LogStream,
    /// How many rows there were.
    count: u64,
    places: VecDeque<Place>,
}

/// The last rows of the outputs of a command.
#[derive(Debug, Default)]
pub struct Rows {
    outputs: Vec<Output>,
}

impl Rows {
    /// The frames of the next write. A row that is drawn anew before it is journaled is one frame.
    pub fn frames(&mut self, items: Vec<Item>, phase: &Arc<str>) -> Vec<NewFrame> {
        let mut frames = Vec::with_capacity(items.len());
        for item in items {
            match item {
                Item::Frame(frame) => frames.push(frame),
                Item::Row(stream, frame) => {
                    let output = self.output(stream);
                    output.count += 1;
                    output.places.push_back(Place::Here(frames.len()));
                    if output.places.len() > KNOWN {
                        output.places.pop_front();
                    }
                    frames.push(frame);
                }
                Item::Redraw(row, log) => {
                    let place = self.output(log.stream).place(row);
                    let frame = |log| NewFrame::now(Some(Arc::clone(phase)), &FramePayload::Log(log));
                    match place {
                        Some(Place::Here(index)) => frames[index] = frame(log),
                        Some(Place::Committed(seq)) => frames.push(frame(Log { replaces: Some(seq), ..log })),
                        // Rows are drawn anew only while they are on the screen.
                        None => frames.push(frame(log)),
                    }
                }
            }
        }
        frames
    }

    /// The frames of the write are in the journal, from this seq on.
    pub fn committed(&mut self, first: u64) {
        for output in &mut self.outputs {
            // The newest ones.
            for place in output.places.iter_mut().rev() {
                let Place::Here(index) = *place else { break };
                *place = Place::Committed(first + index as u64);
            }
        }
    }

    fn output(&mut self, stream: LogStream) -> &mut Output {
        let index = self.outputs.iter().position(|output| output.stream == stream).unwrap_or_else(|| {
            self.outputs.push(Output { stream, count: 0, places: VecDeque::new() });
            self.outputs.len() - 1
        });
        &mut self.outputs[index]
    }
}

impl Output {
    fn place(&self, row: u64) -> Option<Place> {
        let first = self.count - self.places.len() as u64;
        let index = usize::try_from(row.checked_sub(first)?).ok()?;
        self.places.get(index).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(line: &str) -> Log {
        Log { stream: LogStream::Stdout, line: line.into(), cont: false, replaces: None }
    }

    fn row(stream: LogStream, line: &str) -> Item {
        Item::Row(stream, NewFrame::now(None, &FramePayload::Log(Log { stream, ..log(line) })))
    }

    fn told(frames: &[NewFrame]) -> Vec<(String, Option<u64>)> {
        let read = |frame: &NewFrame| serde_json::from_str::<Log>(&frame.data).unwrap();
        frames.iter().map(read).map(|log| (log.line, log.replaces)).collect()
    }

    #[test]
    fn redraw_names_the_frame_of_its_row() {
        use LogStream::{Stderr, Stdout};
        let (mut rows, phase) = (Rows::default(), Arc::from("p"));
        let other = Item::Frame(NewFrame::now(None, &FramePayload::Log(log("report"))));
        let frames = rows.frames(vec![row(Stdout, "a"), other, row(Stderr, "e"), row(Stdout, "b")], &phase);
        assert_eq!(frames.len(), 4);
        rows.committed(10);
        let items =
            vec![Item::Redraw(1, log("b2")), row(Stdout, "c"), Item::Redraw(2, log("c2")), Item::Redraw(0, log("a2"))];
        let expected = [("b2", Some(13)), ("c2", None), ("a2", Some(10))];
        assert_eq!(told(&rows.frames(items, &phase)), expected.map(|(line, seq)| (line.to_owned(), seq)));
        rows.committed(20);
        let error = Log { stream: Stderr, ..log("e2") };
        let items = vec![Item::Redraw(2, log("c3")), Item::Redraw(0, error)];
        assert_eq!(told(&rows.frames(items, &phase)), [("c3".to_owned(), Some(21)), ("e2".to_owned(), Some(12))]);
    }

    #[test]
    fn only_the_last_rows_are_known() {
        let (mut rows, phase) = (Rows::default(), Arc::from("p"));
        for _ in 0..3 {
            let many = (0..KNOWN).map(|_| row(LogStream::Stdout, "x")).collect();
            rows.frames(many, &phase);
            rows.committed(1);
        }
        assert_eq!(rows.outputs[0].places.len(), KNOWN);
        assert!(rows.outputs[0].place(2 * KNOWN as u64 - 1).is_none());
        assert!(matches!(rows.outputs[0].place(2 * KNOWN as u64), Some(Place::Committed(1))));
    }
}
