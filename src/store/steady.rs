//! Times of a run only grow: a write that bears earlier ones is given later ones. Pure.

use std::borrow::Cow;

use super::{Change, Write};
use crate::model::Timestamp;

impl Change {
    /// Whether the write's own time is kept with the run, and not only those of its frames.
    pub fn is_timed(&self) -> bool {
        match self {
            Self::Claim { .. } | Self::Withdraw | Self::Finish { .. } | Self::Queue { .. } | Self::Delete { .. } => {
                true
            }
            Self::None
            | Self::Extend { .. }
            | Self::Enter { .. }
            | Self::Ask { .. }
            | Self::Answer(_)
            | Self::Resume { .. }
            | Self::Try { .. }
            | Self::Tried { .. }
            | Self::AskCancel { .. }
            | Self::Pin { .. } => false,
        }
    }
}

impl Write {
    /// The write with times that are not earlier than what the run has, each not earlier than the one before; and the
    /// latest of them. The machine's clock may have been set back.
    pub fn not_before(&self, clock: Timestamp) -> (Cow<'_, Self>, Timestamp) {
        let mut steady = Cow::Borrowed(self);
        let mut latest = clock;
        if self.change.is_timed() || !self.phases.is_empty() {
            if self.at < latest {
                steady.to_mut().at = latest;
            }
            latest = steady.at;
        }
        for (index, frame) in self.frames.iter().enumerate() {
            if frame.ts < latest {
                steady.to_mut().frames[index].ts = latest;
            }
            latest = latest.max(frame.ts);
        }
        (steady, latest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::{Guard, NewFrame, RunKey};

    fn write(at: i64, frames: &[i64], is_timed: bool) -> Write {
        let change = if is_timed { Change::Withdraw } else { Change::None };
        let mut write = Write { at: Timestamp(at), ..Write::new(RunKey(1), Guard::There, change) };
        let frame = |ts: &i64| NewFrame { ts: Timestamp(*ts), phase: None, kind: "log".into(), data: "{}".into() };
        write.frames.extend(frames.iter().map(frame));
        write
    }

    proptest! {
        /// Whatever the clock did: no time is earlier than one before it, the latest is known for the next write, and
        /// no time is changed that need not be.
        #[test]
        fn times_of_a_run_only_grow(
            writes in prop::collection::vec((0..50i64, prop::collection::vec(0..50i64, 0..5), any::<bool>()), 0..20),
        ) {
            let mut clock = Timestamp(10);
            for (at, frames, is_timed) in writes {
                let given = write(at, &frames, is_timed);
                let (steady, latest) = given.not_before(clock);
                let mut before = clock;
                let own = is_timed.then_some((given.at, steady.at));
                let frames = given.frames.iter().zip(&steady.frames).map(|(given, steady)| (given.ts, steady.ts));
                for (given, is) in own.into_iter().chain(frames) {
                    prop_assert_eq!(is, given.max(before));
                    before = is;
                }
                prop_assert_eq!(latest, before);
                clock = latest;
            }
        }
    }
}
