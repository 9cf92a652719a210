//! What started runs, or kept them from starting: hook deliveries, pauses of schedules, and skipped due times.

use serde::{Deserialize, Serialize};

use super::run::RunId;
use super::schedule::{MissedPolicy, OverlapPolicy};
use super::status::Status;
use super::time::Timestamp;

/// What became of a hook delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryResult {
    Started,
    /// It was received before; `run` is the one that it started then.
    Duplicate,
    /// The hook does not accept it.
    Ignored,
    /// The answer was a problem.
    Refused,
}

impl DeliveryResult {
    pub const ALL: [Self; 4] = [Self::Started, Self::Duplicate, Self::Ignored, Self::Refused];

    /// The word in JSON, the database and URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
            Self::Refused => "refused",
        }
    }

    /// The inverse of [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|result| result.as_str() == word)
    }
}

/// A hook delivery, or several similar ones whose callers did not prove the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookDelivery {
    /// Increases with time.
    pub key: i64,
    /// When it was received; the last one, if there are several.
    pub at: Timestamp,
    /// When the first one was received.
    pub since: Timestamp,
    /// The number of deliveries in this entry.
    pub calls: u64,
    pub pipeline: String,
    /// The forge, according to the headers.
    pub forge: String,
    /// The event, as the forge names it.
    #[serde(default)]
    pub event: Option<String>,
    /// The forge's id of the delivery.
    #[serde(default)]
    pub delivery: Option<String>,
    pub result: DeliveryResult,
    /// The problem code, if it was refused.
    #[serde(default)]
    pub code: Option<String>,
    /// Why, in a sentence.
    #[serde(default)]
    pub reason: Option<String>,
    /// The run that it started, or started when it was first received.
    #[serde(default)]
    pub run: Option<RunId>,
}

/// Filters of the deliveries; `None` matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DeliveryFilter {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<DeliveryResult>,
    /// 1 to 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// [`DeliveryPage::next`] of the previous page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

/// A page of deliveries, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryPage {
    pub deliveries: Vec<HookDelivery>,
    /// The `before` value of the next page.
    pub next: Option<String>,
}

/// Why a due time started no run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipKind {
    /// A run of the schedule was active ([`OverlapPolicy`]).
    Overlap,
    /// The pipeline's concurrency group was busy, and its policy is `refuse`.
    GroupBusy,
    /// The queue was full.
    QueueFull,
    Paused,
    /// The schedule's parameters do not fit the pipeline.
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

    /// The inverse of [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Overlap, Self::GroupBusy, Self::QueueFull, Self::Paused, Self::Params]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }

    /// The reason, to follow "because".
    pub fn reason(self, detail: &str) -> String {
        match self {
            Self::Overlap => "a run of this schedule was still active".to_owned(),
            Self::GroupBusy => "the pipeline's concurrency group was busy, and its policy is to refuse runs".to_owned(),
            Self::QueueFull => "the queue was full (--max-queued)".to_owned(),
            Self::Paused => "the schedule was paused".to_owned(),
            Self::Params => format!("the run could not start: {}", detail.trim_end_matches('.')),
        }
    }
}

/// Due times that started no run, since the schedule began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedDueTimes {
    pub count: u64,
    /// The latest one.
    pub last: Timestamp,
    /// Why the latest one was skipped.
    pub kind: SkipKind,
    /// `kind` in words.
    pub reason: String,
}

/// A pause of a schedule, which starts nothing until it is resumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulePause {
    pub at: Timestamp,
    pub by: String,
    /// Empty if none was given.
    #[serde(default)]
    pub reason: String,
    /// Whether it pauses all schedules, also those that are added later.
    #[serde(default)]
    pub all: bool,
}

/// The latest run of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    pub id: RunId,
    pub status: Status,
    /// When it was requested.
    pub at: Timestamp,
}

/// A schedule and its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleView {
    pub pipeline: String,
    /// The pipeline's title.
    pub title: String,
    /// The schedule's handle ([`super::schedule::handles`]).
    pub name: String,
    pub cron: String,
    pub timezone: String,
    pub missed: MissedPolicy,
    pub overlap: OverlapPolicy,
    /// The next due time, paused or not.
    pub next: Option<Timestamp>,
    /// `next` in the schedule's time zone.
    #[serde(default)]
    pub local: String,
    pub paused: Option<SchedulePause>,
    /// Due times that started no run.
    pub skipped: Option<SkippedDueTimes>,
    /// The latest run that it started, unless that was deleted.
    pub last: Option<LastRun>,
}

/// The answer of `GET /api/v1/schedules`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleList {
    /// Ordered by pipeline and name.
    pub schedules: Vec<ScheduleView>,
    /// Set if all schedules were paused at once.
    pub paused: Option<SchedulePause>,
}

/// The paused schedules, as every page reports them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseSummary {
    pub count: u64,
    /// How many schedules there are.
    pub of: u64,
    /// The pause that began first.
    pub first: SchedulePause,
    /// Whether other pauses have another author or reason.
    pub differs: bool,
}

/// Hook deliveries that were refused lately.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentRefusals {
    pub calls: u64,
    /// The latest one.
    pub last: HookDelivery,
}

/// Schedules that skipped due times lately.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentSkips {
    pub schedules: u64,
    /// The pipeline of the latest one.
    pub pipeline: String,
    /// The handle of the latest one.
    pub name: String,
    pub skipped: SkippedDueTimes,
}

/// What every page warns of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerAlerts {
    #[serde(default)]
    pub paused: Option<PauseSummary>,
    /// Deliveries refused in the last day.
    #[serde(default)]
    pub refused: Option<RecentRefusals>,
    /// Due times skipped in the last day, except by pauses.
    #[serde(default)]
    pub skipped: Option<RecentSkips>,
}
