//! The recent frames of one run, already encoded for the wire. Pure: no locks, no time.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::model::{Record, sse};

/// A bounded memory of the newest frames, without holes. What one commit brought lies in one piece of memory, so that a
/// reader gets all that waits for it in few writes.
#[derive(Debug)]
pub struct Ring {
    pieces: VecDeque<Piece>,
    bytes: usize,
    limit: usize,
}

/// The frames of one commit, encoded one after another.
#[derive(Debug)]
struct Piece {
    first: u64,
    bytes: Bytes,
    /// Where each frame ends in `bytes`.
    ends: Vec<usize>,
}

impl Piece {
    fn last(&self) -> u64 {
        self.first + self.ends.len() as u64 - 1
    }

    /// The encoded frames after `cursor`.
    fn after(&self, cursor: u64) -> Bytes {
        let skipped = (cursor + 1).saturating_sub(self.first);
        match usize::try_from(skipped).ok().and_then(|skipped| self.ends.get(skipped.checked_sub(1)?)) {
            Some(&start) => self.bytes.slice(start..),
            None => self.bytes.clone(),
        }
    }
}

/// Frames encoded one after another, as a reader sends them.
#[derive(Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The bytes, in order.
    pub pieces: Vec<Bytes>,
    /// The seq of the last frame in them.
    pub last: u64,
}

/// Frames in order, encoded one after another: the bytes, and where each frame ends in them.
pub fn encode(frames: &[Record]) -> (Bytes, Vec<usize>) {
    let mut out = String::with_capacity(frames.iter().map(|frame| frame.data.len() + 128).sum());
    let ends = frames.iter().map(|frame| {
        sse::write_frame(&mut out, frame);
        out.len()
    });
    let ends = ends.collect();
    (Bytes::from(out), ends)
}

impl Ring {
    /// An empty ring that keeps about `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { pieces: VecDeque::new(), bytes: 0, limit }
    }

    /// Adds frames that were committed together. If they do not follow on what is held, that is forgotten first.
    pub fn push(&mut self, frames: &[Record]) {
        let Some(first) = frames.first().map(|frame| frame.seq) else { return };
        if self.pieces.back().is_some_and(|piece| piece.last() + 1 != first) {
            self.pieces.clear();
            self.bytes = 0;
        }
        let (bytes, ends) = encode(frames);
        self.bytes += bytes.len();
        self.pieces.push_back(Piece { first, bytes, ends });
        // The newest piece stays whatever its size: it is what everyone is about to ask for.
        while self.bytes > self.limit && self.pieces.len() > 1 {
            self.bytes -= self.pieces.pop_front().map_or(0, |piece| piece.bytes.len());
        }
    }

    /// All frames after `cursor`, if the ring holds the one that comes next.
    pub fn after(&self, cursor: u64) -> Option<Encoded> {
        let next = cursor + 1;
        let (first, last) = (self.pieces.front()?.first, self.pieces.back()?.last());
        if next < first || next > last {
            return None;
        }
        let start = self.pieces.partition_point(|piece| piece.last() < next);
        Some(Encoded { pieces: self.pieces.range(start..).map(|piece| piece.after(cursor)).collect(), last })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Timestamp;
    use crate::model::sse::Parser;

    fn frames(first: u64, count: u64) -> Vec<Record> {
        (first..first + count)
            .map(|seq| Record {
                seq,
                ts: Timestamp(0),
                attempt: 1,
                phase: None,
                kind: "token".into(),
                data: format!("{{\"text\":\"{seq}\"}}").into(),
            })
            .collect()
    }

    fn seqs(encoded: &Encoded) -> Vec<u64> {
        let mut parser = Parser::new("");
        let events = encoded.pieces.iter().flat_map(|piece| parser.push(piece)).collect::<Vec<_>>();
        events.iter().map(|event| event.last_event_id.parse().unwrap()).collect()
    }

    #[test]
    fn what_does_not_follow_is_not_joined() {
        let mut ring = Ring::new(1 << 20);
        ring.push(&frames(1, 3));
        ring.push(&frames(9, 2));
        assert_eq!(ring.after(2), None);
        assert_eq!(seqs(&ring.after(8).unwrap()), [9, 10]);
    }

    #[test]
    fn a_frame_larger_than_the_limit_is_still_held() {
        let mut ring = Ring::new(1);
        ring.push(&frames(1, 3));
        ring.push(&frames(4, 1));
        assert_eq!(ring.after(0), None);
        assert_eq!(seqs(&ring.after(3).unwrap()), [4]);
    }

    proptest! {
        #[test]
        fn gives_exactly_what_comes_after_or_says_that_it_cannot(
            groups in prop::collection::vec(1u64..6, 1..30),
            limit in 0usize..3000,
            cursor in 0u64..120,
        ) {
            let mut ring = Ring::new(limit);
            let mut head = 0;
            for count in groups {
                ring.push(&frames(head + 1, count));
                head += count;
            }
            match ring.after(cursor) {
                Some(encoded) => {
                    prop_assert_eq!(encoded.last, head);
                    prop_assert_eq!(seqs(&encoded), (cursor + 1..=head).collect::<Vec<_>>());
                }
                // Nothing comes after, or it was forgotten; then what came earlier is forgotten too.
                None => prop_assert!(cursor >= head || (0..cursor).all(|earlier| ring.after(earlier).is_none())),
            }
        }
    }
}
