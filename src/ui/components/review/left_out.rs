//! The patches that the operator leaves out, while the run asks. A tab remembers them over reloads: what was unticked once must
//! not be approved because a link led elsewhere in between.

use std::collections::BTreeSet;

use leptos::prelude::*;

use crate::browser::{session_value, set_session_value};
use crate::feed::RunState;

/// The seqs of the patches that are left out.
#[derive(Clone, Copy)]
pub struct LeftOut {
    seqs: RwSignal<BTreeSet<u64>>,
}

impl LeftOut {
    /// Those of the question that the run asks now, if it asks.
    pub fn of(state: RwSignal<RunState>) -> Self {
        let seqs = RwSignal::new(BTreeSet::new());
        let key = Memo::new(move |_| {
            state.with(|state| {
                let asked = state.run.approval.as_ref()?;
                Some(format!("left-out-{}-{}", state.run.id, asked.seq))
            })
        });
        Effect::new(move |_| {
            seqs.set(key.get().and_then(|key| session_value(&key)).map_or_else(BTreeSet::new, |text| read(&text)))
        });
        Effect::new(move |before: Option<()>| {
            let text = seqs.with(write);
            // The first time they are not read yet.
            if before.is_some()
                && let Some(key) = key.get_untracked()
            {
                set_session_value(&key, &text);
            }
        });
        Self { seqs }
    }

    /// How many they are.
    pub fn count(self) -> u64 {
        self.seqs.with(|seqs| seqs.len() as u64)
    }

    /// Whether this patch is one of them.
    pub fn has(self, seq: u64) -> bool {
        self.seqs.with(|seqs| seqs.contains(&seq))
    }

    /// Leaves these out, or takes them in again.
    pub fn set(self, patches: impl Iterator<Item = u64>, out: bool) {
        self.seqs.update(|seqs| {
            for seq in patches {
                if out {
                    seqs.insert(seq)
                } else {
                    seqs.remove(&seq)
                };
            }
        });
    }

    /// As an answer has them.
    pub fn text(self) -> String {
        self.seqs.with_untracked(write)
    }
}

fn read(text: &str) -> BTreeSet<u64> {
    text.split(',').filter_map(|seq| seq.parse().ok()).collect()
}

fn write(seqs: &BTreeSet<u64>) -> String {
    seqs.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}
