//! Schedules: when runs of a pipeline start automatically.

use serde::{Deserialize, Serialize};

use super::param::ParamInput;
use super::time::Timestamp;

/// A schedule of a pipeline (`[[schedules]]` in its file).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Unique among the pipeline's schedules with the same expression and time zone; usually empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// A cron expression: five fields, or six with seconds first.
    pub cron: String,
    /// The IANA name of the expression's time zone.
    pub timezone: String,
    #[serde(default)]
    pub missed: MissedPolicy,
    #[serde(default)]
    pub overlap: OverlapPolicy,
    /// The input of its runs.
    #[serde(default)]
    pub params: ParamInput,
    /// The next due time. Only in answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// The line of the pipeline file, from 1. Problems that are found after parsing, such as a missing project, refer
    /// to it.
    #[serde(skip)]
    pub line: usize,
}

/// What happens to due times that passed while no server ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissedPolicy {
    /// They are skipped.
    #[default]
    Skip,
    /// One run is started for all of them.
    Once,
}

/// What happens to a due time while an earlier run of the schedule is active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverlapPolicy {
    /// It is skipped while a run is pending or running.
    #[default]
    Skip,
    /// It is skipped while a run is pending, so that at most one waits behind a running one.
    One,
    /// It always starts a run.
    Queue,
}

impl OverlapPolicy {
    /// The word in pipeline files and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::One => "one",
            Self::Queue => "queue",
        }
    }
}

/// The handle of a pipeline's only schedule without a name.
const UNNAMED_HANDLE: &str = "default";

/// The handles by which the API addresses a pipeline's schedules, in their order: the name, or `default` for the only
/// one without a name. A pause is stored under the handle, so it outlives edits of the expression.
///
/// Where several schedules would have the same handle, the expression and the time zone are appended, without
/// characters that URLs escape. This long form does not change when other schedules are added, removed or reordered.
pub fn handles(schedules: &[Schedule]) -> Vec<String> {
    let short = |schedule: &Schedule| match schedule.name.as_str() {
        "" => UNNAMED_HANDLE.to_owned(),
        name => name.to_owned(),
    };
    let unique = |name: &str| schedules.iter().filter(|other| short(other) == name).count() == 1;
    let handle = |schedule: &Schedule| {
        let short = short(schedule);
        match unique(&short) {
            true => short,
            false => format!("{short}~{}~{}", replace_reserved(&schedule.cron), replace_reserved(&schedule.timezone)),
        }
    };
    schedules.iter().map(handle).collect()
}

/// Replaces the characters that URLs escape. Different expressions stay different. Pauses are stored under the result,
/// so a change needs a migration like 0019.
fn replace_reserved(text: &str) -> String {
    let each = text.chars().map(|c| match c {
        ' ' => "_".to_owned(),
        '*' | '?' => "x".to_owned(),
        '/' => ".".to_owned(),
        ',' => "--".to_owned(),
        '#' => "n".to_owned(),
        '+' => "p".to_owned(),
        c => c.to_string(),
    });
    each.collect()
}

impl Schedule {
    /// Identifies the schedule in its pipeline. With another name, expression or time zone it is a new schedule, which
    /// starts when it is first seen; with other parameters it stays the same.
    pub fn identity(&self) -> String {
        [self.name.as_str(), &self.cron, &self.timezone].join("|")
    }

    /// The origin of a run that the schedule started, as the journal records it.
    pub fn describe_origin(&self, due: Timestamp) -> String {
        let name = if self.name.is_empty() { String::new() } else { format!("{} ", self.name) };
        format!("schedule {name}{} ({}), due {due}", self.cron, self.timezone)
    }

    /// The origin of a run that a person started from the schedule, as the journal records it.
    pub fn describe_manual_origin(&self, by: &str) -> String {
        let name = if self.name.is_empty() { String::new() } else { format!("{} ", self.name) };
        format!("schedule {name}{} ({}), run now by {by}", self.cron, self.timezone)
    }
}

/// The next due time of a schedule, as the first page shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpcomingRun {
    pub pipeline: String,
    /// The pipeline's title.
    pub title: String,
    /// The schedule's name; usually empty.
    #[serde(default)]
    pub name: String,
    pub cron: String,
    pub timezone: String,
    pub next: Timestamp,
    /// The due time in the schedule's time zone: `Mon 23 Nov, 02:30`.
    pub local: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedule_handle_is_as_short_as_possible() {
        let one = |name: &str, cron: &str| Schedule {
            name: name.into(),
            cron: cron.into(),
            timezone: "UTC".into(),
            ..Schedule::default()
        };
        assert_eq!(handles(&[one("", "1"), one("late", "2")]), ["default", "late"]);
        assert_eq!(handles(&[one("", "1"), one("default", "2")]), ["default~1~UTC", "default~2~UTC"]);
        assert_eq!(handles(&[one("a", "1"), one("a", "2"), one("", "3")]), ["a~1~UTC", "a~2~UTC", "default"]);
        assert_eq!(handles(&[]), [] as [String; 0]);
    }

    #[test]
    fn schedule_handle_needs_no_escaping_and_no_order() {
        let one = |cron: &str, timezone: &str| Schedule {
            cron: cron.into(),
            timezone: timezone.into(),
            ..Schedule::default()
        };
        let all = [
            one("*/5 1,2 1-5 * MON#2", "Europe/Berlin"),
            one("*/5 1-2 1-5 * MON", "Etc/GMT+5"),
            one("*/5 1-2 1-5 ? MON", "Etc/GMT-5"),
        ];
        let names = handles(&all);
        assert_eq!(names[0], "default~x.5_1--2_1-5_x_MONn2~Europe.Berlin");
        assert_eq!(names[1..], ["default~x.5_1-2_1-5_x_MON~Etc.GMTp5", "default~x.5_1-2_1-5_x_MON~Etc.GMT-5"]);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        assert!(names.iter().all(|name| name.chars().all(is_plain)));
        let turned: Vec<Schedule> = all.into_iter().rev().collect();
        assert!(handles(&turned).iter().eq(names.iter().rev()));
    }

    #[test]
    fn schedule_identity_ignores_params() {
        let one = Schedule { cron: "30 2 * * *".into(), timezone: "UTC".into(), ..Schedule::default() };
        let given = Schedule { params: [("x".to_owned(), 1.into())].into(), missed: MissedPolicy::Once, ..one.clone() };
        assert_eq!(one.identity(), given.identity());
        for other in [
            Schedule { name: "a".into(), ..one.clone() },
            Schedule { cron: "31 2 * * *".into(), ..one.clone() },
            Schedule { timezone: "Europe/Berlin".into(), ..one.clone() },
        ] {
            assert_ne!(one.identity(), other.identity());
        }
        let due = Timestamp(1_795_255_200_000);
        assert_eq!(one.describe_origin(due), "schedule 30 2 * * * (UTC), due 2026-11-21T10:00:00.000Z");
    }
}
