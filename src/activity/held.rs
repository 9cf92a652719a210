//! The frames a page holds: one contiguous stretch of a run's journal.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crate::model::{Cursor, Frame};

/// A stretch of a journal, without gaps, that ends at the page's cursor.
///
/// There is always a cursor: a page that does not know one yet has no `Held`. So "no cursor yet" and "cursor 0" cannot be
/// taken for each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    frames: VecDeque<Arc<Frame>>,
    cursor: Cursor,
}

impl Held {
    /// Nothing held; the next frame is the one after `cursor`.
    pub const fn after(cursor: Cursor) -> Self {
        Self { frames: VecDeque::new(), cursor }
    }

    /// The last seq this page has.
    pub const fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The seq of the first frame held; while nothing is held, the seq of the next frame.
    pub fn first(&self) -> u64 {
        self.cursor.0 + 1 - self.frames.len() as u64
    }

    /// How many frames are held.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether no frame is held.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The frame of this seq, if it is held.
    pub fn get(&self, seq: u64) -> Option<&Arc<Frame>> {
        self.frames.get(self.index_of(seq)?)
    }

    /// Where the frame of this seq stands among those held.
    pub fn index_of(&self, seq: u64) -> Option<usize> {
        let index = usize::try_from(seq.checked_sub(self.first())?).ok()?;
        (index < self.frames.len()).then_some(index)
    }

    /// The frames at these places, as far as there are any.
    pub fn slice(&self, places: Range<usize>) -> impl Iterator<Item = &Arc<Frame>> {
        let end = places.end.min(self.frames.len());
        self.frames.range(places.start.min(end)..end)
    }

    /// Missing seqs between the first and the last frame held, by what the frames themselves say: always 0.
    pub fn gaps(&self) -> u64 {
        match (self.frames.front(), self.frames.back()) {
            (Some(first), Some(last)) => (last.seq + 1).saturating_sub(first.seq + self.frames.len() as u64),
            _ => 0,
        }
    }

    /// Takes the frame after the cursor. The caller has made sure that it is that one.
    pub(super) fn push(&mut self, frame: Arc<Frame>) {
        debug_assert_eq!(frame.seq, self.cursor.0 + 1);
        self.cursor = Cursor(frame.seq);
        self.frames.push_back(frame);
    }

    /// Takes the frame before the first one held. The caller has made sure that it is that one.
    pub(super) fn push_older(&mut self, frame: Arc<Frame>) {
        debug_assert_eq!(frame.seq + 1, self.first());
        self.frames.push_front(frame);
    }

    /// Lets go of the oldest frames until at most `most` are held.
    pub(super) fn keep_newest(&mut self, most: usize) {
        let surplus = self.frames.len().saturating_sub(most);
        self.frames.drain(..surplus);
    }
}
