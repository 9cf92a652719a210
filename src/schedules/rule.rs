//! An expression and a time zone: which moments they mean.
//!
//! By the crate croner, whose rules for changes of the clock are those of Vixie cron: a fixed time that does not exist (02:30
//! on the day in spring) is due when the clock has changed, once; one that exists twice is due the first time only. What
//! repeats (`*`, `*/5` in seconds, minutes or hours) follows the clock: it is due in both passes and not in a gap.
//!
//! If both day fields are restricted, a day is due when either matches; if one of them begins with `*`, both must match, also for
//! `*/2`. That is Vixie cron's rule; see [`super::fields`].

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Zoned;
use jiff::tz::TimeZone;

use super::fields;
use crate::model::Timestamp;

/// Some moment from which an expression must come again: 2024-01-01. With it, reading a rule does not depend on the clock.
const ANY: Timestamp = Timestamp(1_704_067_200_000);

/// An expression in a time zone.
#[derive(Clone, Debug)]
pub struct Rule {
    cron: Cron,
    zone: TimeZone,
}

/// Why something is no rule. Each is a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    /// It is not an expression: which field, why, and what to write instead.
    #[error("{0}")]
    Expression(String),
    /// No date fits it.
    #[error("`cron` means a time that never comes.")]
    Never,
    /// The zone is not known.
    #[error(
        "`timezone` is the IANA name of a time zone, such as \"Europe/Berlin\" or \"UTC\"; there is none called {0:?}."
    )]
    Zone(String),
}

impl Rule {
    /// Reads an expression and the name of a time zone.
    ///
    /// # Errors
    /// [`BadRule`]
    pub fn read(cron: &str, zone: &str) -> Result<Self, BadRule> {
        let expression = fields::read(cron).map_err(BadRule::Expression)?;
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed);
        let parsed = parser.dom_and_dow(expression.both_days).build().parse(&expression.text);
        let cron = parsed.map_err(|error| {
            let text = error.to_string();
            let text = text.split_once(": ").map_or(text.as_str(), |(_, text)| text);
            BadRule::Expression(format!("`cron` cannot be read: {}.", text.trim_end_matches('.')))
        })?;
        let zone = TimeZone::get(zone).map_err(|_| BadRule::Zone(zone.to_owned()))?;
        let rule = Self { cron, zone };
        if rule.next(ANY).is_some() { Ok(rule) } else { Err(BadRule::Never) }
    }

    /// The first moment after this one that is meant. `None` if none comes in any foreseeable time.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let at = self.cron.find_next_occurrence(&self.at(after)?, false).ok()?;
        Some(Timestamp(at.timestamp().as_millisecond()))
    }

    /// The last moment up to and with this one that is meant.
    pub fn last(&self, until: Timestamp) -> Option<Timestamp> {
        let at = self.cron.find_previous_occurrence(&self.at(until)?, true).ok()?;
        Some(Timestamp(at.timestamp().as_millisecond()))
    }

    /// A moment on the clocks of the zone: `Mon 23 Nov, 02:30`.
    pub fn local(&self, at: Timestamp) -> String {
        self.at(at).map_or_else(|| at.to_string(), |at| at.strftime("%a %-d %b, %H:%M").to_string())
    }

    /// The zone's clock at the whole second of this moment: croner knows no parts of one.
    fn at(&self, at: Timestamp) -> Option<Zoned> {
        let second = jiff::Timestamp::from_second(at.0.div_euclid(1000)).ok()?;
        Some(second.to_zoned(self.zone.clone()))
    }
}

#[cfg(test)]
#[path = "rule_tests.rs"]
mod tests;
