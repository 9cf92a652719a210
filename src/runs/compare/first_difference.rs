//! The first line in which two logs differ. Pure: a log is a stream of parts, whatever they are read from.

use std::pin::{Pin, pin};

use futures::stream::{Stream, TryStreamExt};
use sha2::{Digest, Sha256};

use crate::model::compare::{LogComparison, LogDifference, LogLine};
use crate::model::{FrameRecord, Log, LogStream};

/// How many bytes of a line are held in memory. The rest is held as a digest.
const MAX_HELD_BYTES: usize = 64 * 1024;

/// How many characters of a line are shown before the first difference.
const CONTEXT_CHARS: usize = 80;

/// How many characters of a line are shown in all.
const MAX_SHOWN_CHARS: usize = 600;

/// How much of each log is compared.
#[derive(Clone, Copy, Debug)]
pub struct CompareLimits {
    pub lines: u64,
    /// A line that begins within this limit is compared.
    pub bytes: u64,
}

/// A log frame: a line, or a part of one.
#[derive(Clone, Debug)]
pub struct LogPart {
    pub seq: u64,
    pub log: Log,
}

impl LogPart {
    pub fn from_frame(frame: &FrameRecord) -> Self {
        // Log frames are always readable; if one is not, its stored text is compared.
        let unreadable =
            |_| Log { stream: LogStream::Stdout, line: frame.data.to_string(), cont: false, replaces: None };
        Self { seq: frame.seq, log: serde_json::from_str(&frame.data).unwrap_or_else(unreadable) }
    }
}

/// A line, joined from its parts: where a long or slow line is split depends on timing.
struct WholeLine {
    seq: u64,
    stream: LogStream,
    /// The beginning of the line.
    held: String,
    bytes: u64,
    /// The digest of everything after `held`.
    rest: Option<Sha256>,
    /// The line is longer than the limit and was not read to its end.
    is_cut: bool,
}

impl WholeLine {
    fn new(LogPart { seq, log: Log { stream, line, .. } }: LogPart) -> Self {
        let mut new = Self { seq, stream, held: String::new(), bytes: 0, rest: None, is_cut: false };
        new.push(&line);
        new
    }

    fn push(&mut self, text: &str) {
        self.bytes += text.len() as u64;
        let space = match self.rest {
            None => (MAX_HELD_BYTES - self.held.len()).min(text.len()),
            Some(_) => 0,
        };
        // A character that does not fit goes to the digest whole: the other line may be split elsewhere.
        let space = (0..=space).rev().find(|&space| text.is_char_boundary(space)).unwrap_or(0);
        let (held, rest) = text.split_at(space);
        self.held.push_str(held);
        if !rest.is_empty() {
            self.rest.get_or_insert_default().update(rest);
        }
    }

    fn equals(&self, other: &Self) -> bool {
        let rest = |line: &Self| line.rest.clone().map(Digest::finalize);
        let same_start = self.stream == other.stream && self.held == other.held;
        same_start && (self.is_cut && other.is_cut || self.bytes == other.bytes && rest(self) == rest(other))
    }

    /// The text around the first difference from another line.
    fn excerpt(&self, other: Option<&Self>) -> String {
        let other = other.map_or("", |other| &other.held);
        let same = self.held.chars().zip(other.chars()).take_while(|(one, other)| one == other).count();
        let skipped = if same > 2 * CONTEXT_CHARS { same - CONTEXT_CHARS } else { 0 };
        let mut shown = String::from(if skipped > 0 { "…" } else { "" });
        shown.extend(self.held.chars().skip(skipped).take(MAX_SHOWN_CHARS));
        if self.bytes > self.held.len() as u64 || self.held.chars().nth(skipped + MAX_SHOWN_CHARS).is_some() {
            shown.push('…');
        }
        shown
    }

    fn to_log_line(&self, other: Option<&Self>) -> LogLine {
        LogLine { seq: self.seq, stream: self.stream, text: self.excerpt(other) }
    }
}

/// Reads a log line by line.
struct WholeLines<'a, S> {
    parts: Pin<&'a mut S>,
    /// The first part of the next line, if it was read already.
    next_part: Option<LogPart>,
}

impl<E, S: Stream<Item = Result<LogPart, E>>> WholeLines<'_, S> {
    async fn next_line(&mut self, max_bytes: u64) -> Result<Option<WholeLine>, E> {
        let first = match self.next_part.take() {
            Some(part) => Some(part),
            None => self.parts.try_next().await?,
        };
        let Some(mut line) = first.map(WholeLine::new) else { return Ok(None) };
        while line.bytes <= max_bytes {
            match self.parts.try_next().await? {
                Some(part) if part.log.cont && part.log.stream == line.stream => line.push(&part.log.line),
                next => {
                    self.next_part = next;
                    return Ok(Some(line));
                }
            }
        }
        line.is_cut = true;
        Ok(Some(line))
    }
}

/// Finds the first line in which two logs differ. Holds one line of each in memory.
///
/// # Errors
/// The errors of the streams.
pub async fn first_difference<E>(
    a: impl Stream<Item = Result<LogPart, E>>,
    b: impl Stream<Item = Result<LogPart, E>>,
    limits: CompareLimits,
) -> Result<LogComparison, E> {
    let (a, b) = (pin!(a), pin!(b));
    let (mut a, mut b) = (WholeLines { parts: a, next_part: None }, WholeLines { parts: b, next_part: None });
    let (mut lines, mut bytes) = (0, 0);
    loop {
        let (one, other) = (a.next_line(limits.bytes).await?, b.next_line(limits.bytes).await?);
        if one.is_none() && other.is_none() {
            return Ok(LogComparison::Same { lines });
        }
        if lines >= limits.lines || bytes >= limits.bytes {
            return Ok(LogComparison::Unknown { lines });
        }
        match (&one, &other) {
            (Some(one), Some(other)) if one.equals(other) => {
                if one.is_cut {
                    return Ok(LogComparison::Unknown { lines });
                }
                bytes += one.bytes;
                lines += 1;
            }
            _ => {
                let (a, b) = (one.as_ref(), other.as_ref());
                let view = |line: Option<&WholeLine>, other| line.map(|line| line.to_log_line(other));
                return Ok(LogComparison::Differs(LogDifference { line: lines + 1, a: view(a, b), b: view(b, a) }));
            }
        }
    }
}

/// Merges the comparisons of two outputs of a phase. Of two differences the one that was printed first wins; `begin` is
/// the first seq of the phase in each attempt.
pub fn earlier(out: LogComparison, err: LogComparison, begin: (u64, u64)) -> LogComparison {
    use LogComparison::{Differs, Same, Unknown};
    let position = |difference: &LogDifference| {
        let after = |line: &Option<LogLine>, begin: u64| line.as_ref().map(|line| line.seq.saturating_sub(begin));
        after(&difference.a, begin.0).into_iter().chain(after(&difference.b, begin.1)).min()
    };
    match (out, err) {
        (Differs(out), Differs(err)) => Differs(if position(&err) < position(&out) { err } else { out }),
        (Differs(found), _) | (_, Differs(found)) => Differs(found),
        (Same { lines: out }, Same { lines: err }) => Same { lines: out + err },
        (Same { lines: out } | Unknown { lines: out }, Same { lines: err } | Unknown { lines: err }) => {
            Unknown { lines: out + err }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::convert::Infallible;

    use futures::executor::block_on;
    use futures::stream;
    use proptest::prelude::*;

    use super::*;

    /// Whether it was printed to standard error, and the text.
    type PrintedLine = (bool, String);

    const NO_LIMITS: CompareLimits = CompareLimits { lines: 1000, bytes: 1 << 30 };

    /// The frames of these lines, each split after this many bytes.
    fn parts(lines: &[PrintedLine], every: usize) -> Vec<LogPart> {
        let mut parts = Vec::new();
        for (err, line) in lines {
            let stream = if *err { LogStream::Stderr } else { LogStream::Stdout };
            let (mut rest, mut cont) = (line.as_str(), false);
            loop {
                let end = (every.max(4)..rest.len()).find(|&end| rest.is_char_boundary(end)).unwrap_or(rest.len());
                let (part, after) = rest.split_at(end);
                let seq = parts.len() as u64 + 1;
                parts.push(LogPart { seq, log: Log { stream, line: part.to_owned(), cont, replaces: None } });
                (rest, cont) = (after, true);
                if rest.is_empty() {
                    break;
                }
            }
        }
        parts
    }

    fn compare(a: Vec<LogPart>, b: Vec<LogPart>, limits: CompareLimits) -> LogComparison {
        let stream = |parts: Vec<LogPart>| stream::iter(parts.into_iter().map(Ok::<_, Infallible>));
        block_on(first_difference(stream(a), stream(b), limits)).unwrap()
    }

    fn stdout_lines(lines: &[&str]) -> Vec<PrintedLine> {
        lines.iter().map(|line| (false, (*line).to_owned())).collect()
    }

    #[test]
    fn comparison_reports_both_sides_of_first_difference() {
        let (a, b) = (stdout_lines(&["x", "y", "z"]), stdout_lines(&["x", "Y", "z"]));
        let line = |seq, text: &str| Some(LogLine { seq, stream: LogStream::Stdout, text: text.into() });
        let differs = |line, a, b| LogComparison::Differs(LogDifference { line, a, b });
        assert_eq!(compare(parts(&a, 9), parts(&b, 9), NO_LIMITS), differs(2, line(2, "y"), line(2, "Y")));
        assert_eq!(compare(parts(&a, 9), parts(&a[..2], 9), NO_LIMITS), differs(3, line(3, "z"), None));
        assert_eq!(compare(parts(&a, 9), parts(&a, 9), NO_LIMITS), LogComparison::Same { lines: 3 });
        assert_eq!(compare(Vec::new(), Vec::new(), NO_LIMITS), LogComparison::Same { lines: 0 });
        // The same text on the other output.
        let LogComparison::Differs(found) = compare(parts(&[(true, "x".into())], 9), parts(&a[..1], 9), NO_LIMITS)
        else {
            panic!("they differ")
        };
        assert_eq!((found.line, found.a.unwrap().stream), (1, LogStream::Stderr));
    }

    #[test]
    fn comparison_beyond_the_limits_is_unknown() {
        let lines = stdout_lines(&["aaaa"; 10]);
        let mut other = lines.clone();
        other[9].1 = "b".into();
        let limited = |lines, bytes| CompareLimits { lines, bytes };
        for (limits, compared) in [(limited(9, 1000), 9), (limited(3, 1000), 3), (limited(1000, 8), 2)] {
            assert_eq!(
                compare(parts(&lines, 9), parts(&other, 9), limits),
                LogComparison::Unknown { lines: compared },
                "{limits:?}"
            );
        }
        // What ends where one stops looking was compared at.
        assert_eq!(compare(parts(&lines, 9), parts(&lines, 9), limited(10, 1000)), LogComparison::Same { lines: 10 });
        // A line longer than the limit is not read to its end.
        let overlong = stdout_lines(&[&"x".repeat(5000)]);
        assert_eq!(
            compare(parts(&overlong, 7), parts(&overlong, 11), limited(10, 1000)),
            LogComparison::Unknown { lines: 0 }
        );
    }

    #[test]
    fn comparison_shows_long_lines_around_the_difference() {
        let long = |end: &str| stdout_lines(&[&format!("{}{end}{}", "ä".repeat(100_000), "c".repeat(2000))]);
        let both = |a: &[PrintedLine], b: &[PrintedLine]| match compare(parts(a, 4096), parts(b, 5000), NO_LIMITS) {
            LogComparison::Differs(LogDifference { line: 1, a: Some(a), b: Some(b) }) => (a.text, b.text),
            other => panic!("{other:?}"),
        };
        // Only the digests differ: the position of the difference is unknown.
        let (a, b) = both(&long("a"), &long("b"));
        assert!(a == b && a.starts_with('…') && a.ends_with('…'));
        let at = |end: &str| stdout_lines(&[&format!("{}{end}{}", "x".repeat(500), "y".repeat(2000))]);
        let (a, b) = both(&at("one"), &at("two"));
        assert!(a.starts_with(&format!("…{}one", "x".repeat(CONTEXT_CHARS))), "{a}");
        assert!(b.contains("two") && b.chars().count() <= MAX_SHOWN_CHARS + 2);
    }

    #[test]
    fn earlier_difference_of_two_outputs_wins() {
        let line = |seq| Some(LogLine { seq, stream: LogStream::Stdout, text: String::new() });
        let differs = |line, a, b| LogComparison::Differs(LogDifference { line, a, b });
        let (same, unknown) = (LogComparison::Same { lines: 3 }, LogComparison::Unknown { lines: 4 });
        // The phase begins at frame 10 of one attempt and at frame 100 of the other.
        let (late, soon, soonest) =
            (differs(1, line(19), line(110)), differs(2, line(30), line(105)), differs(3, line(11), None));
        let table = [
            (&same, &same, LogComparison::Same { lines: 6 }),
            (&same, &unknown, LogComparison::Unknown { lines: 7 }),
            (&unknown, &unknown, LogComparison::Unknown { lines: 8 }),
            (&same, &late, late.clone()),
            (&late, &unknown, late.clone()),
            (&late, &soon, soon.clone()),
            (&soonest, &soon, soonest.clone()),
        ];
        for (out, err, expected) in table {
            assert_eq!(earlier(out.clone(), err.clone(), (10, 100)), expected);
            assert_eq!(earlier(err.clone(), out.clone(), (10, 100)), expected);
        }
    }

    fn lines() -> impl Strategy<Value = Vec<PrintedLine>> {
        prop::collection::vec((any::<bool>(), "[abä]{0,9}"), 0..12)
    }

    proptest! {
        /// The result does not depend on how lines are split into frames: it is that of comparing lists of whole lines.
        #[test]
        fn comparison_of_parts_equals_that_of_whole_lines(
            a in lines(),
            b in lines(),
            same in any::<bool>(),
            (every_a, every_b) in (4usize..12, 4usize..12),
            most in 0u64..14,
        ) {
            // Two random lists differ in the first line; a list and its extension do not.
            let b = if same { a.iter().cloned().chain(b.into_iter().take(1)).collect() } else { b };
            let found = compare(parts(&a, every_a), parts(&b, every_b), CompareLimits { lines: most, ..NO_LIMITS });
            let alike = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
            let text = |lines: &[PrintedLine]| lines.get(alike).map(|(_, text)| text.clone());
            match found {
                LogComparison::Same { lines } => {
                    prop_assert_eq!(&a, &b);
                    prop_assert_eq!(lines, a.len() as u64);
                }
                LogComparison::Unknown { lines } => {
                    prop_assert_eq!(lines, most);
                    prop_assert!(alike as u64 >= most && a.len().max(b.len()) as u64 > most);
                }
                LogComparison::Differs(LogDifference { line, a: in_a, b: in_b }) => {
                    prop_assert!(line <= most);
                    prop_assert_eq!(line, alike as u64 + 1);
                    prop_assert_eq!(in_a.map(|line| line.text), text(&a));
                    prop_assert_eq!(in_b.map(|line| line.text), text(&b));
                }
            }
        }
    }
}
