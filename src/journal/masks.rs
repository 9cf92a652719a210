//! The secrets of runs that are carried out: masked in whatever is written of them, by whomever, before it is
//! journaled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::secrets::{Patterns, mask_json, mask_text};
use crate::store::{Change, RunKey, Write};

type Known = Mutex<HashMap<RunKey, Arc<Patterns>>>;

/// The secrets of runs. Cheap to clone.
#[derive(Clone, Default)]
pub struct Masks {
    known: Arc<Known>,
}

/// Keeps the secrets of a run masked. Dropped, they are forgotten.
#[derive(Debug)]
pub struct MaskGuard {
    run: RunKey,
    secrets: Arc<Patterns>,
    known: Arc<Known>,
}

impl Drop for MaskGuard {
    fn drop(&mut self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Another worker may have the run by now.
        if known.get(&self.run).is_some_and(|secrets| Arc::ptr_eq(secrets, &self.secrets)) {
            known.remove(&self.run);
        }
    }
}

impl Masks {
    /// Masks these secrets from now on.
    pub fn add(&self, run: RunKey, secrets: Arc<Patterns>) -> MaskGuard {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(run, Arc::clone(&secrets));
        MaskGuard { run, secrets, known: Arc::clone(&self.known) }
    }

    /// The secrets of a run.
    pub fn of(&self, run: RunKey) -> Option<Arc<Patterns>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&run).cloned()
    }

    /// The same write without the run's secrets.
    pub fn apply(&self, write: Write) -> Write {
        match self.of(write.run) {
            Some(secrets) => mask(write, &secrets),
            None => write,
        }
    }
}

fn mask(mut write: Write, secrets: &Patterns) -> Write {
    let text = |text: &mut String| {
        if let Some(masked) = mask_text(secrets, text) {
            *text = masked;
        }
    };
    for frame in &mut write.frames {
        if let Some(masked) = mask_json(secrets, &frame.data) {
            frame.data = masked.into();
        }
    }
    write.phases.iter_mut().flat_map(|phase| phase.outputs.values_mut()).for_each(text);
    match &mut write.change {
        Change::Ask { question, .. } => text(question),
        Change::Finish { error, next, .. } => {
            error.iter_mut().for_each(text);
            *next = next.take().map(|next| Box::new(mask(*next, secrets)));
        }
        _ => {}
    }
    write
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::kinds::{Failure, PhaseChange};
    use crate::model::{FinalStatus, FramePayload, PhaseState};
    use crate::store::{Guard, NewFrame};

    #[test]
    fn everything_written_of_a_run_is_masked() {
        let masks = Masks::default();
        let guard = masks.add(RunKey(1), Arc::new(Patterns::new(["hunter-2"])));
        let said = "said hunter-2".to_owned();
        let error = Failure { code: "x".into(), message: said.clone(), retryable: false };
        let made = |run| {
            let change = Change::Finish { to: FinalStatus::Failed, error: Some(said.clone()), next: None };
            let mut write = Write::new(RunKey(run), Guard::There, change);
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
        let shown = |write: Write| format!("{write:?}");
        let masked = shown(masks.apply(made(1)));
        assert!(!masked.contains("hunter") && masked.matches("said ***").count() == 3, "{masked}");
        assert!(shown(masks.apply(made(2))).contains("hunter-2"));
        // A later worker's secrets stay when an earlier one lets go.
        let later = masks.add(RunKey(1), Arc::new(Patterns::new(["hunter-2"])));
        drop(guard);
        assert!(masks.of(RunKey(1)).is_some());
        drop(later);
        assert!(masks.of(RunKey(1)).is_none());
    }
}
