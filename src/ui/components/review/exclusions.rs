//! The patches that the approver excludes. The tab's session storage keeps them over reloads: a patch that was
//! excluded once must not be approved because the approver followed a link in between.

use std::collections::BTreeSet;

use leptos::prelude::*;

use crate::browser::{session_value, set_session_value};
use crate::feed::RunState;

/// The seqs of the excluded patches.
#[derive(Clone, Copy)]
pub struct Exclusions {
    seqs: RwSignal<BTreeSet<u64>>,
}

impl Exclusions {
    /// Those of the current question, if the run awaits approval.
    pub fn of(state: RwSignal<RunState>) -> Self {
        let seqs = RwSignal::new(BTreeSet::new());
        let key = Memo::new(move |_| {
            state.with(|state| {
                let question = state.run.approval.as_ref()?;
                Some(format!("left-out-{}-{}", state.run.id, question.seq))
            })
        });
        Effect::new(move |_| {
            seqs.set(key.get().and_then(|key| session_value(&key)).map_or_else(BTreeSet::new, |text| parse(&text)))
        });
        Effect::new(move |before: Option<()>| {
            let text = seqs.with(to_text);
            // On the first run, the stored ones are not loaded yet.
            if before.is_some()
                && let Some(key) = key.get_untracked()
            {
                set_session_value(&key, &text);
            }
        });
        Self { seqs }
    }

    /// Tracked.
    pub fn count(self) -> u64 {
        self.seqs.with(|seqs| seqs.len() as u64)
    }

    /// Tracked.
    pub fn contains(self, seq: u64) -> bool {
        self.seqs.with(|seqs| seqs.contains(&seq))
    }

    /// Excludes patches, or includes them again.
    pub fn set(self, patches: impl Iterator<Item = u64>, is_excluded: bool) {
        self.seqs.update(|seqs| {
            for seq in patches {
                if is_excluded {
                    seqs.insert(seq)
                } else {
                    seqs.remove(&seq)
                };
            }
        });
    }

    /// The form of the `exclude` field of an approval: seqs separated by commas.
    pub fn to_text(self) -> String {
        self.seqs.with_untracked(to_text)
    }
}

fn parse(text: &str) -> BTreeSet<u64> {
    text.split(',').filter_map(|seq| seq.parse().ok()).collect()
}

fn to_text(seqs: &BTreeSet<u64>) -> String {
    seqs.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}
