//! Which worker may execute a run, and what is missing if none can.
//!
//! The phases of a run share one workspace, so a run is placed as a whole: a worker must have the labels of the
//! pipeline and of all its phases, and every folder that the parameters name.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::param::{PROJECT_PARAM, ParamKind, ParamValue, Params};
use super::{Pipeline, RunId, Timestamp};

/// The longest label.
const MAX_LABEL_BYTES: usize = 63;

/// A label of a worker, such as `gpu`: 1 to 63 of `a` to `z`, `0` to `9`, `.`, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(String);

/// The text is not a label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a label: a label is 1 to 63 of a to z, 0 to 9, `.`, `_` and `-`, such as gpu")]
pub struct InvalidLabel(pub String);

impl Label {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Label {
    type Err = InvalidLabel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-');
        if (1..=MAX_LABEL_BYTES).contains(&text.len()) && text.bytes().all(is_allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidLabel(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Label {
    type Error = InvalidLabel;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.0
    }
}

/// What a run needs from its worker. Workers offer the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// A label.
    Label(String),
    /// A folder below the worker's allowed ones, by its canonical path.
    Folder(String),
    /// The data folder with this id, which has the files that an earlier attempt left.
    Files(String),
}

impl Need {
    /// The word of its kind in the database, and the value.
    pub fn columns(&self) -> (&'static str, &str) {
        match self {
            Self::Label(value) => ("label", value),
            Self::Folder(value) => ("folder", value),
            Self::Files(value) => ("files", value),
        }
    }

    /// The need with these columns. `None` for a kind of a later version.
    pub fn from_columns(kind: &str, value: String) -> Option<Self> {
        match kind {
            "label" => Some(Self::Label(value)),
            "folder" => Some(Self::Folder(value)),
            "files" => Some(Self::Files(value)),
            _ => None,
        }
    }
}

impl Pipeline {
    /// What a run with these parameters needs from its worker, without duplicates.
    pub fn needs(&self, params: &Params) -> BTreeSet<Need> {
        let of_phases = self.phases.iter().flat_map(|phase| &phase.runs_on);
        let labels = self.runs_on.iter().chain(of_phases).map(|label| Need::Label(label.as_str().to_owned()));
        let paths = self.params.iter().filter(|param| param.kind == ParamKind::Path);
        let folders = paths.filter_map(|param| match params.get(&param.name) {
            Some(ParamValue::Text(path)) if !path.is_empty() => Some(Need::Folder(path.clone())),
            _ => None,
        });
        labels.chain(folders).collect()
    }

    /// Whether a run with these parameters works in a project, and not in a scratch folder of its own.
    pub fn has_project(&self, params: &Params) -> bool {
        let is_project = |name: &str, kind: ParamKind| name == PROJECT_PARAM && kind == ParamKind::Path;
        self.params.iter().any(|param| is_project(&param.name, param.kind))
            && matches!(params.get(PROJECT_PARAM), Some(ParamValue::Text(path)) if !path.is_empty())
    }
}

/// A worker as far as the placement of runs depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementWorker {
    pub offers: BTreeSet<Need>,
    /// How many runs it executes at once.
    pub slots: u32,
    /// When it stopped taking runs: it is draining, has ended, or is lost. `None` if it takes runs.
    pub unavailable_since: Option<Timestamp>,
}

impl PlacementWorker {
    /// Whether it has what a run needs. `checks_folders` is false for the only worker of a database: a run whose folder
    /// is gone fails there with a reason.
    fn has(&self, need: &Need, checks_folders: bool) -> bool {
        (!checks_folders && !matches!(need, Need::Label(_))) || self.offers.contains(need)
    }
}

/// A run that waits for a worker, and what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRun {
    pub id: RunId,
    pub queued_at: Timestamp,
    pub needs: BTreeSet<Need>,
}

/// Why no live worker can take a pending run (docs/CONTRACT.md, "Runs").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// What is missing: `no worker with label gpu`.
    pub message: String,
    /// Labels that no worker has, or not together.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Folders that no worker has, or not together with the rest.
    #[serde(default)]
    pub folders: Vec<String>,
    /// When a worker could last have taken the run, or when the run was queued.
    pub since: Timestamp,
}

/// What is missing for a run to be taken. `None` if a live worker can take it, now or once it has a free slot.
///
/// `checks_folders`: whether workers are chosen by folders, which is so where several share the database.
pub fn shortage(run: &PendingRun, workers: &[PlacementWorker], checks_folders: bool) -> Option<Shortage> {
    let has_all = |worker: &&PlacementWorker| run.needs.iter().all(|need| worker.has(need, checks_folders));
    let executing = || workers.iter().filter(|worker| worker.slots > 0);
    let live = || executing().filter(|worker| worker.unavailable_since.is_none());
    if live().any(|worker| has_all(&worker)) {
        return None;
    }
    let last = executing().filter(has_all).filter_map(|worker| worker.unavailable_since).max();
    let since = last.map_or(run.queued_at, |last| last.max(run.queued_at));
    let needs = || run.needs.iter().filter(|need| checks_folders || matches!(need, Need::Label(_)));
    let nobody_has = |need: &&Need| !live().any(|worker| worker.has(need, checks_folders));
    let mut missing: Vec<&Need> = needs().filter(nobody_has).collect();
    if missing.is_empty() || live().next().is_none() {
        // Some worker has each of them, and none has all. Or there is no worker at all.
        missing = needs().collect();
    }
    let values = |is_kind: fn(&Need) -> bool| -> Vec<String> {
        missing.iter().filter(|need| is_kind(need)).map(|need| need.columns().1.to_owned()).collect()
    };
    let labels = values(|need| matches!(need, Need::Label(_)));
    let folders = values(|need| matches!(need, Need::Folder(_)));
    let has_files = !values(|need| matches!(need, Need::Files(_))).is_empty();
    Some(Shortage { message: message(&labels, &folders, has_files), labels, folders, since })
}

fn message(labels: &[String], folders: &[String], has_files: bool) -> String {
    let listed = |singular: &str, values: &[String]| match values {
        [] => None,
        [one] => Some(format!("{singular} {one}")),
        [others @ .., last] => Some(format!("{singular}s {} and {last}", others.join(", "))),
    };
    let files = has_files.then(|| "the files of the run".to_owned());
    let parts = [listed("label", labels), listed("folder", folders), files];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "no worker".to_owned() } else { format!("no worker with {}", parts.join(" and ")) }
}

#[cfg(test)]
#[path = "placement_tests.rs"]
mod tests;
