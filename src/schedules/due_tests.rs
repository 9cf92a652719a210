use proptest::prelude::*;

use super::*;

const MINUTE: i64 = 60_000;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Everything that is started by somebody who looks now, and what is waited for then.
fn all(rule: &Rule, missed: MissedPolicy, mut look: Look) -> (Vec<Timestamp>, Due) {
    let mut started = Vec::new();
    loop {
        match due(rule, missed, look) {
            Due::Start(at) => {
                assert!(at > look.done, "a due time is started once");
                look.done = at;
                started.push(at);
            }
            other => return (started, other),
        }
    }
}

/// A rule, how far it is done, since when somebody looks, and what time it is; then what is started if missed times are skipped,
/// and what if they are made up for.
type Case<'a> = (&'a Rule, &'a str, &'a str, &'a str, &'a [&'a str], &'a [&'a str]);

#[test]
fn what_is_due_is_started_and_what_was_missed_is_forgotten_or_made_up_for_once() {
    let berlin = Rule::read("30 2 * * *", "Europe/Berlin").unwrap();
    let five = Rule::read("*/5 * * * *", "UTC").unwrap();
    let seconds = Rule::read("* * * * * *", "UTC").unwrap();
    let boot = "2025-01-01T00:00:00Z";
    let cases: &[Case<'_>] = &[
        // Not yet, exactly then, and a little late.
        (&five, "2026-11-21T10:00:00Z", boot, "2026-11-21T10:04:59.999Z", &[], &[]),
        (&five, "2026-11-21T10:00:00Z", boot, "2026-11-21T10:05:00Z", &["10:05:00"], &["10:05:00"]),
        (&five, "2026-11-21T10:00:00Z", boot, "2026-11-21T10:06:30Z", &["10:05:00"], &["10:05:00"]),
        // Done already.
        (&five, "2026-11-21T10:05:00Z", boot, "2026-11-21T10:06:30Z", &[], &[]),
        // The machine slept from 07:01 to 10:03: too late for 10:00.
        (&five, "2026-11-21T07:00:00Z", boot, "2026-11-21T10:03:00Z", &[], &["10:00:00"]),
        // To 10:00:30: that one is due, and makes up for the others.
        (&five, "2026-11-21T07:00:00Z", boot, "2026-11-21T10:00:30Z", &["10:00:00"], &["10:00:00"]),
        // The server was away and came back at 10:00:10.
        (&five, "2026-11-21T07:00:00Z", "2026-11-21T10:00:10Z", "2026-11-21T10:00:10Z", &[], &["10:00:00"]),
        (&five, "2026-11-21T09:58:00Z", "2026-11-21T10:00:10Z", "2026-11-21T10:05:00Z", &["10:05:00"], &["10:05:00"]),
        // At that very moment.
        (&five, "2026-11-21T09:55:00Z", "2026-11-21T10:00:00Z", "2026-11-21T10:00:00Z", &["10:00:00"], &["10:00:00"]),
        // For a year.
        (&five, "2025-11-21T07:00:00Z", "2026-11-21T10:00:10Z", "2026-11-21T10:00:10Z", &[], &["10:00:00"]),
        // Whoever is held up for some seconds starts each of them.
        (
            &seconds,
            "2026-11-21T10:00:00Z",
            boot,
            "2026-11-21T10:00:03.500Z",
            &["10:00:01", "10:00:02", "10:00:03"],
            &["10:00:01", "10:00:02", "10:00:03"],
        ),
        // The clock was set back by an hour: nothing comes twice.
        (&five, "2026-11-21T10:00:00Z", boot, "2026-11-21T09:05:00Z", &[], &[]),
        // The hour that exists twice: due at its first half past two, and never again at its second.
        (&berlin, "2026-10-24T00:30:00Z", boot, "2026-10-25T00:30:01Z", &["00:30:00"], &["00:30:00"]),
        (&berlin, "2026-10-25T00:30:00Z", boot, "2026-10-25T01:30:01Z", &[], &[]),
        // The one that does not exist: once, when the clock has changed.
        (&berlin, "2026-03-28T01:30:00Z", boot, "2026-03-29T01:00:00Z", &["01:00:00"], &["01:00:00"]),
        (&berlin, "2026-03-29T01:00:00Z", boot, "2026-03-29T01:31:00Z", &[], &[]),
    ];
    for (number, (rule, done, since, now, skipped, once)) in cases.iter().enumerate() {
        for (missed, expected) in [(MissedPolicy::Skip, skipped), (MissedPolicy::Once, once)] {
            let look = Look { done: at(done), since: at(since), now: at(now) };
            let (started, then) = all(rule, missed, look);
            let started: Vec<String> = started.iter().map(|at| at.to_string()[11..19].to_owned()).collect();
            assert_eq!(started, *expected, "case {number}, {missed:?}");
            let Due::Wait(Some(next)) = then else { panic!("case {number}: {then:?}") };
            assert!(next > at(now), "case {number}");
        }
    }
}

#[test]
fn a_mark_far_ahead_is_of_a_clock_that_was_wrong() {
    let rule = Rule::read("*/5 * * * *", "UTC").unwrap();
    let now = at("2026-11-21T10:00:00Z");
    let look = |ahead: i64| Look { done: Timestamp(now.0 + ahead), since: now, now };
    assert_eq!(due(&rule, MissedPolicy::Once, look(AHEAD + 1)), Due::Rebase);
    assert_eq!(due(&rule, MissedPolicy::Once, look(AHEAD)), Due::Wait(Some(Timestamp(now.0 + AHEAD + 5 * MINUTE))));
}

/// How a machine's time goes: it runs, it stands still without anybody noticing, it is started anew, its clock is set.
#[derive(Clone, Debug)]
enum Step {
    Runs(i64),
    Sleeps(i64),
    Restarts(i64),
    Clock(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..LATE / 2).prop_map(Step::Runs),
        1 => (0..20 * 60 * MINUTE).prop_map(Step::Sleeps),
        1 => (0..20 * 60 * MINUTE).prop_map(Step::Restarts),
        1 => (-3 * 60 * MINUTE..3 * 60 * MINUTE).prop_map(Step::Clock),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    /// Whatever a machine's time does: no due time is started twice, all that are started are due times, in order; while it
    /// only runs, each is started; and missed ones are made up for by one run at most, and if wanted by one at least.
    #[test]
    fn each_due_time_is_started_once(
        cron in prop::sample::select(vec!["*/5 * * * *", "30 2 * * *", "* * * * *", "0 */2 * * *"]),
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "Australia/Lord_Howe"]),
        missed in prop::sample::select(vec![MissedPolicy::Skip, MissedPolicy::Once]),
        start in 1_774_740_000i64..1_774_760_000,
        steps in steps(),
    ) {
        let rule = Rule::read(cron, zone).unwrap();
        let mut now = Timestamp(start * 1000);
        let (mut done, mut since) = (now, now);
        for step in steps {
            let before = now;
            let only_ran = matches!(step, Step::Runs(_));
            match step {
                Step::Runs(time) | Step::Sleeps(time) => now.0 += time,
                Step::Clock(by) => now.0 += by,
                Step::Restarts(time) => {
                    now.0 += time;
                    since = now;
                }
            }
            since = since.min(now);
            let (started, then) = all(&rule, missed, Look { done, since, now });
            prop_assert!(started.is_sorted());
            for at in &started {
                prop_assert!(*at > done && *at <= now);
                prop_assert_eq!(rule.last(*at), Some(*at), "it is one that is meant");
            }
            if only_ran && done <= before {
                let mut expected = Vec::new();
                let mut at = rule.next(before);
                while let Some(next) = at.filter(|next| *next <= now) {
                    expected.push(next);
                    at = rule.next(next);
                }
                prop_assert!(started.ends_with(&expected), "{:?} of {:?}", started, expected);
            }
            let late = started.iter().filter(|at| at.0 < (since.0).max(now.0 - LATE)).count();
            prop_assert!(late <= usize::from(missed == MissedPolicy::Once));
            if missed == MissedPolicy::Once && rule.next(done).is_some_and(|first| first <= now) {
                prop_assert!(!started.is_empty());
            }
            prop_assert!(matches!(then, Due::Wait(Some(next)) if next > now) || then == Due::Rebase);
            done = if then == Due::Rebase { now } else { started.last().copied().unwrap_or(done) };
        }
    }
}
