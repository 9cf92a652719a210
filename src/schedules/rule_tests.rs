use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn next(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let rule = Rule::read(cron, zone).unwrap();
    let mut moment = at(after);
    let mut found = Vec::new();
    for _ in 0..count {
        moment = rule.next(moment).unwrap();
        found.push(jiff::Timestamp::from_millisecond(moment.0).unwrap().to_string());
    }
    found
}

/// Changes of the clock and the calendar's corners, all in UTC: the rule, a moment, and the times that follow it.
#[test]
fn due_times_follow_clock_changes_and_calendar() {
    let berlin = "Europe/Berlin";
    let cases: &[(&str, &str, &str, &[&str])] = &[
        // In Berlin, 02:00 to 03:00 does not exist on 29 March 2026: at 01:00 UTC it is 03:00. Once, when it has
        // changed.
        (
            "30 2 * * *",
            berlin,
            "2026-03-27T12:00:00Z",
            &["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
        ),
        // Every half hour: what the gap swallows is not made up for.
        (
            "*/30 * * * *",
            berlin,
            "2026-03-29T00:00:00Z",
            &["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"],
        ),
        // 02:00 to 03:00 exists twice on 25 October 2026. A fixed time is due once, the first time.
        ("30 2 * * *", berlin, "2026-10-24T12:00:00Z", &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]),
        // What repeats is due in both.
        (
            "*/30 * * * *",
            berlin,
            "2026-10-25T00:00:00Z",
            &["2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"],
        ),
        // South of the equator, and half an hour of it.
        (
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-02T16:00:00Z",
            &["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"],
        ),
        // A zone without changes.
        ("0 9 * * 1-5", "Asia/Kolkata", "2026-11-20T12:00:00Z", &["2026-11-23T03:30:00Z", "2026-11-24T03:30:00Z"]),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
        ("0 0 31 * *", "UTC", "2026-01-31T00:00:00Z", &["2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z"]),
        ("0 0 L * *", "UTC", "2026-02-01T00:00:00Z", &["2026-02-28T00:00:00Z"]),
        // Day of month or weekday, like cron.
        ("0 0 13 * 5", "UTC", "2026-11-01T00:00:00Z", &["2026-11-06T00:00:00Z", "2026-11-13T00:00:00Z"]),
        // A star with a step is a star: both must match (Wednesdays with an odd date).
        ("0 0 */2 * 3", "UTC", "2026-11-30T12:00:00Z", &["2026-12-09T00:00:00Z", "2026-12-23T00:00:00Z"]),
        ("0 0 1-7 * */7", "UTC", "2026-11-30T12:00:00Z", &["2026-12-06T00:00:00Z", "2027-01-03T00:00:00Z"]),
        ("0 0 1-7 * 1", "UTC", "2026-11-30T12:00:00Z", &["2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z"]),
        ("0 0 13 * +5", "UTC", "2026-11-30T12:00:00Z", &["2027-08-13T00:00:00Z"]),
        ("0 3 * * 7L", "UTC", "2026-11-30T12:00:00Z", &["2026-12-27T03:00:00Z"]),
        ("0 3 * * SUN#5", "UTC", "2026-11-30T12:00:00Z", &["2027-01-31T03:00:00Z"]),
        ("0 3 15W * *", "UTC", "2026-11-01T00:00:00Z", &["2026-11-16T03:00:00Z", "2026-12-15T03:00:00Z"]),
        ("0 3 L * *", "UTC", "2026-11-01T00:00:00Z", &["2026-11-30T03:00:00Z"]),
        ("0 0 * * SUN", "UTC", "2026-11-21T00:00:00Z", &["2026-11-22T00:00:00Z"]),
        ("0 0 * * 7", "UTC", "2026-11-21T00:00:00Z", &["2026-11-22T00:00:00Z"]),
        // Six fields have seconds.
        ("*/20 * * * * *", "UTC", "2026-11-21T00:00:00.999Z", &["2026-11-21T00:00:20Z", "2026-11-21T00:00:40Z"]),
        ("@daily", "UTC", "2026-11-21T10:00:00Z", &["2026-11-22T00:00:00Z"]),
        // What is due now is not after now.
        ("0 10 * * *", "UTC", "2026-11-21T10:00:00Z", &["2026-11-22T10:00:00Z"]),
        ("0 10 * * *", "UTC", "2026-11-21T10:00:00.500Z", &["2026-11-22T10:00:00Z"]),
    ];
    for (cron, zone, after, expected) in cases {
        assert_eq!(next(cron, zone, after, expected.len()), *expected, "{cron} {zone} after {after}");
    }
}

#[test]
fn invalid_rules_have_a_reason() {
    for bad in ["", "* * * *", "* * * * * * *", "60 * * * *", "* 24 * * *", "x * * * *", "*/0 * * * *", "5-1-2 * * * *"]
    {
        let error = Rule::read(bad, "UTC").unwrap_err();
        assert!(matches!(error, RuleError::Expression(_)), "{bad}: {error}");
    }
    for never in ["0 0 30 2 *", "0 0 31 4 *"] {
        assert_eq!(Rule::read(never, "UTC").unwrap_err(), RuleError::Never, "{never}");
    }
    for zone in ["", "Mars/Olympus", "Europe/Berlin ", "CEST", "+01:00", "../../etc/passwd"] {
        assert_eq!(Rule::read("0 0 * * *", zone).unwrap_err(), RuleError::Zone(zone.into()), "{zone}");
    }
}

#[test]
fn local_time_is_that_of_the_zone() {
    let rule = Rule::read("30 2 * * *", "Europe/Berlin").unwrap();
    assert_eq!(rule.local(at("2026-11-23T01:30:00Z")), "Mon 23 Nov, 02:30");
}

proptest! {
    #[test]
    fn next_and_last_agree(
        cron in prop::sample::select(vec![
            "30 2 * * *", "*/7 * * * *", "0 */3 * * *", "0 0 1 * *", "15 1,2,3 * * 0", "0 0 29 2 *", "*/13 * * * * *",
        ]),
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
        // Around the changes of 2026 more often than elsewhere.
        start in prop_oneof![
            1_767_225_600i64..1_798_761_600,
            1_774_745_000i64..1_774_750_000,
            1_792_888_000i64..1_792_895_000,
        ],
    ) {
        let rule = Rule::read(cron, zone).unwrap();
        let start = Timestamp(start * 1000);
        let first = rule.next(start).unwrap();
        prop_assert!(first > start);
        let second = rule.next(first).unwrap();
        prop_assert!(second > first);
        prop_assert_eq!(rule.next(Timestamp(first.0 - 1000)), Some(first));
        prop_assert_eq!(rule.last(first), Some(first));
        prop_assert_eq!(rule.last(Timestamp(second.0 - 1000)), Some(first));
        prop_assert!(rule.last(start).is_none_or(|last| last <= start));
    }
}

/// Another reader of expressions: the set of a field's values, and whether it begins with a star. Knows lists, ranges
/// and steps.
fn values(field: &str, min: u32, max: u32) -> (Vec<u32>, bool) {
    let mut values = Vec::new();
    for element in field.split(',') {
        let (range, step) = element.split_once('/').unwrap_or((element, "1"));
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (from.parse().unwrap(), to.parse().unwrap()),
            None if range == "*" => (min, max),
            None => (range.parse().unwrap(), range.parse().unwrap()),
        };
        values.extend((from..=to).step_by(step.parse().unwrap()));
    }
    (values, field.starts_with('*'))
}

/// Every minute of these days (in UTC, from a midnight on) that an expression of five fields means, by looking at each.
fn minute_by_minute(expression: &str, first: jiff::civil::Date, days: u32) -> Vec<Timestamp> {
    let fields: Vec<&str> = expression.split(' ').collect();
    let (minutes, _) = values(fields[0], 0, 59);
    let (hours, _) = values(fields[1], 0, 23);
    let (dates, any_date) = values(fields[2], 1, 31);
    let (months, _) = values(fields[3], 1, 12);
    let (weekdays, any_weekday) = values(fields[4], 0, 7);
    let mut found = Vec::new();
    let midnight = first.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_millisecond();
    for day in 0..days {
        let date = first.checked_add(jiff::Span::new().days(i64::from(day))).unwrap();
        let weekday = u32::from(date.weekday().to_sunday_zero_offset() as u8);
        let on_date = dates.contains(&u32::from(date.day() as u8));
        let on_weekday = weekdays.iter().any(|known| known % 7 == weekday);
        let is_due = if any_date || any_weekday { on_date && on_weekday } else { on_date || on_weekday };
        if !is_due || !months.contains(&u32::from(date.month() as u8)) {
            continue;
        }
        for minute in 0..24 * 60 {
            if hours.contains(&(minute / 60)) && minutes.contains(&(minute % 60)) {
                found.push(Timestamp(midnight + i64::from(day * 24 * 60 + minute) * 60_000));
            }
        }
    }
    found
}

/// A field of an expression: a star, a step, or a list of values and ranges.
fn field(min: u32, max: u32) -> impl Strategy<Value = String> {
    let value = move || min..=max;
    let step = 1..=max.min(20);
    let element = prop_oneof![
        3 => value().prop_map(|value| value.to_string()),
        2 => (value(), value()).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        1 => (value(), value(), step.clone()).prop_map(|(a, b, step)| format!("{}-{}/{step}", a.min(b), a.max(b))),
        1 => step.clone().prop_map(|step| format!("*/{step}")),
    ];
    prop_oneof![
        2 => Just("*".to_owned()),
        1 => step.prop_map(|step| format!("*/{step}")),
        4 => prop::collection::vec(element, 1..3).prop_map(|elements| elements.join(",")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// Compares seven weeks with an evaluation of each minute.
    #[test]
    fn due_times_match_an_independent_evaluator(
        // Few minutes and hours, so that a case is quick.
        minute in prop_oneof![field(0, 59), Just("0".to_owned()), Just("17,48".to_owned())],
        hour in field(0, 23),
        date in field(1, 31),
        month in prop_oneof![3 => Just("*".to_owned()), 1 => field(1, 12)],
        weekday in field(0, 7),
        first in 0i64..1500,
    ) {
        let expression = [minute, hour, date, month, weekday].join(" ");
        let first = jiff::civil::date(2025, 1, 1).checked_add(jiff::Span::new().days(first)).unwrap();
        let expected = minute_by_minute(&expression, first, 49);
        let rule = match Rule::read(&expression, "UTC") {
            Ok(rule) => rule,
            Err(RuleError::Never) => return if expected.is_empty() { Ok(()) } else { Err(TestCaseError::fail("never")) },
            Err(error) => return Err(TestCaseError::fail(format!("{expression}: {error}"))),
        };
        let midnight = first.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_millisecond();
        let (mut at, end) = (Timestamp(midnight - 1), Timestamp(midnight + 49 * 24 * 60 * 60_000));
        let mut found = Vec::new();
        while let Some(next) = rule.next(at).filter(|next| *next < end) {
            found.push(next);
            at = next;
        }
        prop_assert!(found == expected, "{expression} from {first}: {} and {} times", found.len(), expected.len());
    }
}
