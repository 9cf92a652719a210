//! When a pipeline's runs start by themselves.

use serde::{Deserialize, Serialize};

use super::{ParamInput, Timestamp};

/// A schedule of a pipeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Unique in its pipeline among those with the same expression and time zone; mostly empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// A cron expression: five fields, or six with seconds first.
    pub cron: String,
    /// The time zone that the expression is in, by its IANA name.
    pub timezone: String,
    /// What becomes of times that passed while no server ran.
    #[serde(default)]
    pub missed: MissedPolicy,
    /// What becomes of a due time while an earlier run of the schedule is active.
    #[serde(default)]
    pub overlap: OverlapPolicy,
    /// What its runs are given.
    #[serde(default)]
    pub params: ParamInput,
    /// When it is due next. Only in answers: a file says nothing of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// The line of its file where it begins, from 1.
    #[serde(skip)]
    pub line: usize,
}

/// What becomes of times that passed while no server ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissedPolicy {
    /// They are forgotten.
    #[default]
    Skip,
    /// One run makes up for all of them.
    Once,
}

/// What becomes of a due time while an earlier run of the same schedule is active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverlapPolicy {
    /// It is skipped while a run waits or runs.
    #[default]
    Skip,
    /// It is skipped while a run waits: at most one waits behind one that runs.
    One,
    /// It has its run, however many wait.
    Queue,
}

impl OverlapPolicy {
    /// The word in files and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::One => "one",
            Self::Queue => "queue",
        }
    }
}

/// What calls name a schedule by that has no name, if its pipeline has no other such one.
const UNNAMED_HANDLE: &str = "default";

/// What calls name each schedule of a pipeline by, in their order: its name, or `default` for the only one without a name. With
/// these a pause stays when an expression is edited. Where several would have the same, their expression and time zone follow, in
/// characters that an address has unescaped: it does not change when schedules are added, removed or put in another order.
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

/// An expression or a time zone without characters that an address has to escape. No two that mean something else become the same.
/// Pauses are kept under it: a change needs a migration, as 0019.
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
    /// Which schedule of its pipeline this is. With another name, expression or time zone it is another one, which begins when
    /// it is first seen; with other parameters it is the same.
    pub fn identity(&self) -> String {
        [self.name.as_str(), &self.cron, &self.timezone].join("|")
    }

    /// What asked for a run, as its journal says it.
    pub fn describe_origin(&self, due: Timestamp) -> String {
        let name = if self.name.is_empty() { String::new() } else { format!("{} ", self.name) };
        format!("schedule {name}{} ({}), due {due}", self.cron, self.timezone)
    }

    /// What asked for a run that somebody started by hand, as its journal says it.
    pub fn describe_manual_origin(&self, by: &str) -> String {
        let name = if self.name.is_empty() { String::new() } else { format!("{} ", self.name) };
        format!("schedule {name}{} ({}), run now by {by}", self.cron, self.timezone)
    }
}

/// A due time that is to come, as the first page shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpcomingRun {
    /// The pipeline's name.
    pub pipeline: String,
    /// What people call the pipeline.
    pub title: String,
    /// The schedule's name; mostly empty.
    #[serde(default)]
    pub name: String,
    /// See [`Schedule::cron`].
    pub cron: String,
    /// See [`Schedule::timezone`].
    pub timezone: String,
    /// When it is due.
    pub next: Timestamp,
    /// The same on the clocks of its time zone: `Mon 23 Nov, 02:30`.
    pub local: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handle_is_the_shortest_that_tells_schedules_apart() {
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
    fn handle_of_an_unnamed_schedule_needs_no_escaping_and_no_order() {
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
    fn a_schedule_is_known_by_what_it_says_of_time() {
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
