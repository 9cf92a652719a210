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
fn the_times_that_are_meant() {
    let berlin = "Europe/Berlin";
    let cases: &[(&str, &str, &str, &[&str])] = &[
        // In Berlin, 02:00 to 03:00 does not exist on 29 March 2026: at 01:00 UTC it is 03:00. Once, when it has changed.
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
        // Day of month or weekday, as cron has it.
        ("0 0 13 * 5", "UTC", "2026-11-01T00:00:00Z", &["2026-11-06T00:00:00Z", "2026-11-13T00:00:00Z"]),
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
fn what_is_no_rule_is_refused_with_its_reason() {
    for bad in ["", "* * * *", "* * * * * * *", "60 * * * *", "* 24 * * *", "x * * * *", "*/0 * * * *", "5-1-2 * * * *"]
    {
        let error = Rule::read(bad, "UTC").unwrap_err();
        assert!(matches!(error, BadRule::Expression(_)), "{bad}: {error}");
    }
    for never in ["0 0 30 2 *", "0 0 31 4 *"] {
        assert_eq!(Rule::read(never, "UTC").unwrap_err(), BadRule::Never, "{never}");
    }
    for zone in ["", "Mars/Olympus", "Europe/Berlin ", "CEST", "+01:00", "../../etc/passwd"] {
        assert_eq!(Rule::read("0 0 * * *", zone).unwrap_err(), BadRule::Zone(zone.into()), "{zone}");
    }
}

#[test]
fn a_moment_is_told_by_the_clocks_of_the_zone() {
    let rule = Rule::read("30 2 * * *", "Europe/Berlin").unwrap();
    assert_eq!(rule.local(at("2026-11-23T01:30:00Z")), "Mon 23 Nov, 02:30");
}

proptest! {
    /// Forward and back are one and the same list of times, in which none is skipped or comes twice.
    #[test]
    fn forward_and_back_agree(
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
