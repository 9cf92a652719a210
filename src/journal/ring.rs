//! The recent frames of one run, encoded for the wire. Pure: no locks, no clock.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::model::{FrameRecord, RunId, sse};

/// A bounded memory of the newest frames, without gaps. The frames of one commit share one allocation, so that a reader
/// sends all that it lacks in few writes.
#[derive(Debug)]
pub struct Ring {
    commits: VecDeque<Commit>,
    bytes: usize,
    limit: usize,
}

/// How frames are encoded (docs/CONTRACT.md, "The stream").
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameEncoding {
    /// For the stream of one run.
    Single,
    /// For a stream of many runs: each frame names its run, which is this one.
    Multiplexed(RunId),
}

/// The frames of one commit.
#[derive(Debug)]
struct Commit {
    first: u64,
    single: CommitFrames,
    /// Encoded on first use, then shared like `single`.
    multiplexed: Option<CommitFrames>,
}

/// Frames encoded one after another.
#[derive(Debug)]
struct CommitFrames {
    bytes: Bytes,
    /// Where each frame ends in `bytes`.
    ends: Vec<usize>,
}

impl CommitFrames {
    fn single(frames: &[FrameRecord]) -> Self {
        Self::encode_with(frames, sse::write_frame)
    }

    fn multiplexed(frames: &[FrameRecord], run: &RunId) -> Self {
        Self::encode_with(frames, |out, frame| sse::write_multiplexed_frame(out, run, frame))
    }

    fn encode_with(frames: &[FrameRecord], write: impl Fn(&mut String, &FrameRecord)) -> Self {
        let mut out = String::with_capacity(frames.iter().map(|frame| frame.data.len() + 128).sum());
        let mut ends = Vec::with_capacity(frames.len());
        for frame in frames {
            write(&mut out, frame);
            ends.push(out.len());
        }
        Self { bytes: Bytes::from(out), ends }
    }

    /// The same frames, each with the id of its run.
    fn to_multiplexed(&self, run: &RunId) -> Self {
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

    /// All frames but the first `skipped`.
    fn skip(&self, skipped: u64) -> Bytes {
        match usize::try_from(skipped).ok().and_then(|skipped| self.ends.get(skipped.checked_sub(1)?)) {
            Some(&start) => self.bytes.slice(start..),
            None => self.bytes.clone(),
        }
    }
}

impl Commit {
    fn last(&self) -> u64 {
        self.first + self.single.ends.len() as u64 - 1
    }

    /// The encoded frames after `cursor`.
    fn after(&mut self, cursor: u64, encoding: &FrameEncoding) -> Bytes {
        let skipped = (cursor + 1).saturating_sub(self.first);
        match encoding {
            FrameEncoding::Single => self.single.skip(skipped),
            FrameEncoding::Multiplexed(run) => {
                self.multiplexed.get_or_insert_with(|| self.single.to_multiplexed(run)).skip(skipped)
            }
        }
    }
}

/// Encoded frames as a reader returns them.
#[derive(Debug, PartialEq, Eq)]
pub struct EncodedFrames {
    /// The encoded bytes, in order.
    pub chunks: Vec<Bytes>,
    /// The seq of the last frame.
    pub last: u64,
}

/// Encodes frames one after another.
pub fn encode(frames: &[FrameRecord], encoding: &FrameEncoding) -> Bytes {
    match encoding {
        FrameEncoding::Single => CommitFrames::single(frames).bytes,
        FrameEncoding::Multiplexed(run) => CommitFrames::multiplexed(frames, run).bytes,
    }
}

impl Ring {
    /// An empty ring for about `limit` bytes of frames in the single encoding, and as many again in the other one if it
    /// is used.
    pub fn new(limit: usize) -> Self {
        Self { commits: VecDeque::new(), bytes: 0, limit }
    }

    /// Adds the frames of one commit. If they do not follow the newest frame, all older ones are dropped first.
    pub fn push(&mut self, frames: &[FrameRecord]) {
        let Some(first) = frames.first().map(|frame| frame.seq) else { return };
        if self.commits.back().is_some_and(|commit| commit.last() + 1 != first) {
            self.commits.clear();
            self.bytes = 0;
        }
        let single = CommitFrames::single(frames);
        self.bytes += single.bytes.len();
        self.commits.push_back(Commit { first, single, multiplexed: None });
        // The newest commit stays whatever its size: all readers are about to ask for it.
        while self.bytes > self.limit && self.commits.len() > 1 {
            self.bytes -= self.commits.pop_front().map_or(0, |commit| commit.single.bytes.len());
        }
    }

    /// Adds those of the frames that are after the newest one.
    pub fn push_new(&mut self, frames: &[FrameRecord]) {
        let newest = self.commits.back().map_or(0, Commit::last);
        let known = frames.partition_point(|frame| frame.seq <= newest);
        self.push(&frames[known..]);
    }

    /// All frames after `cursor`, if the ring has the next one.
    pub fn after(&mut self, cursor: u64, encoding: &FrameEncoding) -> Option<EncodedFrames> {
        let next = cursor + 1;
        let (first, last) = (self.commits.front()?.first, self.commits.back()?.last());
        if next < first || next > last {
            return None;
        }
        let start = self.commits.partition_point(|commit| commit.last() < next);
        Some(EncodedFrames {
            chunks: self.commits.range_mut(start..).map(|commit| commit.after(cursor, encoding)).collect(),
            last,
        })
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

    fn seqs(encoded: &EncodedFrames) -> Vec<u64> {
        let mut parser = SseParser::new("");
        let events = encoded.chunks.iter().flat_map(|chunk| parser.push(chunk)).collect::<Vec<_>>();
        events.iter().map(|event| event.last_event_id.rsplit(':').next().unwrap().parse().unwrap()).collect()
    }

    fn run() -> RunId {
        "01939f1c-8f2a-7c3e-9d5b-0123456789ab".parse().unwrap()
    }

    #[test]
    fn ring_drops_frames_before_a_gap() {
        let mut ring = Ring::new(1 << 20);
        ring.push(&frames(1, 3));
        ring.push(&frames(9, 2));
        assert_eq!(ring.after(2, &FrameEncoding::Single), None);
        assert_eq!(seqs(&ring.after(8, &FrameEncoding::Single).unwrap()), [9, 10]);
    }

    #[test]
    fn ring_keeps_a_commit_larger_than_its_limit() {
        let mut ring = Ring::new(1);
        ring.push(&frames(1, 3));
        ring.push(&frames(4, 1));
        assert_eq!(ring.after(0, &FrameEncoding::Single), None);
        assert_eq!(seqs(&ring.after(3, &FrameEncoding::Single).unwrap()), [4]);
    }

    #[test]
    fn ring_encodings_of_a_frame_agree() {
        let mut ring = Ring::new(1 << 20);
        ring.push(&frames(1, 3));
        let encoding = FrameEncoding::Multiplexed(run());
        assert_eq!(ring.after(0, &encoding).unwrap().chunks, [encode(&frames(1, 3), &encoding)]);
        assert_eq!(ring.after(1, &encoding).unwrap().chunks, [encode(&frames(2, 2), &encoding)]);
        assert_eq!(
            ring.after(1, &FrameEncoding::Single).unwrap().chunks,
            [encode(&frames(2, 2), &FrameEncoding::Single)]
        );
    }

    proptest! {
        #[test]
        fn ring_returns_all_later_frames_or_none(
            groups in prop::collection::vec(1u64..6, 1..30),
            limit in 0usize..3000,
            cursor in 0u64..120,
            is_multiplexed in any::<bool>(),
        ) {
            let encoding = if is_multiplexed { FrameEncoding::Multiplexed(run()) } else { FrameEncoding::Single };
            let mut ring = Ring::new(limit);
            let mut head = 0;
            for count in groups {
                ring.push(&frames(head + 1, count));
                head += count;
            }
            match ring.after(cursor, &encoding) {
                Some(encoded) => {
                    prop_assert_eq!(encoded.last, head);
                    prop_assert_eq!(seqs(&encoded), (cursor + 1..=head).collect::<Vec<_>>());
                }
                // There are no later frames, or they were dropped. Then all earlier frames were dropped as well.
                None => prop_assert!(cursor >= head || (0..cursor).all(|earlier| ring.after(earlier, &encoding).is_none())),
            }
        }
    }
}
