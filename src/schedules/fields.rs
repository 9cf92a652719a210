//! Validates the fields of a cron expression.
//!
//! The crate croner computes the due times. This module checks the expression first, because croner's errors name
//! neither the field nor a remedy, and because it decides like Vixie cron whether one or both day fields must match.

/// The values of a field.
struct FieldSpec {
    /// For messages.
    name: &'static str,
    /// The plural for messages.
    plural: &'static str,
    min: u16,
    max: u16,
    /// The names of values, from the smallest.
    names: &'static [&'static str],
}

/// The fields in the order of a six-field expression.
const FIELDS: [FieldSpec; 6] = [
    FieldSpec { name: "second", plural: "seconds", min: 0, max: 59, names: &[] },
    FieldSpec { name: "minute", plural: "minutes", min: 0, max: 59, names: &[] },
    FieldSpec { name: "hour", plural: "hours", min: 0, max: 23, names: &[] },
    FieldSpec { name: "day of month", plural: "days of the month", min: 1, max: 31, names: &[] },
    FieldSpec {
        name: "month",
        plural: "months",
        min: 1,
        max: 12,
        names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    },
    FieldSpec {
        name: "weekday",
        plural: "weekdays",
        min: 0,
        max: 7,
        names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    },
];

const DAY_OF_MONTH: usize = 3;
const WEEKDAY: usize = 5;

/// Words that stand for a whole expression.
const WORDS: [(&str, &str); 7] = [
    ("@YEARLY", "0 0 1 1 *"),
    ("@ANNUALLY", "0 0 1 1 *"),
    ("@MONTHLY", "0 0 1 * *"),
    ("@WEEKLY", "0 0 * * 0"),
    ("@DAILY", "0 0 * * *"),
    ("@MIDNIGHT", "0 0 * * *"),
    ("@HOURLY", "0 * * * *"),
];

/// The format of an expression, for messages about the number of fields.
const SHAPE: &str =
    "Write five fields, minute hour day month weekday, such as \"30 2 * * 1-5\", or six with seconds first.";

/// A valid expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronExpression {
    /// In croner's syntax: with numbers for names and fields for words.
    pub text: String,
    /// Whether a day must match both day fields, and not just either.
    pub both_days: bool,
}

/// Parses an expression.
///
/// # Errors
/// A sentence that names the field, the problem and the remedy.
pub fn read(expression: &str) -> Result<CronExpression, String> {
    let upper = expression.trim().to_uppercase();
    if upper.is_empty() {
        return Err(format!("`cron` is empty. {SHAPE}"));
    }
    for prefix in ["TZ=", "CRON_TZ="] {
        if upper.starts_with(prefix) {
            let zone = expression.trim()[prefix.len()..].split_whitespace().next().unwrap_or_default();
            return Err(format!(
                "`cron` does not take `{prefix}`. Leave it out, and name the time zone with `timezone = \"{zone}\"`."
            ));
        }
    }
    if upper.starts_with('@') {
        return word(&upper, expression.trim());
    }
    let parts: Vec<&str> = upper.split_whitespace().collect();
    let fields = match parts.len() {
        5 => &FIELDS[1..],
        6 => &FIELDS[..],
        7 => {
            let six = parts[..6].join(" ").replace('?', "*");
            return Err(format!(
                "`cron` has seven fields, and the seventh would be the year, which a schedule cannot name. Leave it out: \"{six}\"."
            ));
        }
        1 => return Err(format!("`cron` has one field. {SHAPE}")),
        count => return Err(format!("`cron` has {count} fields. {SHAPE}")),
    };
    let first = FIELDS.len() - fields.len();
    let mut read = Vec::with_capacity(parts.len());
    let mut both_days = false;
    for (at, part) in parts.iter().enumerate() {
        let (mut part, at) = (*part, at + first);
        // croner's extension: both day fields must match.
        if let Some(rest) = part.strip_prefix('+').filter(|_| at == WEEKDAY) {
            (part, both_days) = (rest, true);
        }
        // In Vixie cron a day field that begins with a star, such as `*/2`, counts as a star, and both fields must
        // match.
        both_days |= (at == DAY_OF_MONTH || at == WEEKDAY) && part.starts_with('*');
        read.push(FIELDS[at].read(part, at)?);
    }
    Ok(CronExpression { text: read.join(" "), both_days })
}

/// Parses an expression like `@daily`.
fn word(upper: &str, written: &str) -> Result<CronExpression, String> {
    if let Some((_, text)) = WORDS.iter().find(|(word, _)| *word == upper) {
        return Ok(CronExpression { text: (*text).to_owned(), both_days: true });
    }
    if upper == "@REBOOT" {
        return Err(
            "`@reboot` is no time: a schedule has due times, and the start of the server or the machine is none. \
                    Write a time such as \"@hourly\", or start the run from the machine's own start-up."
                .to_owned(),
        );
    }
    if upper.starts_with("@EVERY") {
        return Err(format!(
            "`{written}` is not known. Write an interval as a step: \"*/5 * * * *\" is every 5 minutes."
        ));
    }
    Err(format!(
        "`{written}` is not known. The words are @yearly, @annually, @monthly, @weekly, @daily, @midnight and @hourly."
    ))
}

/// One element of a field's list, split at `-` and `/`.
struct FieldElement<'a> {
    from: &'a str,
    to: Option<&'a str>,
    step: Option<&'a str>,
}

impl<'a> FieldElement<'a> {
    fn split(text: &'a str) -> Self {
        let (range, step) = text.split_once('/').map_or((text, None), |(range, step)| (range, Some(step)));
        let (from, to) = range.split_once('-').map_or((range, None), |(from, to)| (from, Some(to)));
        Self { from, to, step }
    }
}

impl FieldSpec {
    /// The field in croner's syntax.
    fn read(&self, text: &str, at: usize) -> Result<String, String> {
        if text.contains('?') {
            return Err(format!(
                "The {} field has `?`, which is another cron's sign. Write `*` for a field that may have any value.",
                self.name
            ));
        }
        let elements: Vec<&str> = text.split(',').collect();
        if elements.len() > 1 && elements.contains(&"*") {
            return Err(format!("The {} field lists `*` beside other values. Write `*` alone.", self.name));
        }
        let read: Result<Vec<String>, String> = elements.iter().map(|element| self.read_element(element, at)).collect();
        Ok(read?.join(","))
    }

    fn read_element(&self, text: &str, at: usize) -> Result<String, String> {
        if text.is_empty() {
            return Err(format!("The {} field has a comma without a value beside it.", self.name));
        }
        if at == DAY_OF_MONTH
            && let Some(read) = self.special_day(text)?
        {
            return Ok(read);
        }
        // `5#2`, `FRI#2`, `5L`, `5#L`: the second Friday, the last one.
        let (text, nth) = match text.split_once('#') {
            _ if at != WEEKDAY => (text, String::new()),
            Some((value, nth @ ("1" | "2" | "3" | "4" | "5" | "L"))) => (value, format!("#{nth}")),
            Some((_, nth)) => {
                return Err(format!("The weekday field has `#{nth}`. Write `#1` to `#5`, or `#L` for the last one."));
            }
            None => match text.strip_suffix('L').filter(|value| !value.is_empty() && *value != "L") {
                Some(value) => (value, "#L".to_owned()),
                None => (text, String::new()),
            },
        };
        let FieldElement { from, to, step } = FieldElement::split(text);
        if let Some(step) = step {
            self.check_step(from, to, step)?;
        }
        let steps = step.map(|step| format!("/{step}")).unwrap_or_default();
        if from == "*" && to.is_none() && nth.is_empty() {
            return Ok(format!("*{steps}"));
        }
        let first = self.value(from)?;
        let Some(to) = to else { return Ok(format!("{first}{nth}")) };
        let mut last = self.value(to)?;
        if at == WEEKDAY && to == "SUN" && first > 0 {
            last = 7;
        }
        if last < first {
            return Err(self.runs_backward(from, to, first, last, step.is_some()));
        }
        Ok(format!("{first}-{last}{steps}{nth}"))
    }

    /// `L`, `LW`, `15W`: the last day, the last working day, the working day next to the 15th.
    fn special_day(&self, text: &str) -> Result<Option<String>, String> {
        if text == "L" || text == "LW" {
            return Ok(Some(text.to_owned()));
        }
        match text.strip_suffix('W') {
            Some(day) => Ok(Some(format!("{}W", self.value(day)?))),
            None => Ok(None),
        }
    }

    fn value(&self, text: &str) -> Result<u16, String> {
        let (name, plural, min, max) = (self.name, self.plural, self.min, self.max);
        if let Some(at) = self.names.iter().position(|known| *known == text) {
            return Ok(min + u16::try_from(at).unwrap_or_default());
        }
        let range = match self.names {
            [] => format!("{min} to {max}"),
            names => format!("{min} to {max}, or {} to {}", names[0], names[names.len() - 1]),
        };
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("The {name} field has `{text}`, which is no value: {plural} are {range}."));
        }
        let value = text.parse::<u16>().ok().filter(|value| (min..=max).contains(value));
        value.ok_or_else(|| format!("The {name} {text} is out of range: {plural} are {range}."))
    }

    fn check_step(&self, from: &str, to: Option<&str>, step: &str) -> Result<(), String> {
        let number = step.parse::<u16>().ok().filter(|_| step.bytes().all(|byte| byte.is_ascii_digit()));
        if number.is_none_or(|number| number == 0 || number > self.max.max(1)) {
            let most = self.max;
            return Err(format!("The {} field has the step `/{step}`. A step is 1 to {most}.", self.name));
        }
        if from.is_empty() {
            return Err(format!("The {} field has `/{step}` alone. Write `*/{step}`.", self.name));
        }
        if to.is_none() && from != "*" {
            let most = self.max;
            return Err(format!(
                "The {} field has a step after one value. Write a range, `{from}-{most}/{step}`, or `*/{step}`.",
                self.name
            ));
        }
        Ok(())
    }

    /// The error of a range that ends before it begins, with the two ranges that were probably meant.
    fn runs_backward(&self, from: &str, to: &str, first: u16, last: u16, has_step: bool) -> String {
        let problem = format!("The {} range `{from}-{to}` runs backward.", self.name);
        if has_step {
            return format!("{problem} Write two ranges, one to the end and one from the beginning.");
        }
        // A range of weekdays may end on Sunday (7), so the second range begins on Monday.
        let is_weekday = self.max == 7;
        let named = !self.names.is_empty() && !from.bytes().all(|byte| byte.is_ascii_digit());
        let word = |value: u16| match self.names {
            names if named => names[usize::from(value - self.min) % names.len()].to_owned(),
            _ => value.to_string(),
        };
        let range = |first: u16, last: u16| match first == last {
            true => word(first),
            false => format!("{}-{}", word(first), word(last)),
        };
        let start = if is_weekday { 1 } else { self.min };
        let mut ranges = vec![range(first, self.max)];
        if last >= start {
            ranges.push(range(start, last));
        }
        format!("{problem} Write `{}`.", ranges.join(","))
    }
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
