//! The recent frames of one run, already encoded for the wire. Pure: no locks, no time.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::model::{FrameRecord, RunId, sse};

/// A bounded memory of the newest frames, without holes. What one commit brought lies in one piece of memory, so that a
/// reader gets all that waits for it in few writes.
#[derive(Debug)]
pub struct Ring {
    pieces: VecDeque<Piece>,
    bytes: usize,
    limit: usize,
}

/// How frames are written (CONTRACT.md, "The stream").
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// As in the stream of one run.
    Plain,
    /// As in the stream of many runs: each frame names its run, which is this one.
    Named(RunId),
}

/// The frames of one commit.
#[derive(Debug)]
struct Piece {
    first: u64,
    plain: Frames,
    /// Made when someone asks for it, then shared like the plain form.
    named: Option<Frames>,
}

/// Frames encoded one after another.
#[derive(Debug)]
struct Frames {
    bytes: Bytes,
    /// Where each frame ends in `bytes`.
    ends: Vec<usize>,
}

impl Frames {
    fn plain(frames: &[FrameRecord]) -> Self {
        Self::written(frames, sse::write_frame)
    }

    fn named(frames: &[FrameRecord], run: &RunId) -> Self {
        Self::written(frames, |out, frame| sse::write_multiplexed_frame(out, run, frame))
    }

    fn written(frames: &[FrameRecord], write: impl Fn(&mut String, &FrameRecord)) -> Self {
        let mut out = String::with_capacity(frames.iter().map(|frame| frame.data.len() + 128).sum());
        let mut ends = Vec::with_capacity(frames.len());
        for frame in frames {
            write(&mut out, frame);
            ends.push(out.len());
        }
        Self { bytes: Bytes::from(out), ends }
    }

    /// These plain frames, each with its run's name.
    fn with_name(&self, run: &RunId) -> Self {
        let mut out = Vec::with_capacity(self.bytes.len() + self.ends.len() * 2 * 48);
        let mut ends = Vec::with_capacity(self.ends.len());
        let mut start = 0;
        for &end in &self.ends {
            sse::multiplex_frame(&mut out, run, &self.bytes[start..end]);
            ends.push(out.len());
            start = end;
        }
        Self { bytes: Bytes::from(out), ends }
    }

    /// All but the first `skipped`.
    fn skip(&self, skipped: u64) -> Bytes {
        match usize::try_from(skipped).ok().and_then(|skipped| self.ends.get(skipped.checked_sub(1)?)) {
            Some(&start) => self.bytes.slice(start..),
            None => self.bytes.clone(),
        }
    }
}

impl Piece {
    fn last(&self) -> u64 {
        self.first + self.plain.ends.len() as u64 - 1
    }

    /// The encoded frames after `cursor`.
    fn after(&mut self, cursor: u64, form: &Form) -> Bytes {
        let skipped = (cursor + 1).saturating_sub(self.first);
        match form {
            Form::Plain => self.plain.skip(skipped),
            Form::Named(run) => self.named.get_or_insert_with(|| self.plain.with_name(run)).skip(skipped),
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

/// Frames in order, encoded one after another.
pub fn encode(frames: &[FrameRecord], form: &Form) -> Bytes {
    match form {
        Form::Plain => Frames::plain(frames).bytes,
        Form::Named(run) => Frames::named(frames, run).bytes,
    }
}

impl Ring {
    /// An empty ring that keeps about `limit` bytes of plain frames, and as much again if some are asked for by name.
    pub fn new(limit: usize) -> Self {
        Self { pieces: VecDeque::new(), bytes: 0, limit }
    }

    /// Adds frames that were committed together. If they do not follow on what is held, that is forgotten first.
    pub fn push(&mut self, frames: &[FrameRecord]) {
        let Some(first) = frames.first().map(|frame| frame.seq) else { return };
        if self.pieces.back().is_some_and(|piece| piece.last() + 1 != first) {
            self.pieces.clear();
            self.bytes = 0;
        }
        let plain = Frames::plain(frames);
        self.bytes += plain.bytes.len();
        self.pieces.push_back(Piece { first, plain, named: None });
        // The newest piece stays whatever its size: it is what everyone is about to ask for.
        while self.bytes > self.limit && self.pieces.len() > 1 {
            self.bytes -= self.pieces.pop_front().map_or(0, |piece| piece.plain.bytes.len());
        }
    }

    /// All frames after `cursor`, if the ring holds the one that comes next.
    pub fn after(&mut self, cursor: u64, form: &Form) -> Option<Encoded> {
        let next = cursor + 1;
        let (first, last) = (self.pieces.front()?.first, self.pieces.back()?.last());
        if next < first || next > last {
            return None;
        }
        let start = self.pieces.partition_point(|piece| piece.last() < next);
        Some(Encoded { pieces: self.pieces.range_mut(start..).map(|piece| piece.after(cursor, form)).collect(), last })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Timestamp;
    use crate::model::sse::SseParser;

    fn frames(first: u64, count: u64) -> Vec<FrameRecord> {
        (first..first + count)
            .map(|seq| FrameRecord {
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
        let mut parser = SseParser::new("");
        let events = encoded.pieces.iter().flat_map(|piece| parser.push(piece)).collect::<Vec<_>>();
        events.iter().map(|event| event.last_event_id.rsplit(':').next().unwrap().parse().unwrap()).collect()
    }

    fn run() -> RunId {
        "01939f1c-8f2a-7c3e-9d5b-0123456789ab".parse().unwrap()
    }

    #[test]
    fn what_does_not_follow_is_not_joined() {
        let mut ring = Ring::new(1 << 20);
        ring.push(&frames(1, 3));
        ring.push(&frames(9, 2));
        assert_eq!(ring.after(2, &Form::Plain), None);
        assert_eq!(seqs(&ring.after(8, &Form::Plain).unwrap()), [9, 10]);
    }

    #[test]
    fn a_frame_larger_than_the_limit_is_still_held() {
        let mut ring = Ring::new(1);
        ring.push(&frames(1, 3));
        ring.push(&frames(4, 1));
        assert_eq!(ring.after(0, &Form::Plain), None);
        assert_eq!(seqs(&ring.after(3, &Form::Plain).unwrap()), [4]);
    }

    #[test]
    fn a_frame_named_later_is_the_frame_written_with_its_name() {
        let mut ring = Ring::new(1 << 20);
        ring.push(&frames(1, 3));
        let form = Form::Named(run());
        assert_eq!(ring.after(0, &form).unwrap().pieces, [encode(&frames(1, 3), &form)]);
        assert_eq!(ring.after(1, &form).unwrap().pieces, [encode(&frames(2, 2), &form)]);
        assert_eq!(ring.after(1, &Form::Plain).unwrap().pieces, [encode(&frames(2, 2), &Form::Plain)]);
    }

    proptest! {
        #[test]
        fn gives_exactly_what_comes_after_or_says_that_it_cannot(
            groups in prop::collection::vec(1u64..6, 1..30),
            limit in 0usize..3000,
            cursor in 0u64..120,
            named in any::<bool>(),
        ) {
            let form = if named { Form::Named(run()) } else { Form::Plain };
            let mut ring = Ring::new(limit);
            let mut head = 0;
            for count in groups {
                ring.push(&frames(head + 1, count));
                head += count;
            }
            match ring.after(cursor, &form) {
                Some(encoded) => {
                    prop_assert_eq!(encoded.last, head);
                    prop_assert_eq!(seqs(&encoded), (cursor + 1..=head).collect::<Vec<_>>());
                }
                // Nothing comes after, or it was forgotten; then what came earlier is forgotten too.
                None => prop_assert!(cursor >= head || (0..cursor).all(|earlier| ring.after(earlier, &form).is_none())),
            }
        }
    }
}
