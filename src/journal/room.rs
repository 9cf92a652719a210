//! What is written while the disk is full, from the room that is set aside for it. Pure.
//!
//! Runs go on to where they can: what ends one, what people ask of it and what frees room is written. New work is
//! refused. What runs print is held back, so their commands wait; a run that printed most of what filled the disk does
//! not wait for long.

use std::collections::HashMap;
use std::time::Duration;

use crate::store::{Change, Committed, Guard, NewFrame, Op, Outcome, RunKey, TriggerOp, Write};

/// How long a run that filled the disk waits for room, at the most.
const FILLER_WAIT: Duration = Duration::from_secs(30);

/// How many bytes a run has journaled before it can be one that filled the disk.
const FILLER_BYTES: u64 = 1 << 20;

/// How many bytes a run that is to end may still journal on a full disk: more than its outputs hold.
const LAST_BYTES: usize = 1 << 20;

/// What an op is, to a full disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// It is small, and somebody waits for it, or it makes room.
    Urgent,
    /// It begins something new.
    New,
    /// It can wait.
    Held,
}

fn need(op: &Op) -> Need {
    let write = match op {
        Op::Trigger(TriggerOp::Pause(_) | TriggerOp::Resume(..), _) => return Need::Urgent,
        Op::Create(_) | Op::Mark(_) | Op::Trigger(..) => return Need::New,
        Op::Clear(_) | Op::Probe | Op::Access(..) => return Need::Urgent,
        Op::Write(write) => write,
    };
    match &write.change {
        Change::Queue { .. } | Change::Claim { .. } => Need::New,
        Change::Extend { .. } | Change::Try { .. } | Change::Tried { .. } => Need::Held,
        // What becomes of a phase, or a question to the database.
        Change::None if write.frames.is_empty() || !write.phases.is_empty() => Need::Urgent,
        Change::None => Need::Held,
        Change::Enter { .. }
        | Change::Ask { .. }
        | Change::Answer(_)
        | Change::Resume { .. }
        | Change::Withdraw
        | Change::Finish { .. }
        | Change::AskCancel { .. }
        | Change::Pin { .. }
        | Change::Delete { .. } => Need::Urgent,
    }
}

/// The run whose activity this is, if it is that and nothing else.
pub(super) fn activity(op: &Op) -> Option<RunKey> {
    match op {
        Op::Write(Write { run, guard: Guard::Lease(_), change: Change::None, phases, frames, .. }) => {
            (phases.is_empty() && !frames.is_empty()).then_some(*run)
        }
        _ => None,
    }
}

fn bytes(frames: &[NewFrame]) -> usize {
    frames.iter().map(NewFrame::size).sum()
}

/// What the runs that are active have journaled since this server started.
#[derive(Debug, Default)]
pub(super) struct Shares {
    runs: HashMap<RunKey, Share>,
    /// By all of them, and by those that have ended.
    total: u64,
}

#[derive(Debug, Default)]
struct Share {
    journaled: u64,
    /// How many bytes it may still journal on a full disk, if it is to end.
    last_bytes: Option<usize>,
}

impl Shares {
    /// Takes note of what was written.
    pub(super) fn note(&mut self, op: &Op, outcome: &Outcome) {
        let (Op::Write(write), Outcome::Committed(Committed { run, cancel_by, .. })) = (op, outcome) else { return };
        if matches!(write.change, Change::Finish { .. } | Change::Ask { .. } | Change::Withdraw) {
            self.runs.remove(run);
            return;
        }
        if !matches!(write.guard, Guard::Lease(_)) && cancel_by.is_none() {
            return;
        }
        let size = u64::try_from(bytes(&write.frames)).unwrap_or(u64::MAX);
        self.total = self.total.saturating_add(size);
        let share = self.runs.entry(*run).or_default();
        share.journaled = share.journaled.saturating_add(size);
        if cancel_by.is_some() {
            share.last_bytes.get_or_insert(LAST_BYTES);
        }
    }

    /// What this op is to a full disk. What a run that is to end reports last is urgent.
    pub(super) fn need(&mut self, op: &Op) -> Need {
        let last_bytes = activity(op).and_then(|run| self.runs.get_mut(&run)?.last_bytes.as_mut());
        match (last_bytes, op) {
            (Some(left), Op::Write(write)) if bytes(&write.frames) <= *left => {
                *left -= bytes(&write.frames);
                Need::Urgent
            }
            _ => need(op),
        }
    }

    /// How long this op is held back, if not for ever. `most` is how long any run waits for room.
    pub(super) fn wait(&self, op: &Op, most: Duration) -> Option<Duration> {
        let share = self.runs.get(&activity(op)?);
        Some(match share {
            Some(Share { last_bytes: Some(_), .. }) => Duration::ZERO,
            Some(share) if share.journaled >= FILLER_BYTES && share.journaled * 2 >= self.total => {
                FILLER_WAIT.min(most)
            }
            _ => most,
        })
    }

    /// How many runs there is note of.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.runs.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{FinalStatus, Status, Timestamp};
    use crate::store::{Lease, Pulse};

    const HOUR: Duration = Duration::from_secs(3600);

    fn write(run: i64, change: Change, sizes: &[usize]) -> Op {
        let run = RunKey(run);
        let mut write = Write::new(run, Guard::Lease(Lease { run, attempt: 1, token: 1 }), change);
        let frame = |size: &usize| NewFrame {
            ts: Timestamp(0),
            phase: None,
            kind: "log".into(),
            data: "x".repeat(*size).into(),
        };
        write.frames.extend(sizes.iter().map(frame));
        Op::Write(write)
    }

    fn committed(run: i64, cancelled: bool) -> Outcome {
        Outcome::Committed(Committed {
            run: RunKey(run),
            pulse: Pulse { head: 1, status: Status::Running, attempt: 1 },
            token: 1,
            cancel_by: cancelled.then(|| "somebody".to_owned()),
            deliveries: 0,
            clock: Timestamp(0),
            frames: Vec::new(),
            left: None,
        })
    }

    fn asked() -> Change {
        let at = Timestamp(0);
        Change::AskCancel(crate::model::run::Cancellation { by: "a".into(), at, kill_at: None, force: false })
    }

    fn finish() -> Change {
        Change::Finish { to: FinalStatus::Completed, error: None, next: None }
    }

    #[test]
    fn disk_that_is_full_takes_what_ends_runs_and_holds_back_what_they_print() {
        let mut shares = Shares::default();
        let run = RunKey(1);
        let lines = write(1, Change::None, &[100]);
        assert_eq!(shares.need(&lines), Need::Held);
        assert_eq!(shares.wait(&lines, HOUR), Some(HOUR));
        for (op, expected) in [
            (write(1, Change::None, &[]), Need::Urgent),
            (write(1, finish(), &[10]), Need::Urgent),
            (write(1, asked(), &[]), Need::Urgent),
            (write(1, Change::Claim { owner: "a".into(), until: Timestamp(1) }, &[10]), Need::New),
            (write(1, Change::Extend { until: Timestamp(1) }, &[]), Need::Held),
            (Op::Clear(crate::store::Clearing::Contents(run)), Need::Urgent),
        ] {
            assert_eq!(shares.need(&op), expected, "{op:?}");
            assert_eq!(shares.wait(&op, HOUR), None, "{op:?}");
        }
    }

    #[test]
    fn run_that_filled_the_disk_waits_for_a_short_time() {
        let mut shares = Shares::default();
        let lines = write(1, Change::None, &[700_000]);
        shares.note(&lines, &committed(1, false));
        assert_eq!(shares.wait(&lines, HOUR), Some(HOUR), "not so much");
        shares.note(&lines, &committed(1, false));
        assert_eq!(shares.wait(&lines, HOUR), Some(FILLER_WAIT));
        assert_eq!(shares.wait(&lines, Duration::from_secs(1)), Some(Duration::from_secs(1)));
        let other = write(2, Change::None, &[10]);
        shares.note(&other, &committed(2, false));
        assert_eq!(shares.wait(&other, HOUR), Some(HOUR), "one that did not fill it");
    }

    #[test]
    fn run_that_is_to_end_says_its_last_words_and_no_more() {
        let mut shares = Shares::default();
        shares.note(&write(1, asked(), &[]), &committed(1, true));
        let half = write(1, Change::None, &[LAST_BYTES / 2 - 64]);
        assert_eq!([(); 3].map(|()| shares.need(&half)), [Need::Urgent, Need::Urgent, Need::Held]);
        assert_eq!(shares.wait(&half, HOUR), Some(Duration::ZERO));
        shares.note(&write(1, finish(), &[10]), &committed(1, false));
        assert_eq!(shares.need(&half), Need::Held);
        assert_eq!(shares.wait(&half, HOUR), Some(HOUR), "another attempt");
    }

    proptest! {
        /// Nothing is kept of runs that have ended.
        #[test]
        fn shares_keep_nothing_of_ended_runs(steps in prop::collection::vec((0..5i64, 0..3u8, any::<bool>()), 0..80)) {
            let mut shares = Shares::default();
            let mut active = std::collections::BTreeSet::new();
            for (run, what, cancelled) in steps {
                let change = match what {
                    0 => finish(),
                    1 => Change::Ask { phase: "a".into(), question: "b".into() },
                    _ => Change::None,
                };
                if what < 2 { active.remove(&run) } else { active.insert(run) };
                shares.note(&write(run, change, &[10]), &committed(run, cancelled));
                prop_assert_eq!(shares.len(), active.len());
            }
        }
    }
}
