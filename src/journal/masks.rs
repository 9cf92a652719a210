//! Masks the secrets of runs in everything that is written of them.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::secrets::{Patterns, mask_json, mask_text};
use crate::store::{RunKey, RunWrite};

type Known = Mutex<HashMap<RunKey, Arc<Patterns>>>;

/// The secrets of runs. Cheap to clone.
#[derive(Clone, Default)]
pub struct Masks {
    known: Arc<Known>,
}

/// Masks the secrets of a run until it is dropped.
#[derive(Debug)]
pub struct MaskGuard {
    run: RunKey,
    secrets: Arc<Patterns>,
    known: Arc<Known>,
}

impl Drop for MaskGuard {
    fn drop(&mut self) {
        let mut known = self.known.lock();
        // Another worker may have the run by now.
        if known.get(&self.run).is_some_and(|secrets| Arc::ptr_eq(secrets, &self.secrets)) {
            known.remove(&self.run);
        }
    }
}

impl Masks {
    pub fn add(&self, run: RunKey, secrets: Arc<Patterns>) -> MaskGuard {
        self.known.lock().insert(run, Arc::clone(&secrets));
        MaskGuard { run, secrets, known: Arc::clone(&self.known) }
    }

    pub fn of(&self, run: RunKey) -> Option<Arc<Patterns>> {
        self.known.lock().get(&run).cloned()
    }

    /// The write with its run's secrets masked.
    pub fn apply(&self, write: RunWrite) -> RunWrite {
        match self.of(write.run()) {
            Some(secrets) => mask(write, &secrets),
            None => write,
        }
    }
}

fn mask(mut write: RunWrite, secrets: &Patterns) -> RunWrite {
    mask_in_place(&mut write, secrets);
    if let Some(next) = write.next_mut() {
        mask_in_place(next, secrets);
    }
    write
}

fn mask_in_place(write: &mut RunWrite, secrets: &Patterns) {
    for frame in &mut write.frames {
        if let Some(masked) = mask_json(secrets, &frame.data) {
            frame.data = masked.into();
        }
    }
    let outputs = write.phases.iter_mut().flat_map(|phase| phase.outputs.values_mut());
    for text in outputs.chain(write.command.change_mut().texts_mut()) {
        if let Some(masked) = mask_text(secrets, text) {
            *text = masked;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::kinds::{Failure, PhaseChange};
    use crate::model::{FinalStatus, FramePayload, PhaseState};
    use crate::store::{FinishAttempt, Lease, LeaseHolder, NewFrame};

    #[test]
    fn masks_cover_everything_that_is_written_of_a_run() {
        let masks = Masks::default();
        let guard = masks.add(RunKey(1), Arc::new(Patterns::new(["hunter-2"])));
        let said = "said hunter-2".to_owned();
        let error = Failure { code: "x".into(), message: said.clone(), retryable: false };
        let made = |run| {
            let holder = LeaseHolder::Worker(Lease { run: RunKey(run), attempt: 1, token: 1 });
            let finish = FinishAttempt { holder, to: FinalStatus::Failed, error: Some(said.clone()), next: None };
            let mut write = RunWrite::new(finish);
            write.frames.push(NewFrame::now(None, &FramePayload::Error(error.clone())));
            let phase = PhaseChange {
                name: "a".into(),
                state: PhaseState::Completed,
                exit_code: Some(0),
                signal: None,
                duration_ms: None,
                carried: false,
            };
            write.add_ended_phase(phase, [("x".to_owned(), said.clone())].into());
            write
        };
        let shown = |write: RunWrite| format!("{write:?}");
        let masked = shown(masks.apply(made(1)));
        assert!(!masked.contains("hunter") && masked.matches("said ***").count() == 3, "{masked}");
        assert!(shown(masks.apply(made(2))).contains("hunter-2"));
        // A later worker's secrets stay when an earlier one's are dropped.
        let later = masks.add(RunKey(1), Arc::new(Patterns::new(["hunter-2"])));
        drop(guard);
        assert!(masks.of(RunKey(1)).is_some());
        drop(later);
        assert!(masks.of(RunKey(1)).is_none());
    }
}
