//! Numbers and times for people. The output does not depend on the locale, so that hydration finds the text that the
//! server rendered.

use jiff::tz::Offset;

use crate::model::Timestamp;

/// A duration with two significant units: `40ms`, `3.4s`, `34s`, `2m 05s`, `3h 20m`, `2d 4h`.
pub fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0 => format!("{milliseconds}ms"),
        1..10 => format!("{}.{}s", seconds, milliseconds % 1000 / 100),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m {:02}s", seconds % 60),
        3600..86_400 => format!("{hours}h {:02}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// A duration that is still growing, in whole seconds, so that it changes once a second.
pub fn ticking(milliseconds: u64) -> String {
    match milliseconds / 1000 {
        seconds @ 0..60 => format!("{seconds}s"),
        _ => duration(milliseconds),
    }
}

/// A past time relative to now: `just now`, `5 min ago`. `None` from a week on, where a date says more.
pub fn ago(milliseconds: u64) -> Option<String> {
    let seconds = milliseconds / 1000;
    match seconds {
        0..10 => Some("just now".to_owned()),
        10..60 => Some(format!("{seconds} s ago")),
        60..3600 => Some(format!("{} min ago", seconds / 60)),
        3600..86_400 => Some(format!("{} h ago", seconds / 3600)),
        86_400..604_800 => Some(match seconds / 86_400 {
            1 => "yesterday".to_owned(),
            days => format!("{days} days ago"),
        }),
        _ => None,
    }
}

/// A future time relative to now: `in 40 s`, `in 5 min`, `in 3 h 20 min`, `in 2 days`.
pub fn ahead(milliseconds: u64) -> String {
    let seconds = milliseconds.div_ceil(1000);
    match seconds {
        0 => "now".to_owned(),
        1..60 => format!("in {seconds} s"),
        60..3600 => format!("in {} min", seconds / 60),
        3600..86_400 => match seconds / 60 % 60 {
            0 => format!("in {} h", seconds / 3600),
            minutes => format!("in {} h {minutes} min", seconds / 3600),
        },
        _ => format!("in {}", counted(seconds / 86_400, "day")),
    }
}

/// The time of day at a UTC offset in minutes: `10:00:00.123`.
pub fn clock(at: Timestamp, offset: i32) -> String {
    formatted(at, offset, "%H:%M:%S%.3f")
}

/// The time of day at a UTC offset in minutes, without seconds: `10:00`.
pub fn clock_minutes(at: Timestamp, offset: i32) -> String {
    formatted(at, offset, "%H:%M")
}

/// Date and time of day at a UTC offset in minutes: `21 Nov, 10:00`.
pub fn moment(at: Timestamp, offset: i32) -> String {
    formatted(at, offset, "%-d %b, %H:%M")
}

/// The full date and time with its UTC offset: `2026-11-21 10:00:00.123 +01:00`.
pub fn exact(at: Timestamp, offset: i32) -> String {
    let zone = match offset {
        0 => " UTC".to_owned(),
        _ => format!(
            " {}{:02}:{:02}",
            if offset < 0 { '-' } else { '+' },
            offset.unsigned_abs() / 60,
            offset.unsigned_abs() % 60
        ),
    };
    formatted(at, offset, "%Y-%m-%d %H:%M:%S%.3f") + &zone
}

fn formatted(at: Timestamp, offset: i32, form: &str) -> String {
    let zone = Offset::from_seconds(offset.saturating_mul(60)).unwrap_or(Offset::UTC);
    jiff::Timestamp::from_millisecond(at.0)
        .map_or_else(|_| "?".to_owned(), |at| zone.to_datetime(at).strftime(form).to_string())
}

/// A size in bytes with two significant digits: `512 B`, `4.1 kB`, `340 MB`, `1.2 GB`.
pub fn bytes(bytes: u64) -> String {
    let (mut unit, mut index) = (1u64, 0);
    while bytes / unit >= 1000 && index < UNITS.len() - 1 {
        unit *= 1000;
        index += 1;
    }
    let name = UNITS[index];
    match bytes / unit {
        number @ 0..10 if unit > 1 => format!("{number}.{} {name}", bytes % unit / (unit / 10)),
        number => format!("{number} {name}"),
    }
}

const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];

/// A count with thousands separators: `20,000`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count with its noun: `1 line`, `2 lines`.
pub fn counted(number: u64, one: &str) -> String {
    let plural = match number {
        1 => "",
        _ if one.ends_with("ch") => "es",
        _ if one.ends_with('y') && !one.ends_with("ay") => {
            return format!("{} {}ies", count(number), &one[..one.len() - 1]);
        }
        _ => "s",
    };
    format!("{} {one}{plural}", count(number))
}

/// A reason from the journal as a sentence: with a capital letter at its beginning and a full stop at its end.
pub fn sentence(reason: &str) -> String {
    with_full_stop(&sentence_start(reason))
}

/// A reason with a capital letter at its beginning.
pub fn sentence_start(reason: &str) -> String {
    let mut letters = reason.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

/// A reason from the journal with a full stop at its end, to be put behind a colon.
pub fn with_full_stop(reason: &str) -> String {
    let mut sentence = reason.trim().to_owned();
    if !sentence.is_empty() && !sentence.ends_with(['.', '!', '?', '…']) {
        sentence.push('.');
    }
    sentence
}

/// The first `max_chars` characters of a text, on one line.
pub fn one_line(text: &str, max_chars: usize) -> String {
    let cut = text.char_indices().nth(max_chars).map_or(text.len(), |(place, _)| place);
    let mut line = text[..cut].replace(['\n', '\r'], "⏎");
    if cut < text.len() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_two_significant_digits() {
        for (number, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (4096, "4.0 kB"),
            (9_999, "9.9 kB"),
            (10_000, "10 kB"),
            (340_900_000, "340 MB"),
            (1_290_000_000, "1.2 GB"),
            (u64::MAX, "18446 PB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn duration_has_two_units() {
        let cases = [
            (0, "0ms"),
            (999, "999ms"),
            (1_000, "1.0s"),
            (9_990, "9.9s"),
            (10_000, "10s"),
            (65_000, "1m 05s"),
            (3_599_999, "59m 59s"),
            (12_000_000, "3h 20m"),
            (187_200_000, "2d 4h"),
        ];
        for (milliseconds, text) in cases {
            assert_eq!(duration(milliseconds), text);
        }
        assert_eq!(ticking(9_990), "9s");
        assert_eq!(ticking(65_000), "1m 05s");
    }

    #[test]
    fn ago_ends_after_a_week() {
        assert_eq!(ago(3_000).as_deref(), Some("just now"));
        assert_eq!(ago(61_000).as_deref(), Some("1 min ago"));
        assert_eq!(ago(86_400_000).as_deref(), Some("yesterday"));
        assert_eq!(ago(700_000_000), None);
    }

    #[test]
    fn ahead_counts_down() {
        for (milliseconds, text) in [
            (0, "now"),
            (1, "in 1 s"),
            (59_000, "in 59 s"),
            (59_001, "in 1 min"),
            (3_599_000, "in 59 min"),
            (3_600_000, "in 1 h"),
            (12_000_000, "in 3 h 20 min"),
            (86_400_000, "in 1 day"),
            (187_200_000, "in 2 days"),
        ] {
            assert_eq!(ahead(milliseconds), text);
        }
    }

    #[test]
    fn times_use_the_utc_offset() {
        let at = Timestamp(1_795_255_200_123);
        assert_eq!(clock(at, 0), "10:00:00.123");
        assert_eq!(moment(at, 330), "21 Nov, 15:30");
        assert_eq!(exact(at, -90), "2026-11-21 08:30:00.123 -01:30");
        assert_eq!(exact(at, 0), "2026-11-21 10:00:00.123 UTC");
        assert_eq!(clock(Timestamp(i64::MAX), 0), "?");
    }

    #[test]
    fn count_separates_thousands() {
        assert_eq!(count(7), "7");
        assert_eq!(count(20_000), "20,000");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(counted(1, "line"), "1 line");
        assert_eq!(counted(0, "line"), "0 lines");
        assert_eq!((counted(1, "delivery"), counted(2, "delivery")), ("1 delivery".into(), "2 deliveries".into()));
    }

    #[test]
    fn sentence_has_capital_and_full_stop() {
        for (reason, expected) in [
            ("rejected by Anna", "Rejected by Anna."),
            ("Done.", "Done."),
            ("why? ", "Why?"),
            ("über", "Über."),
            ("", ""),
        ] {
            assert_eq!(sentence(reason), expected);
        }
    }

    #[test]
    fn one_line_cuts_between_characters() {
        assert_eq!(one_line("äöü", 2), "äö…");
        assert_eq!(one_line("a\nb", 9), "a⏎b");
    }
}
