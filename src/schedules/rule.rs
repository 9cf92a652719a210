//! The due times of a cron expression in a time zone.
//!
//! The crate croner computes them with Vixie cron's rules for changes of the clock: a fixed time that does not exist
//! (02:30 in spring) is due once, when the clock has changed; one that exists twice is due the first time only.
//! Repeating times (`*` or `*/5` in seconds, minutes or hours) follow the clock: they are due in both passes and not in
//! a gap.
//!
//! If both day fields are restricted, a day matches if either matches; if one of them begins with `*`, such as `*/2`,
//! both must match. That is Vixie cron's rule as well; see [`super::fields`].

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Zoned;
use jiff::tz::TimeZone;

use super::fields;
use crate::model::Timestamp;

/// 2024-01-01. An expression must have a due time after it, so that reading a rule does not depend on the clock.
const REFERENCE_TIME: Timestamp = Timestamp(1_704_067_200_000);

/// An expression in a time zone.
#[derive(Clone, Debug)]
pub struct Rule {
    cron: Cron,
    zone: TimeZone,
}

/// Why an expression or a time zone is invalid. The texts are sentences for users.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Names the field, the reason and a remedy.
    #[error("{0}")]
    Expression(String),
    /// No date matches.
    #[error("`cron` means a time that never comes.")]
    Never,
    #[error(
        "`timezone` is the IANA name of a time zone, such as \"Europe/Berlin\" or \"UTC\"; there is none called {0:?}."
    )]
    Zone(String),
}

impl Rule {
    /// Parses an expression and the name of a time zone.
    ///
    /// # Errors
    /// [`RuleError`].
    pub fn read(cron: &str, zone: &str) -> Result<Self, RuleError> {
        let expression = fields::read(cron).map_err(RuleError::Expression)?;
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed);
        let parsed = parser.dom_and_dow(expression.both_days).build().parse(&expression.text);
        let cron = parsed.map_err(|error| {
            let text = error.to_string();
            let text = text.split_once(": ").map_or(text.as_str(), |(_, text)| text);
            RuleError::Expression(format!("`cron` cannot be read: {}.", text.trim_end_matches('.')))
        })?;
        let zone = TimeZone::get(zone).map_err(|_| RuleError::Zone(zone.to_owned()))?;
        let rule = Self { cron, zone };
        if rule.next(REFERENCE_TIME).is_some() { Ok(rule) } else { Err(RuleError::Never) }
    }

    /// The first due time after this time. `None` if there is none in the foreseeable future.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let at = self.cron.find_next_occurrence(&self.at(after)?, false).ok()?;
        Some(Timestamp(at.timestamp().as_millisecond()))
    }

    /// The last due time up to and including this time.
    pub fn last(&self, until: Timestamp) -> Option<Timestamp> {
        let at = self.cron.find_previous_occurrence(&self.at(until)?, true).ok()?;
        Some(Timestamp(at.timestamp().as_millisecond()))
    }

    /// A time in the zone: `Mon 23 Nov, 02:30`.
    pub fn local(&self, at: Timestamp) -> String {
        self.at(at).map_or_else(|| at.to_string(), |at| at.strftime("%a %-d %b, %H:%M").to_string())
    }

    /// The time in the zone, at the whole second: croner does not support fractions.
    fn at(&self, at: Timestamp) -> Option<Zoned> {
        let second = jiff::Timestamp::from_second(at.0.div_euclid(1000)).ok()?;
        Some(second.to_zoned(self.zone.clone()))
    }
}

#[cfg(test)]
#[path = "rule_tests.rs"]
mod tests;
