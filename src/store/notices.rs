//! What a commit has changed, for the instances that share the database and did not make it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::commands::{ListEvent, StoreCommand, WriteOutcome};
use super::{JournalHead, RunKey};
use crate::model::{RunId, Status};

/// What a commit has changed of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunNotice {
    pub run: RunKey,
    /// The journal with the commit, if it has more frames now.
    pub journal: Option<JournalHead>,
    /// The event in the run list.
    pub event: Option<ListEvent>,
}

/// What other instances have committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notices {
    /// These changes, possibly again.
    Runs(Vec<RunNotice>),
    /// Any run may have changed: this instance has missed more than is remembered.
    Lagged,
}

impl RunNotice {
    /// What these commands have changed, one notice a run.
    pub fn of_commit(commands: &[StoreCommand], outcomes: &[WriteOutcome]) -> Vec<Self> {
        let mut runs = BTreeMap::new();
        for (command, outcome) in commands.iter().zip(outcomes) {
            let event = command.list_event(outcome);
            let journal = match outcome {
                WriteOutcome::Committed(committed) if !committed.frames.is_empty() => {
                    Some((committed.run, committed.journal))
                }
                _ => None,
            };
            let run = journal.map(|(run, _)| run).or_else(|| event.as_ref().map(|(run, _)| *run));
            let Some(run) = run else { continue };
            let notice =
                Self { run, journal: journal.map(|(_, journal)| journal), event: event.map(|(_, event)| event) };
            Self::merge(&mut runs, notice);
        }
        runs.into_values().collect()
    }

    /// Adds a notice to those of other runs, or to an earlier one of the same run.
    pub fn merge(runs: &mut BTreeMap<RunKey, Self>, later: Self) {
        let Some(known) = runs.get_mut(&later.run) else {
            runs.insert(later.run, later);
            return;
        };
        known.journal = match (known.journal, later.journal) {
            (Some(known), Some(later)) if known.head > later.head => Some(known),
            (known, later) => later.or(known),
        };
        known.event = match (known.event.take(), later.event) {
            (Some(ListEvent::Deleted(id)), _) | (_, Some(ListEvent::Deleted(id))) => Some(ListEvent::Deleted(id)),
            (Some(ListEvent::BecameFinal), Some(ListEvent::Changed)) => Some(ListEvent::BecameFinal),
            (known, later) => later.or(known),
        };
    }

    /// The text of notices for [`parse`](Self::parse). Instances of other versions read it.
    pub fn to_text(notices: &[Self]) -> String {
        let stored: Vec<_> = notices.iter().map(StoredNotice::from).collect();
        // Fails for maps whose keys are no text, and writers that fail: there are none.
        serde_json::to_string(&stored).unwrap_or_default()
    }

    /// The notices of a text.
    ///
    /// # Errors
    /// It is none of [`to_text`](Self::to_text).
    pub fn parse(text: &str) -> Result<Vec<Self>, serde_json::Error> {
        let stored: Vec<StoredNotice> = serde_json::from_str(text)?;
        Ok(stored.into_iter().map(Self::from).collect())
    }
}

/// A notice as JSON, with short names since a message of PostgreSQL has at most 8000 bytes.
#[derive(Serialize, Deserialize)]
struct StoredNotice {
    k: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    j: Option<(u64, Status, u32)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    e: Option<StoredEvent>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StoredEvent {
    Changed,
    Final,
    Deleted(RunId),
}

impl From<&RunNotice> for StoredNotice {
    fn from(notice: &RunNotice) -> Self {
        Self {
            k: notice.run.0,
            j: notice.journal.map(|JournalHead { head, status, attempt }| (head, status, attempt)),
            e: notice.event.as_ref().map(|event| match event {
                ListEvent::Changed => StoredEvent::Changed,
                ListEvent::BecameFinal => StoredEvent::Final,
                ListEvent::Deleted(id) => StoredEvent::Deleted(id.clone()),
            }),
        }
    }
}

impl From<StoredNotice> for RunNotice {
    fn from(StoredNotice { k, j, e }: StoredNotice) -> Self {
        Self {
            run: RunKey(k),
            journal: j.map(|(head, status, attempt)| JournalHead { head, status, attempt }),
            event: e.map(|event| match event {
                StoredEvent::Changed => ListEvent::Changed,
                StoredEvent::Final => ListEvent::BecameFinal,
                StoredEvent::Deleted(id) => ListEvent::Deleted(id),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(head: u64) -> Option<JournalHead> {
        Some(JournalHead { head, status: Status::Running, attempt: 1 })
    }

    #[test]
    fn notices_survive_their_text() {
        let id: RunId = "01939f1c-8f2a-7c3e-9d5b-0123456789ab".parse().unwrap();
        let notices = vec![
            RunNotice { run: RunKey(7), journal: journal(12), event: None },
            RunNotice { run: RunKey(8), journal: journal(1), event: Some(ListEvent::BecameFinal) },
            RunNotice { run: RunKey(9), journal: None, event: Some(ListEvent::Deleted(id)) },
        ];
        let text = RunNotice::to_text(&notices);
        assert_eq!(RunNotice::parse(&text).unwrap(), notices, "{text}");
    }

    #[test]
    fn notices_of_a_run_are_merged_in_any_order() {
        let mut runs = BTreeMap::new();
        for notice in [
            RunNotice { run: RunKey(1), journal: journal(4), event: Some(ListEvent::BecameFinal) },
            RunNotice { run: RunKey(1), journal: journal(3), event: Some(ListEvent::Changed) },
            RunNotice { run: RunKey(2), journal: None, event: None },
            RunNotice { run: RunKey(1), journal: None, event: None },
        ] {
            RunNotice::merge(&mut runs, notice);
        }
        let expected = RunNotice { run: RunKey(1), journal: journal(4), event: Some(ListEvent::BecameFinal) };
        assert_eq!((runs.len(), &runs[&RunKey(1)]), (2, &expected));
    }
}
