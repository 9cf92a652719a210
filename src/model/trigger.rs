//! What starts runs and what kept it from it: deliveries of hooks, pauses of schedules, due times that were skipped.

use serde::{Deserialize, Serialize};

use super::schedule::{MissedPolicy, OverlapPolicy};
use super::{RunId, Status, Timestamp};

/// What became of a call of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryResult {
    /// It started a run.
    Started,
    /// It came before; the run is that of the first time.
    Duplicate,
    /// The hook does not take it.
    Ignored,
    /// It was answered with a problem.
    Refused,
}

impl DeliveryResult {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Started, Self::Duplicate, Self::Ignored, Self::Refused];

    /// The word in JSON, in the database and in addresses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
            Self::Refused => "refused",
        }
    }

    /// The result of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|result| result.as_str() == word)
    }
}

/// A call of a hook, or several alike of callers that did not prove the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookDelivery {
    /// Its place in the list; later ones are larger.
    pub key: i64,
    /// When it came; the last one, if they are several.
    pub at: Timestamp,
    /// When the first of them came.
    pub since: Timestamp,
    /// How many calls this tells of.
    pub calls: u64,
    /// The pipeline that was named.
    pub pipeline: String,
    /// Whose it is, as far as its headers say.
    pub forge: String,
    /// The event, as the forge calls it.
    #[serde(default)]
    pub event: Option<String>,
    /// The forge's id of the delivery.
    #[serde(default)]
    pub delivery: Option<String>,
    /// What became of it.
    pub result: DeliveryResult,
    /// The problem's code, if it was refused.
    #[serde(default)]
    pub code: Option<String>,
    /// Why, in a sentence.
    #[serde(default)]
    pub reason: Option<String>,
    /// The run that it started, or started the first time it came.
    #[serde(default)]
    pub run: Option<RunId>,
}

/// Which deliveries are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DeliveryFilter {
    /// Those to this pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// Those with this result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<DeliveryResult>,
    /// How many, 1 to 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Those before this place, which the page before names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

/// Deliveries, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryPage {
    /// The deliveries.
    pub deliveries: Vec<HookDelivery>,
    /// The `before` of the next page, if there is one.
    pub next: Option<String>,
}

/// Why a due time passed without a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipKind {
    /// A run of the schedule was active.
    Overlap,
    /// The pipeline's concurrency group was busy, and refuses runs meanwhile.
    GroupBusy,
    /// Too many runs waited for a worker.
    QueueFull,
    /// The schedule was paused.
    Paused,
    /// What the schedule gives did not fit the pipeline.
    Params,
}

impl SkipKind {
    /// The word in JSON and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overlap => "overlap",
            Self::GroupBusy => "group_busy",
            Self::QueueFull => "queue_full",
            Self::Paused => "paused",
            Self::Params => "params",
        }
    }

    /// The kind of this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Overlap, Self::GroupBusy, Self::QueueFull, Self::Paused, Self::Params]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }

    /// The reason, after "because".
    pub fn reason(self, detail: &str) -> String {
        match self {
            Self::Overlap => "a run of this schedule was still active".to_owned(),
            Self::GroupBusy => "the pipeline's concurrency group was busy and refuses runs meanwhile".to_owned(),
            Self::QueueFull => "as many runs waited for a worker as may (--max-queued)".to_owned(),
            Self::Paused => "the schedule was paused".to_owned(),
            Self::Params => format!("the run could not start: {}", detail.trim_end_matches('.')),
        }
    }
}

/// Due times that passed without a run, since the schedule began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedDueTimes {
    /// How many.
    pub count: u64,
    /// The last of them.
    pub last: Timestamp,
    /// Why the last one was.
    pub kind: SkipKind,
    /// The same in words.
    pub reason: String,
}

/// A schedule that starts nothing until it is resumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulePause {
    /// Since when.
    pub at: Timestamp,
    /// Who paused it.
    pub by: String,
    /// Why; empty if nothing was said.
    #[serde(default)]
    pub reason: String,
    /// Whether all schedules are paused with it, also those that are added later.
    #[serde(default)]
    pub all: bool,
}

/// A run as the list of schedules shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    /// Its id.
    pub id: RunId,
    /// Where it stands.
    pub status: Status,
    /// When it was asked for.
    pub at: Timestamp,
}

/// A schedule and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleView {
    /// The pipeline's name.
    pub pipeline: String,
    /// What people call the pipeline.
    pub title: String,
    /// What calls name it by: its name, or `default` for the only one without a name.
    pub name: String,
    /// See [`super::Schedule::cron`].
    pub cron: String,
    /// See [`super::Schedule::timezone`].
    pub timezone: String,
    /// See [`super::Schedule::missed`].
    pub missed: MissedPolicy,
    /// See [`super::Schedule::overlap`].
    pub overlap: OverlapPolicy,
    /// When it is due next, paused or not.
    pub next: Option<Timestamp>,
    /// The same on the clocks of its time zone.
    #[serde(default)]
    pub local: String,
    /// Whether it is paused.
    pub paused: Option<SchedulePause>,
    /// Due times that passed without a run.
    pub skipped: Option<SkippedDueTimes>,
    /// The last run it asked for, if that is still there.
    pub last: Option<LastRun>,
}

/// All schedules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleList {
    /// By pipeline and name.
    pub schedules: Vec<ScheduleView>,
    /// The pause of all of them, if they were paused at once.
    pub paused: Option<SchedulePause>,
}

/// What a page says of pauses: the one that began first, and how many schedules are paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseSummary {
    /// How many schedules are paused.
    pub count: u64,
    /// How many there are.
    pub of: u64,
    /// The pause that began first.
    pub first: SchedulePause,
    /// Whether the others were paused by somebody else or for another reason.
    pub differs: bool,
}

/// Deliveries that were refused lately.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentRefusals {
    /// How many calls.
    pub calls: u64,
    /// The last of them.
    pub last: HookDelivery,
}

/// Schedules that skipped due times lately, and the one that did so last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentSkips {
    /// How many schedules.
    pub schedules: u64,
    /// The pipeline of the last one.
    pub pipeline: String,
    /// What calls name it by.
    pub name: String,
    /// What it skipped.
    pub skipped: SkippedDueTimes,
}

/// What every page looks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerAlerts {
    /// Whether schedules are paused.
    #[serde(default)]
    pub paused: Option<PauseSummary>,
    /// Whether deliveries were refused in the last day.
    #[serde(default)]
    pub refused: Option<RecentRefusals>,
    /// Whether due times were skipped in the last day, other than by pauses.
    #[serde(default)]
    pub skipped: Option<RecentSkips>,
}
