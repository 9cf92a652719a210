//! What a command prints, cut into lines. Pure: bytes in, lines out; when time has passed, the caller says so.
//!
//! A line ends with LF or CRLF. A CR alone goes back to the line's beginning, as on a terminal: what follows replaces what
//! was there, so a progress bar is shown as it stands whenever it is looked at. Bytes that are not UTF-8 become U+FFFD.
//!
//! A line that begins as a report (`::frame `, `::output `) is one for a program, not for people: it is given whole, whatever its length up
//! to [`MAX_REPORT`], and never before its end.

use crate::model::kinds::MAX_LINE;

/// How reports begin: see [`crate::model::Body::reported`].
const REPORTS: [&[u8]; 2] = [b"::frame ", b"::output "];

/// The longest report, in bytes. A longer one is a line like others.
pub const MAX_REPORT: usize = 4 << 20;

/// A line, or a piece of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The text, without its line end.
    pub text: String,
    /// Whether it continues the piece before.
    pub cont: bool,
}

/// Cuts one output into lines.
#[derive(Debug, Default)]
pub struct Splitter {
    /// What came since the last cut.
    held: Vec<u8>,
    /// The last byte was a CR: an LF would end the line, anything else begins it anew.
    after_cr: bool,
    /// A piece of this line was given already.
    begun: bool,
}

impl Splitter {
    /// The lines that these bytes end, and the pieces of a line that grew too long.
    pub fn push(&mut self, bytes: &[u8], lines: &mut Vec<Line>) {
        for &byte in bytes {
            if byte == b'\n' {
                self.after_cr = false;
                self.end_line(lines);
                continue;
            }
            if std::mem::take(&mut self.after_cr) {
                self.held.clear();
                self.begun = false;
            }
            if byte == b'\r' {
                self.after_cr = true;
                continue;
            }
            self.held.push(byte);
            if self.held.len() >= MAX_LINE && (!self.may_report() || self.held.len() >= MAX_REPORT) {
                self.cut(lines);
            }
        }
    }

    /// Gives what is held of a line whose end has not come: a prompt, a progress bar. Half a character stays.
    pub fn flush(&mut self, lines: &mut Vec<Line>) {
        if self.may_report() {
            return;
        }
        if self.after_cr {
            // Shown now and replaced by what follows, which is then a line of its own.
            self.give(self.held.len(), lines);
            self.begun = false;
            self.after_cr = false;
        } else {
            self.cut(lines);
        }
    }

    /// Gives what is left when the output has ended.
    pub fn finish(mut self, lines: &mut Vec<Line>) {
        self.give(self.held.len(), lines);
    }

    /// Whether something is held that [`Self::flush`] would give.
    pub fn holds(&self) -> bool {
        let shown = self.held.len() > unfinished(&self.held) || (self.after_cr && !self.held.is_empty());
        shown && !self.may_report()
    }

    /// Whether what is held is the beginning of a report, as far as it has come.
    fn may_report(&self) -> bool {
        let begins = |report: &[u8]| {
            let length = self.held.len().min(report.len());
            length > 0 && self.held[..length] == report[..length]
        };
        !self.begun && REPORTS.into_iter().any(begins)
    }

    fn end_line(&mut self, lines: &mut Vec<Line>) {
        if self.begun && self.held.is_empty() {
            // All of it was given already.
            self.begun = false;
            return;
        }
        let report = self.may_report() && REPORTS.into_iter().any(|report| self.held.starts_with(report));
        let text = take(&mut self.held, usize::MAX);
        let cont = std::mem::take(&mut self.begun);
        if report {
            lines.push(Line { text, cont });
        } else {
            split(text, cont, lines);
        }
    }

    fn cut(&mut self, lines: &mut Vec<Line>) {
        self.give(self.held.len() - unfinished(&self.held), lines);
    }

    fn give(&mut self, length: usize, lines: &mut Vec<Line>) {
        if length > 0 {
            let text = take(&mut self.held, length);
            let cont = std::mem::replace(&mut self.begun, true);
            split(text, cont, lines);
        }
    }
}

/// The first `length` bytes as text; the rest stays.
fn take(held: &mut Vec<u8>, length: usize) -> String {
    let rest = if length < held.len() { held.split_off(length) } else { Vec::new() };
    let bytes = std::mem::replace(held, rest);
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Adds a text as one line, or, where it is longer than a line may be (U+FFFD is longer than what it stands for, and a report
/// may turn out to be none), as several.
pub fn split(text: String, mut cont: bool, lines: &mut Vec<Line>) {
    let mut rest = text;
    while rest.len() > MAX_LINE {
        let tail = rest.split_off(rest.floor_char_boundary(MAX_LINE));
        lines.push(Line { text: std::mem::replace(&mut rest, tail), cont });
        cont = true;
    }
    lines.push(Line { text: rest, cont });
}

/// How many bytes at the end are the beginning of a character whose end has not come: 0 to 3.
fn unfinished(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let byte = bytes[bytes.len() - back];
        let length = match byte {
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            0x80..=0xBF => continue,
            _ => return 0,
        };
        return if length > back { back } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split_all(pieces: &[&[u8]]) -> Vec<(String, bool)> {
        let mut splitter = Splitter::default();
        let mut lines = Vec::new();
        for piece in pieces {
            splitter.push(piece, &mut lines);
        }
        splitter.finish(&mut lines);
        lines.into_iter().map(|line| (line.text, line.cont)).collect()
    }

    fn whole(text: &str) -> (String, bool) {
        (text.to_owned(), false)
    }

    #[test]
    fn lines_end_with_lf_or_crlf() {
        assert_eq!(split_all(&[b"a\nb\r\n\nc"]), [whole("a"), whole("b"), whole(""), whole("c")]);
        assert_eq!(split_all(&[b"a\r", b"\nb"]), [whole("a"), whole("b")]);
        assert_eq!(split_all(&[b""]), []);
        assert_eq!(split_all(&[b"\n"]), [whole("")]);
    }

    #[test]
    fn a_cr_goes_back_to_the_beginning() {
        assert_eq!(split_all(&[b"10%\r20%\r100%\n"]), [whole("100%")]);
        assert_eq!(split_all(&[b"10%\r"]), [whole("10%")]);
    }

    #[test]
    fn what_has_no_end_yet_is_given_when_asked_for() {
        let mut splitter = Splitter::default();
        let mut lines = Vec::new();
        splitter.push("Continue? é".as_bytes().split_last().unwrap().1, &mut lines);
        assert!(splitter.holds());
        splitter.flush(&mut lines);
        assert_eq!(lines, [Line { text: "Continue? ".into(), cont: false }]);
        assert!(!splitter.holds(), "half a character waits for its end");
        splitter.push(&"é".as_bytes()[1..], &mut lines);
        splitter.push(b" y\nnext\n", &mut lines);
        assert_eq!(lines[1..], [Line { text: "é y".into(), cont: true }, Line { text: "next".into(), cont: false }]);
    }

    #[test]
    fn a_line_given_whole_before_its_end_is_not_given_again() {
        let mut splitter = Splitter::default();
        let mut lines = Vec::new();
        splitter.push(b"done", &mut lines);
        splitter.flush(&mut lines);
        splitter.push(b"\n\n", &mut lines);
        assert_eq!(lines, [Line { text: "done".into(), cont: false }, Line { text: String::new(), cont: false }]);
    }

    #[test]
    fn a_progress_bar_is_shown_as_it_stands() {
        let mut splitter = Splitter::default();
        let mut lines = Vec::new();
        for step in [&b"1\r2\r"[..], b"3\r4", b"\r5\n"] {
            splitter.push(step, &mut lines);
            splitter.flush(&mut lines);
        }
        let shown: Vec<_> = lines.iter().map(|line| (line.text.as_str(), line.cont)).collect();
        assert_eq!(shown, [("2", false), ("4", false), ("5", false)]);
    }

    #[test]
    fn what_is_not_utf8_is_marked() {
        assert_eq!(split_all(&[b"a\xffb\xc3\n"]), [whole("a\u{fffd}b\u{fffd}")]);
    }

    #[test]
    fn a_long_line_is_split_between_characters() {
        let long = "é".repeat(MAX_LINE);
        let lines = split_all(&[format!("x{long}\nshort\n").as_bytes()]);
        assert!(lines.len() >= 3);
        assert!(lines.iter().all(|(text, _)| text.len() <= MAX_LINE && !text.contains('\u{fffd}')));
        assert!(!lines[0].1 && lines[1..lines.len() - 1].iter().all(|(_, cont)| *cont));
        assert_eq!(lines.last(), Some(&whole("short")));
        let text: String = lines[..lines.len() - 1].iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(text, format!("x{long}"));
    }

    #[test]
    fn a_report_is_given_whole_and_only_at_its_end() {
        let given = format!("::output {}", "x".repeat(3 * MAX_LINE));
        assert_eq!(split_all(&[given.as_bytes(), b"\n"]), [(given, false)]);
        let report = format!("::frame {}", "x".repeat(3 * MAX_LINE));
        let mut splitter = Splitter::default();
        let mut lines = Vec::new();
        for piece in report.as_bytes().chunks(1000) {
            splitter.push(piece, &mut lines);
            assert!(!splitter.holds());
            splitter.flush(&mut lines);
        }
        assert_eq!(lines, []);
        splitter.push(b"\n::frames\n", &mut lines);
        assert_eq!(lines[0], Line { text: report, cont: false });
        assert_eq!(lines[1], Line { text: "::frames".into(), cont: false });

        let endless = split_all(&[&[b"::frame ".as_slice(), &vec![b'x'; MAX_REPORT]].concat()]);
        assert!(endless.iter().all(|(text, _)| text.len() <= MAX_LINE), "too long for a report: lines like others");
    }

    #[test]
    fn bytes_that_grow_stay_within_the_limit() {
        let lines = split_all(&[&[0xff; MAX_LINE]]);
        assert!(lines.iter().all(|(text, _)| text.len() <= MAX_LINE));
        assert_eq!(lines.iter().map(|(text, _)| text.chars().count()).sum::<usize>(), MAX_LINE);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_however_it_comes(
            text in "[a-zé\u{1F600}\n]{0,200}",
            step in 1usize..9,
            flushes in prop::collection::vec(any::<bool>(), 60),
        ) {
            let mut splitter = Splitter::default();
            let mut lines = Vec::new();
            for (piece, flush) in text.as_bytes().chunks(step).zip(flushes.into_iter().cycle()) {
                splitter.push(piece, &mut lines);
                if flush {
                    splitter.flush(&mut lines);
                }
            }
            splitter.finish(&mut lines);
            let mut joined: Vec<String> = Vec::new();
            for line in lines {
                match joined.last_mut() {
                    Some(last) if line.cont => last.push_str(&line.text),
                    _ => joined.push(line.text),
                }
            }
            let expected: Vec<String> = text.lines().map(str::to_owned).collect();
            prop_assert_eq!(joined, expected);
        }

        #[test]
        fn arbitrary_bytes_never_panic_nor_exceed_the_limit(bytes in prop::collection::vec(any::<u8>(), 0..400), step in 1usize..30) {
            let mut splitter = Splitter::default();
            let mut lines = Vec::new();
            for piece in bytes.chunks(step) {
                splitter.push(piece, &mut lines);
                splitter.flush(&mut lines);
            }
            splitter.finish(&mut lines);
            let fits = |line: &Line| line.text.len() <= MAX_LINE && !line.text.contains(['\n', '\r']);
            prop_assert!(lines.iter().all(fits));
        }
    }
}
