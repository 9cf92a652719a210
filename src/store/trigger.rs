//! What is kept of triggers: pauses, due times that were skipped, and deliveries of hooks.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{Mark, StoreError};
use crate::model::trigger::{
    DeliveryFilter, DeliveryResult, HookDelivery, LastRun, RecentRefusals, SchedulePause, SkipKind, SkippedDueTimes,
};
use crate::model::{OverlapPolicy, RunId, Timestamp};

/// What asks for a run, if no person or program does.
#[derive(Clone, Debug)]
pub enum RunTrigger {
    /// A schedule.
    Schedule(ScheduleSlot),
    /// A forge. Its delivery is written down with the run; see [`NewDelivery::started`].
    Delivery(NewDelivery),
}

/// A schedule that asks for a run. Whether there is one is decided in the transaction that would create it.
#[derive(Clone, Debug)]
pub struct ScheduleSlot {
    /// Which schedule of its pipeline: its name, expression and time zone.
    pub schedule: String,
    /// What pauses name it by.
    pub name: String,
    /// What becomes of it while another run of the schedule is active.
    pub overlap: OverlapPolicy,
    /// Whether a person asks. Then pauses do not matter, and a run that waits already is the one that was asked for.
    pub by_hand: bool,
}

/// Whether the sender of a delivery has proved the hook's secret. Each kind has a quota of its own in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    /// It has.
    Signed,
    /// It has not.
    Unsigned,
    /// There is no such hook.
    Unknown,
}

/// A call of a hook that is to be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// When it came.
    pub at: Timestamp,
    /// How many alike this stands for.
    pub calls: u64,
    /// Whether its sender is known.
    pub trust: Trust,
    /// The pipeline that was named.
    pub pipeline: String,
    /// Whose it is.
    pub forge: String,
    /// The event.
    pub event: Option<String>,
    /// The forge's id of it.
    pub delivery: Option<String>,
    /// What became of it.
    pub result: DeliveryResult,
    /// The problem's code, if it was refused.
    pub code: Option<String>,
    /// Why, in a sentence.
    pub reason: Option<String>,
    /// The run it is about.
    pub run: Option<RunId>,
}

/// Which schedule is paused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// All of them, also those that are added later.
    All,
    /// The one of this pipeline that calls name like this.
    One(String, String),
}

/// A pause that is to be written down. One that is there already stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPause {
    /// What is paused.
    pub place: Place,
    /// Since when, by whom and why.
    pub pause: SchedulePause,
}

/// A write that concerns no run.
#[derive(Clone, Debug)]
pub enum TriggerOp {
    /// A due time has no run: its schedule's mark moves, and the reason is kept.
    Skip(Mark, SkipKind, String),
    /// A schedule, or all of them, are paused.
    Pause(NewPause),
    /// A schedule, or all of them, go on. Where all are paused and one goes on, these others stay paused, one by one.
    Resume(Place, Vec<(String, String)>),
    /// A hook was called.
    Deliver(NewDelivery),
}

impl TriggerOp {
    /// About how many bytes of a transaction it takes.
    pub fn size(&self) -> usize {
        match self {
            Self::Skip(..) | Self::Pause(_) => 512,
            Self::Resume(_, others) => 256 + others.len() * 256,
            Self::Deliver(_) => 1024,
        }
    }
}

/// What is known of a schedule besides its file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScheduleState {
    /// Due times that were skipped.
    pub skipped: Option<SkippedDueTimes>,
    /// The last run it asked for.
    pub last: Option<LastRun>,
}

/// What is asked about triggers. The answers of stores that have none are empty.
#[async_trait]
pub trait TriggerStore: Send + Sync {
    /// Up to `limit` deliveries, newest first, those before `before`, and where the next page begins.
    async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        limit: u32,
        before: Option<i64>,
    ) -> Result<(Vec<HookDelivery>, Option<i64>), StoreError> {
        let _ = (filter, limit, before);
        Ok(Default::default())
    }

    /// The deliveries that were refused since then, if there are any.
    async fn refused_since(&self, since: Timestamp) -> Result<Option<RecentRefusals>, StoreError> {
        let _ = since;
        Ok(None)
    }

    /// What is known of every schedule, by its pipeline and which of its schedules it is.
    async fn schedule_states(&self) -> Result<BTreeMap<(String, String), ScheduleState>, StoreError> {
        Ok(BTreeMap::new())
    }

    /// Everything that is paused.
    async fn pauses(&self) -> Result<BTreeMap<Place, SchedulePause>, StoreError> {
        Ok(BTreeMap::new())
    }
}
