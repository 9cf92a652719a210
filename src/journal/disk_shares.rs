//! What is written while the disk is full, from the space that is reserved for it. Pure.
//!
//! What ends a run, what people ask of it and what frees space is written. New work is refused. What runs print is held
//! back, so their commands wait; a run that printed most of what filled the disk does not wait for long.

use std::collections::HashMap;
use std::time::Duration;

use crate::store::{Committed, DiskPriority, NewFrame, RunKey, RunWrite, StoreCommand};

/// The longest time that a run which filled the disk waits for space.
const MAX_FILLER_WAIT: Duration = Duration::from_secs(30);

/// How many bytes a run has journaled before it can be one that filled the disk.
const FILLER_BYTES: u64 = 1 << 20;

/// How many bytes a run that is to be cancelled may still journal on a full disk: more than its outputs have.
const LAST_BYTES: usize = 1 << 20;

/// The run whose output this is, if it is that and nothing else.
pub(super) fn output_of(command: &StoreCommand) -> Option<RunKey> {
    match command {
        StoreCommand::Run(write) => write.is_output().then(|| write.run()),
        _ => None,
    }
}

fn bytes(frames: &[NewFrame]) -> usize {
    frames.iter().map(NewFrame::size).sum()
}

/// What active runs have journaled since this server started.
#[derive(Debug, Default)]
pub(super) struct DiskShares {
    runs: HashMap<RunKey, DiskShare>,
    /// By all of them, and by those that have ended.
    total_bytes: u64,
}

#[derive(Debug, Default)]
struct DiskShare {
    journaled_bytes: u64,
    /// How many bytes it may still journal on a full disk, if it is to be cancelled.
    last_bytes: Option<usize>,
}

impl DiskShares {
    /// Counts a write.
    pub(super) fn record(&mut self, write: &RunWrite, Committed { run, cancel_by, .. }: &Committed) {
        let change = write.command.change();
        if change.releases_worker() {
            self.runs.remove(run);
            return;
        }
        if change.lease().is_none() && cancel_by.is_none() {
            return;
        }
        let size = u64::try_from(bytes(&write.frames)).unwrap_or(u64::MAX);
        self.total_bytes = self.total_bytes.saturating_add(size);
        let share = self.runs.entry(*run).or_default();
        share.journaled_bytes = share.journaled_bytes.saturating_add(size);
        if cancel_by.is_some() {
            share.last_bytes.get_or_insert(LAST_BYTES);
        }
    }

    /// What becomes of a command while the disk is full. The last output of a run that is to be cancelled is urgent.
    pub(super) fn priority(&mut self, command: &StoreCommand) -> DiskPriority {
        let last_bytes = output_of(command).and_then(|run| self.runs.get_mut(&run)?.last_bytes.as_mut());
        match (last_bytes, command) {
            (Some(left), StoreCommand::Run(write)) if bytes(&write.frames) <= *left => {
                *left -= bytes(&write.frames);
                DiskPriority::Urgent
            }
            _ => command.disk_priority(),
        }
    }

    /// How long a command is held back, if not for ever. `most` is how long any run waits for space.
    pub(super) fn max_wait(&self, command: &StoreCommand, most: Duration) -> Option<Duration> {
        let share = self.runs.get(&output_of(command)?);
        Some(match share {
            Some(DiskShare { last_bytes: Some(_), .. }) => Duration::ZERO,
            Some(share) if share.journaled_bytes >= FILLER_BYTES && share.journaled_bytes * 2 >= self.total_bytes => {
                MAX_FILLER_WAIT.min(most)
            }
            _ => most,
        })
    }

    /// How many runs are counted.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.runs.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::run::Cancellation;
    use crate::model::{FinalStatus, Status, Timestamp};
    use crate::store::{
        AppendFrames, ClaimRun, ExtendLease, FinishAttempt, JournalHead, Lease, LeaseHolder, PurgeStep,
        RequestApproval, RequestCancel, RunCommand,
    };

    const HOUR: Duration = Duration::from_secs(3600);

    fn lease(run: i64) -> Lease {
        Lease { run: RunKey(run), attempt: 1, token: 1 }
    }

    fn write(command: impl Into<RunCommand>, sizes: &[usize]) -> RunWrite {
        let mut write = RunWrite::new(command);
        let frame = |size: &usize| NewFrame {
            ts: Timestamp(0),
            phase: None,
            kind: "log".into(),
            data: "x".repeat(*size).into(),
        };
        write.frames.extend(sizes.iter().map(frame));
        write
    }

    fn output(run: i64, sizes: &[usize]) -> StoreCommand {
        StoreCommand::Run(write(AppendFrames::new(lease(run)), sizes))
    }

    fn committed(run: i64, is_cancelled: bool) -> Committed {
        Committed {
            run: RunKey(run),
            journal: JournalHead { head: 1, status: Status::Running, attempt: 1 },
            token: 1,
            cancel_by: is_cancelled.then(|| "somebody".to_owned()),
            deliveries: 0,
            clock: Timestamp(0),
            frames: Vec::new(),
            run_after: None,
        }
    }

    fn record(shares: &mut DiskShares, command: &StoreCommand, committed: &Committed) {
        let StoreCommand::Run(write) = command else { panic!("{command:?}") };
        shares.record(write, committed);
    }

    fn request_cancel() -> StoreCommand {
        let request = Cancellation { by: "a".into(), at: Timestamp(0), kill_at: None, force: false };
        StoreCommand::Run(write(RequestCancel { run: RunKey(1), attempt: 1, request }, &[]))
    }

    fn finish(run: i64) -> StoreCommand {
        let holder = LeaseHolder::Worker(lease(run));
        StoreCommand::Run(write(FinishAttempt { holder, to: FinalStatus::Completed, error: None, next: None }, &[10]))
    }

    #[test]
    fn full_disk_takes_what_ends_runs_and_holds_output_back() {
        let mut shares = DiskShares::default();
        let lines = output(1, &[100]);
        assert_eq!(shares.priority(&lines), DiskPriority::Deferrable);
        assert_eq!(shares.max_wait(&lines, HOUR), Some(HOUR));
        let (run, owner, lease_until) = (RunKey(1), "a".to_owned(), Timestamp(1));
        let claim = ClaimRun { run, attempt: 1, owner, lease_until, hands_over: false };
        for (command, expected) in [
            (output(1, &[]), DiskPriority::Urgent),
            (finish(1), DiskPriority::Urgent),
            (request_cancel(), DiskPriority::Urgent),
            (StoreCommand::Run(write(claim, &[10])), DiskPriority::New),
            (StoreCommand::Run(write(ExtendLease { lease: lease(1), lease_until }, &[])), DiskPriority::Deferrable),
            (StoreCommand::Purge(PurgeStep::Frames(run)), DiskPriority::Urgent),
        ] {
            assert_eq!(shares.priority(&command), expected, "{command:?}");
            assert_eq!(shares.max_wait(&command, HOUR), None, "{command:?}");
        }
    }

    #[test]
    fn full_disk_ends_the_wait_of_a_run_that_filled_it_early() {
        let mut shares = DiskShares::default();
        let lines = output(1, &[700_000]);
        record(&mut shares, &lines, &committed(1, false));
        assert_eq!(shares.max_wait(&lines, HOUR), Some(HOUR), "not so much");
        record(&mut shares, &lines, &committed(1, false));
        assert_eq!(shares.max_wait(&lines, HOUR), Some(MAX_FILLER_WAIT));
        assert_eq!(shares.max_wait(&lines, Duration::from_secs(1)), Some(Duration::from_secs(1)));
        let other = output(2, &[10]);
        record(&mut shares, &other, &committed(2, false));
        assert_eq!(shares.max_wait(&other, HOUR), Some(HOUR), "one that did not fill it");
    }

    #[test]
    fn full_disk_takes_the_last_output_of_a_cancelled_run_up_to_a_limit() {
        let mut shares = DiskShares::default();
        record(&mut shares, &request_cancel(), &committed(1, true));
        let half = output(1, &[LAST_BYTES / 2 - 64]);
        let expected = [DiskPriority::Urgent, DiskPriority::Urgent, DiskPriority::Deferrable];
        assert_eq!([(); 3].map(|()| shares.priority(&half)), expected);
        assert_eq!(shares.max_wait(&half, HOUR), Some(Duration::ZERO));
        record(&mut shares, &finish(1), &committed(1, false));
        assert_eq!(shares.priority(&half), DiskPriority::Deferrable);
        assert_eq!(shares.max_wait(&half, HOUR), Some(HOUR), "another attempt");
    }

    proptest! {
        #[test]
        fn shares_forget_runs_that_have_ended(steps in prop::collection::vec((0..5i64, 0..3u8, any::<bool>()), 0..80)) {
            let mut shares = DiskShares::default();
            let mut active = std::collections::BTreeSet::new();
            for (run, what, is_cancelled) in steps {
                let command = match what {
                    0 => finish(run),
                    1 => {
                        let ask = RequestApproval { lease: lease(run), phase: "a".into(), question: "b".into() };
                        StoreCommand::Run(write(ask, &[10]))
                    }
                    _ => output(run, &[10]),
                };
                if what < 2 { active.remove(&run) } else { active.insert(run) };
                record(&mut shares, &command, &committed(run, is_cancelled));
                prop_assert_eq!(shares.len(), active.len());
            }
        }
    }
}
