//! The first line in which two logs differ. Pure: knows logs as streams of pieces, wherever those come from.

use std::pin::{Pin, pin};

use futures::stream::{Stream, TryStreamExt};
use sha2::{Digest, Sha256};

use crate::model::compare::{LogComparison, LogDifference, LogLine};
use crate::model::{FrameRecord, Log, LogStream};

/// So many bytes of a line are kept; of what comes after them only a digest.
const KEPT: usize = 64 * 1024;

/// So many characters are shown before the place where two lines differ, and so many in all.
const BEFORE: usize = 80;
const SHOWN: usize = 600;

/// How far logs are looked through.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Lines of each.
    pub lines: u64,
    /// Bytes of each. What has begun within them is looked at.
    pub bytes: u64,
}

/// What a log frame has: a line, or a part of one.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The frame's seq.
    pub seq: u64,
    /// Its data.
    pub log: Log,
}

impl Piece {
    /// The piece in a log frame.
    pub fn of(frame: &FrameRecord) -> Self {
        // No other data is in a log frame of ours; if it is, then it is compared as it stands.
        let odd = |_| Log { stream: LogStream::Stdout, line: frame.data.to_string(), cont: false, replaces: None };
        Self { seq: frame.seq, log: serde_json::from_str(&frame.data).unwrap_or_else(odd) }
    }
}

/// A whole line, put together: where a long or slow one was divided depends on the moment.
struct Line {
    seq: u64,
    stream: LogStream,
    kept: String,
    bytes: u64,
    /// Of what comes after the part that is kept.
    rest: Option<Sha256>,
    /// It was not read to its end: it is longer than all that is looked at.
    endless: bool,
}

impl Line {
    fn new(Piece { seq, log: Log { stream, line, .. } }: Piece) -> Self {
        let mut new = Self { seq, stream, kept: String::new(), bytes: 0, rest: None, endless: false };
        new.push(&line);
        new
    }

    fn push(&mut self, text: &str) {
        self.bytes += text.len() as u64;
        let room = match self.rest {
            None => (KEPT - self.kept.len()).min(text.len()),
            Some(_) => 0,
        };
        // Also the part of a character that has no room: the other line may be divided elsewhere.
        let room = (0..=room).rev().find(|&room| text.is_char_boundary(room)).unwrap_or(0);
        let (kept, rest) = text.split_at(room);
        self.kept.push_str(kept);
        if !rest.is_empty() {
            self.rest.get_or_insert_default().update(rest);
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        let rest = |line: &Self| line.rest.clone().map(Digest::finalize);
        let begins_alike = self.stream == other.stream && self.kept == other.kept;
        begins_alike && (self.endless && other.endless || self.bytes == other.bytes && rest(self) == rest(other))
    }

    /// The text around the place where this line begins to differ from another.
    fn around(&self, other: Option<&Self>) -> String {
        let other = other.map_or("", |other| &other.kept);
        let alike = self.kept.chars().zip(other.chars()).take_while(|(one, other)| one == other).count();
        let skipped = if alike > 2 * BEFORE { alike - BEFORE } else { 0 };
        let mut shown = String::from(if skipped > 0 { "…" } else { "" });
        shown.extend(self.kept.chars().skip(skipped).take(SHOWN));
        if self.bytes > self.kept.len() as u64 || self.kept.chars().nth(skipped + SHOWN).is_some() {
            shown.push('…');
        }
        shown
    }

    fn shown(&self, other: Option<&Self>) -> LogLine {
        LogLine { seq: self.seq, stream: self.stream, text: self.around(other) }
    }
}

/// A log, a line at a time.
struct Lines<'a, S> {
    pieces: Pin<&'a mut S>,
    /// The first piece of the next line.
    ahead: Option<Piece>,
}

impl<E, S: Stream<Item = Result<Piece, E>>> Lines<'_, S> {
    async fn next(&mut self, most: u64) -> Result<Option<Line>, E> {
        let first = match self.ahead.take() {
            Some(piece) => Some(piece),
            None => self.pieces.try_next().await?,
        };
        let Some(mut line) = first.map(Line::new) else { return Ok(None) };
        while line.bytes <= most {
            match self.pieces.try_next().await? {
                Some(piece) if piece.log.cont && piece.log.stream == line.stream => line.push(&piece.log.line),
                next => {
                    self.ahead = next;
                    return Ok(Some(line));
                }
            }
        }
        line.endless = true;
        Ok(Some(line))
    }
}

/// The first line in which two logs differ. Holds a line of each and what the streams hold.
pub async fn first_difference<E>(
    a: impl Stream<Item = Result<Piece, E>>,
    b: impl Stream<Item = Result<Piece, E>>,
    limits: Limits,
) -> Result<LogComparison, E> {
    let (a, b) = (pin!(a), pin!(b));
    let (mut a, mut b) = (Lines { pieces: a, ahead: None }, Lines { pieces: b, ahead: None });
    let (mut lines, mut bytes) = (0, 0);
    loop {
        let (one, other) = (a.next(limits.bytes).await?, b.next(limits.bytes).await?);
        if one.is_none() && other.is_none() {
            return Ok(LogComparison::Same { lines });
        }
        if lines >= limits.lines || bytes >= limits.bytes {
            return Ok(LogComparison::Unknown { lines });
        }
        match (&one, &other) {
            (Some(one), Some(other)) if one.is_like(other) => {
                if one.endless {
                    return Ok(LogComparison::Unknown { lines });
                }
                bytes += one.bytes;
                lines += 1;
            }
            _ => {
                let (a, b) = (one.as_ref(), other.as_ref());
                let shown = |line: Option<&Line>, other| line.map(|line| line.shown(other));
                return Ok(LogComparison::Differs(LogDifference { line: lines + 1, a: shown(a, b), b: shown(b, a) }));
            }
        }
    }
}

/// What comparing both outputs of a phase has found: the difference that came first, if there are two. `begin` is the seq with
/// which the phase begins in each.
pub fn earlier(out: LogComparison, err: LogComparison, begin: (u64, u64)) -> LogComparison {
    use LogComparison::{Differs, Same, Unknown};
    let place = |difference: &LogDifference| {
        let after = |line: &Option<LogLine>, begin: u64| line.as_ref().map(|line| line.seq.saturating_sub(begin));
        after(&difference.a, begin.0).into_iter().chain(after(&difference.b, begin.1)).min()
    };
    match (out, err) {
        (Differs(out), Differs(err)) => Differs(if place(&err) < place(&out) { err } else { out }),
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

    type Spoken = (bool, String);

    const FAR: Limits = Limits { lines: 1000, bytes: 1 << 30 };

    /// The frames of these lines, each divided after so many bytes.
    fn pieces(lines: &[Spoken], every: usize) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for (err, line) in lines {
            let stream = if *err { LogStream::Stderr } else { LogStream::Stdout };
            let (mut rest, mut cont) = (line.as_str(), false);
            loop {
                let end = (every.max(4)..rest.len()).find(|&end| rest.is_char_boundary(end)).unwrap_or(rest.len());
                let (piece, after) = rest.split_at(end);
                let seq = pieces.len() as u64 + 1;
                pieces.push(Piece { seq, log: Log { stream, line: piece.to_owned(), cont, replaces: None } });
                (rest, cont) = (after, true);
                if rest.is_empty() {
                    break;
                }
            }
        }
        pieces
    }

    fn compare(a: Vec<Piece>, b: Vec<Piece>, limits: Limits) -> LogComparison {
        let stream = |pieces: Vec<Piece>| stream::iter(pieces.into_iter().map(Ok::<_, Infallible>));
        block_on(first_difference(stream(a), stream(b), limits)).unwrap()
    }

    fn said(lines: &[&str]) -> Vec<Spoken> {
        lines.iter().map(|line| (false, (*line).to_owned())).collect()
    }

    #[test]
    fn the_first_line_that_differs_is_told_with_both_sides() {
        let (a, b) = (said(&["x", "y", "z"]), said(&["x", "Y", "z"]));
        let line = |seq, text: &str| Some(LogLine { seq, stream: LogStream::Stdout, text: text.into() });
        let differs = |line, a, b| LogComparison::Differs(LogDifference { line, a, b });
        assert_eq!(compare(pieces(&a, 9), pieces(&b, 9), FAR), differs(2, line(2, "y"), line(2, "Y")));
        assert_eq!(compare(pieces(&a, 9), pieces(&a[..2], 9), FAR), differs(3, line(3, "z"), None));
        assert_eq!(compare(pieces(&a, 9), pieces(&a, 9), FAR), LogComparison::Same { lines: 3 });
        assert_eq!(compare(Vec::new(), Vec::new(), FAR), LogComparison::Same { lines: 0 });
        // The same text on the other output.
        let LogComparison::Differs(found) = compare(pieces(&[(true, "x".into())], 9), pieces(&a[..1], 9), FAR) else {
            panic!("they differ")
        };
        assert_eq!((found.line, found.a.unwrap().stream), (1, LogStream::Stderr));
    }

    #[test]
    fn it_is_said_where_nobody_looked() {
        let lines = said(&["aaaa"; 10]);
        let mut other = lines.clone();
        other[9].1 = "b".into();
        let limited = |lines, bytes| Limits { lines, bytes };
        for (limits, looked) in [(limited(9, 1000), 9), (limited(3, 1000), 3), (limited(1000, 8), 2)] {
            assert_eq!(
                compare(pieces(&lines, 9), pieces(&other, 9), limits),
                LogComparison::Unknown { lines: looked },
                "{limits:?}"
            );
        }
        // What ends where one stops looking was looked at.
        assert_eq!(compare(pieces(&lines, 9), pieces(&lines, 9), limited(10, 1000)), LogComparison::Same { lines: 10 });
        // A line without end is not read to its end.
        let endless = said(&[&"x".repeat(5000)]);
        assert_eq!(
            compare(pieces(&endless, 7), pieces(&endless, 11), limited(10, 1000)),
            LogComparison::Unknown { lines: 0 }
        );
    }

    #[test]
    fn what_is_shown_of_long_lines_is_where_they_differ() {
        let long = |end: &str| said(&[&format!("{}{end}{}", "ä".repeat(100_000), "c".repeat(2000))]);
        let both = |a: &[Spoken], b: &[Spoken]| match compare(pieces(a, 4096), pieces(b, 5000), FAR) {
            LogComparison::Differs(LogDifference { line: 1, a: Some(a), b: Some(b) }) => (a.text, b.text),
            other => panic!("{other:?}"),
        };
        // Beyond what is kept it is known that they differ, and no longer where.
        let (a, b) = both(&long("a"), &long("b"));
        assert!(a == b && a.starts_with('…') && a.ends_with('…'));
        let at = |end: &str| said(&[&format!("{}{end}{}", "x".repeat(500), "y".repeat(2000))]);
        let (a, b) = both(&at("one"), &at("two"));
        assert!(a.starts_with(&format!("…{}one", "x".repeat(BEFORE))), "{a}");
        assert!(b.contains("two") && b.chars().count() <= SHOWN + 2);
    }

    #[test]
    fn of_two_outputs_the_difference_that_came_first_counts() {
        let line = |seq| Some(LogLine { seq, stream: LogStream::Stdout, text: String::new() });
        let differs = |line, a, b| LogComparison::Differs(LogDifference { line, a, b });
        let (same, unknown) = (LogComparison::Same { lines: 3 }, LogComparison::Unknown { lines: 4 });
        // The phase begins with frame 10 of the one and with frame 100 of the other.
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

    fn lines() -> impl Strategy<Value = Vec<Spoken>> {
        prop::collection::vec((any::<bool>(), "[abä]{0,9}"), 0..12)
    }

    proptest! {
        /// However the lines are divided into frames: the answer is that of comparing two lists of whole lines.
        #[test]
        fn it_is_as_if_whole_lines_were_compared(
            a in lines(),
            b in lines(),
            same in any::<bool>(),
            (every_a, every_b) in (4usize..12, 4usize..12),
            most in 0u64..14,
        ) {
            // Two lists at random differ at once; one and its beginning or a changed copy do not.
            let b = if same { a.iter().cloned().chain(b.into_iter().take(1)).collect() } else { b };
            let found = compare(pieces(&a, every_a), pieces(&b, every_b), Limits { lines: most, ..FAR });
            let alike = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
            let text = |lines: &[Spoken]| lines.get(alike).map(|(_, text)| text.clone());
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
