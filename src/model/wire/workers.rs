//! Instances and workers, as the API and the pages show them (docs/CONTRACT.md, "Operations").

use serde::{Deserialize, Serialize};

use crate::model::placement::Label;
use crate::model::{RunId, Timestamp};

/// What an instance does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceRole {
    /// It serves the pages and the API, and executes runs if it has slots.
    Serve,
    /// It executes runs.
    Worker,
}

impl InstanceRole {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Worker => "worker",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::Serve, Self::Worker].into_iter().find(|role| role.as_str() == word)
    }
}

/// An instance as it describes itself. Nothing of it changes while it lives.
#[derive(Clone, Debug, PartialEq)]
pub struct NewInstance {
    /// New for each process.
    pub id: String,
    /// Its name in claims and in the journal. Unique.
    pub owner: String,
    /// Its name for people.
    pub name: String,
    pub version: String,
    pub role: InstanceRole,
    /// The id of its data folder.
    pub data_folder: String,
    pub labels: Vec<Label>,
    /// The folders that its runs may work in.
    pub projects: Vec<String>,
    /// How many runs it executes at once.
    pub slots: u32,
    pub started_at: Timestamp,
}

/// The answer of `GET /api/v1/workers`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerList {
    /// By name.
    pub workers: Vec<WorkerView>,
    /// What pending runs wait for that no live worker has.
    pub shortages: Vec<ShortageView>,
}

/// An instance that is alive, or was until recently.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerView {
    pub id: String,
    pub name: String,
    pub version: String,
    pub role: InstanceRole,
    pub state: WorkerState,
    pub labels: Vec<Label>,
    pub projects: Vec<String>,
    /// How many runs it executes at once; 0 if it serves pages only.
    pub slots: u32,
    /// How many it executes now.
    pub busy: u32,
    /// How many more it would take now.
    pub free: u32,
    pub started_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub draining_since: Option<Timestamp>,
    /// The runs that it executes.
    pub runs: Vec<WorkerRun>,
    /// Whether it is the instance that answers.
    pub is_this: bool,
}

/// Whether a worker takes runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// It takes runs while it has free slots.
    Live,
    /// It finishes what it runs and then ends.
    Draining,
    /// It was not seen for longer than its lease.
    Lost,
}

/// A run that a worker executes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerRun {
    pub id: RunId,
    pub pipeline: String,
}

/// Something that pending runs wait for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShortageView {
    /// What is missing: `no worker with label gpu`.
    pub message: String,
    /// The earliest time of these runs' shortages.
    pub since: Timestamp,
    /// How many runs wait for it.
    pub runs: u64,
}

/// Whether the instance that answers is draining.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainStatus {
    /// `None` if it is not.
    pub draining_since: Option<Timestamp>,
    /// How many runs it still executes.
    pub busy: u32,
}
