//! When a worker extends its lease, and when it must let go of its run. Pure: moments are durations since the claim.
//!
//! Where several servers may share the database, a lease that ran out is somebody else's to take, so a worker that could not extend it
//! in time stops. Where the database is this server's alone nobody takes a run away, and nothing but a refusal ends the work: not a
//! database that does not answer for hours, and not a machine that stood still.

use std::time::Duration;

/// The lease of one claim.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeaseKeeper {
    lease: Duration,
    /// Until when the lease is known to hold. `None` if it cannot run out.
    valid_until: Option<Duration>,
}

/// What a try to extend the lease came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It was extended.
    Extended,
    /// The database did not take it this time.
    Unavailable,
    /// The claim is not in force any more.
    Refused,
    /// There was no answer in time.
    None,
}

impl LeaseKeeper {
    /// The keeper of a lease that begins now. An exclusive one cannot run out.
    pub(super) fn new(lease: Duration, is_exclusive: bool) -> Self {
        Self { lease, valid_until: (!is_exclusive).then_some(lease) }
    }

    /// MountKind long to wait before the lease is extended.
    pub(super) fn pause(&self) -> Duration {
        self.lease / 3
    }

    /// Until when an answer may come to what is asked now. `None`: whenever it comes.
    pub(super) fn answer_by(&self) -> Option<Duration> {
        self.valid_until
    }

    /// Takes the answer to what was asked at `asked`. Returns whether the worker still has the run.
    pub(super) fn hear(&mut self, answer: Answer, asked: Duration, now: Duration) -> bool {
        match (answer, &mut self.valid_until) {
            (Answer::Refused, _) => false,
            (_, None) => true,
            (Answer::Extended, Some(until)) => {
                *until = asked + self.lease;
                true
            }
            (Answer::Unavailable, Some(until)) => now < *until,
            (Answer::None, Some(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answers() -> impl Strategy<Value = Vec<(Answer, u64, u64)>> {
        let answer = prop_oneof![
            3 => Just(Answer::Extended),
            2 => Just(Answer::Unavailable),
            1 => Just(Answer::Refused),
            1 => Just(Answer::None),
        ];
        prop::collection::vec((answer, 0..20_000u64, 0..20_000u64), 1..40)
    }

    proptest! {
        /// Nobody takes its runs away, so only a refusal does, however long anything takes.
        #[test]
        fn exclusive_lease_ends_by_a_refusal_alone(answers in answers(), lease in 1..30_000u64) {
            let mut keeper = LeaseKeeper::new(Duration::from_millis(lease), true);
            let mut now = Duration::ZERO;
            for (answer, pause, takes) in answers {
                let asked = now + Duration::from_millis(pause);
                now = asked + Duration::from_millis(takes);
                prop_assert_eq!(keeper.answer_by(), None);
                prop_assert_eq!(keeper.hear(answer, asked, now), answer != Answer::Refused);
            }
        }

        /// A worker goes on only while the lease that it extended last holds, counted from when it asked.
        #[test]
        fn shared_lease_is_not_outlived(answers in answers(), lease in 1..30_000u64) {
            let lease = Duration::from_millis(lease);
            let mut keeper = LeaseKeeper::new(lease, false);
            let (mut now, mut until) = (Duration::ZERO, lease);
            for (answer, pause, takes) in answers {
                let asked = now + Duration::from_millis(pause);
                now = asked + Duration::from_millis(takes);
                prop_assert_eq!(keeper.answer_by(), Some(until));
                // As the worker does: what takes longer than that has no answer.
                let answer = if now >= until && answer == Answer::Extended { Answer::None } else { answer };
                let goes_on = keeper.hear(answer, asked, now);
                match answer {
                    Answer::Extended => until = asked + lease,
                    Answer::Unavailable => prop_assert_eq!(goes_on, now < until),
                    Answer::Refused | Answer::None => prop_assert!(!goes_on),
                }
                if !goes_on {
                    break;
                }
                prop_assert!(now < until || asked + lease == until);
            }
        }
    }
}
