//! Where a region (§3.30) is in a text, in bytes. Pure.

use std::ops::Range;

use super::shape::{Region, Run, some};

/// A byte order mark.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// How many bytes are from one mark to the next, about.
const STEP: usize = 256;

/// What ends lines unless a run says otherwise (§3.14.26).
const BREAKS: &[&str] = &["\r\n", "\n"];

/// What also ends lines for some tools.
const DOUBTFUL: [char; 4] = ['\r', '\u{85}', '\u{2028}', '\u{2029}'];

/// What is counted as a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Unicode code points.
    CodePoint,
    /// UTF-16 code units.
    Utf16,
    /// Bytes. SARIF 2.1.0 has no word for it, 2.2 will; tools do it all the same.
    Byte,
    /// Nobody knows.
    Unknown,
}

/// How a tool counts lines and columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counting {
    /// What a column is.
    pub column: Column,
    /// What ends a line; what comes first is tried first.
    breaks: Vec<String>,
    /// Whether that is known, or only what the specification has as a default.
    certain: bool,
    /// Semgrep's fixes: what is inserted is the whole lines, and what is to be deleted is only the match in them.
    pub whole_lines: bool,
}

impl Counting {
    /// How the tool of a run counts.
    ///
    /// A run with results has to say what its columns are (§3.14.27), and nothing says what it means if it does not. Most tools
    /// do not, and count in different ways. Those that are known are so from what they print for a text that is not ASCII
    /// (Ruff 0.17, ESLint 10, Semgrep 1.182), or from their source (clippy-sarif 0.8 hands on rustc's columns, staticcheck and
    /// golangci-lint hand on those of go/token).
    pub fn of(run: &Run) -> Self {
        const PYTHON: &[&str] = &["\r\n", "\n", "\r"];
        const JAVASCRIPT: &[&str] = &["\r\n", "\n", "\r", "\u{2028}", "\u{2029}"];
        let tool = run.tool.as_ref().and_then(|tool| some(&tool.driver.as_ref()?.name)).unwrap_or_default();
        let tool = tool.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        let (column, breaks) = match tool.as_str() {
            "ruff" => (Column::CodePoint, Some(PYTHON)),
            "clippy" => (Column::CodePoint, Some(BREAKS)),
            "eslint" => (Column::Utf16, Some(JAVASCRIPT)),
            "semgrep" | "opengrep" | "staticcheck" | "golangci-lint" => (Column::Byte, Some(BREAKS)),
            _ => (Column::Unknown, None),
        };
        let column = match some(&run.column_kind) {
            Some("utf16CodeUnits") => Column::Utf16,
            Some("unicodeCodePoints") => Column::CodePoint,
            _ => column,
        };
        let whole_lines = matches!(tool.as_str(), "semgrep" | "opengrep");
        let owned = |breaks: &[&str]| breaks.iter().map(|text| (*text).to_owned()).collect();
        match run.newline_sequences.as_ref().filter(|given| !given.is_empty()) {
            Some(given) => Self { column, breaks: given.clone(), certain: true, whole_lines },
            None => Self { column, breaks: owned(breaks.unwrap_or(BREAKS)), certain: breaks.is_some(), whole_lines },
        }
    }

    /// Whether the two make the same lines of a text.
    pub fn same_lines(&self, other: &Self) -> bool {
        self.breaks == other.breaks && self.certain == other.certain
    }
}

/// Why a region is no place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misplaced {
    /// No property of it says where it begins.
    #[error("it does not say where it is")]
    Nowhere,
    /// Behind the end of the text, or of a line.
    #[error("it is not inside the file")]
    Outside,
    /// Its end is before its start.
    #[error("it ends before it begins")]
    Backwards,
    /// It begins or ends inside a character.
    #[error("it cuts a character")]
    Cuts,
    /// A character takes one column or several, and nobody knows which.
    #[error("the tool does not say how it counts columns, and there are characters before it that are not ASCII")]
    Columns,
    /// A line break is one for some tools only.
    #[error("the tool does not say what ends a line, and there are unusual line breaks before it")]
    Lines,
}

/// A line.
#[derive(Debug)]
struct Line {
    start: usize,
    /// Without what ends it.
    end: usize,
}

/// How much is before a byte.
#[derive(Debug)]
struct Mark {
    at: usize,
    code_points: usize,
    utf16: usize,
}

/// A text whose lines are known.
#[derive(Debug)]
pub struct Text {
    text: String,
    /// At least one.
    lines: Vec<Line>,
    /// At least one, at the first character. From one to the next it is never far, so that a long line is not read again for
    /// everything that is found in it.
    marks: Vec<Mark>,
    /// Behind it, what is a line is in doubt.
    doubt: usize,
}

impl Text {
    /// Finds the lines.
    pub fn new(text: String, counting: &Counting) -> Self {
        // A byte order mark counts neither as a column nor as a character (§3.30.2).
        let first = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
        let (mut lines, mut doubt) = (Vec::new(), usize::MAX);
        let mut marks = vec![Mark { at: first, code_points: 0, utf16: 0 }];
        let (mut code_points, mut utf16) = (0, 0);
        // Where the line begins, and where what ends it does.
        let (mut start, mut ending) = (first, first);
        for (at, next) in text[first..].char_indices().map(|(at, next)| (first + at, next)) {
            if marks.last().is_some_and(|last| at - last.at >= STEP) {
                marks.push(Mark { at, code_points, utf16 });
            }
            code_points += 1;
            utf16 += next.len_utf16();
            if at < ending {
                continue;
            }
            let found = counting.breaks.iter().find(|end| !end.is_empty() && text[at..].starts_with(end.as_str()));
            if let Some(found) = found {
                lines.push(Line { start, end: at });
                ending = at + found.len();
                start = ending;
            } else if !counting.certain && DOUBTFUL.contains(&next) {
                doubt = doubt.min(at);
            }
        }
        lines.push(Line { start, end: text.len() });
        Self { text, lines, marks, doubt }
    }

    /// The bytes of a region.
    ///
    /// A region may be given in up to three ways, which have to agree (§3.30.1). Lines come first, since tools that have them
    /// mean them, and some write zeros for the offsets that they do not have. Zeros and less are no lines and columns at all.
    ///
    /// # Errors
    /// [`Misplaced`].
    pub fn range(&self, region: &Region, column: Column) -> Result<Range<usize>, Misplaced> {
        let range = if let Some(line) = positive(region.start_line) {
            let start = self.at(line, positive(region.start_column).unwrap_or(1), column)?;
            let last = positive(region.end_line).unwrap_or(line);
            let end = match positive(region.end_column) {
                Some(end) => self.at(last, end, column)?,
                None => self.line(last)?.0.end,
            };
            if end > self.doubt {
                return Err(Misplaced::Lines);
            }
            start..end
        } else if let Some((start, end)) = ends(region.char_offset, region.char_length) {
            // Characters are taken to be what columns are: who counts the ones in UTF-16 code units counts the others so too.
            self.find(0, start, column)?..self.find(0, end, column)?
        } else if let Some((start, end)) = ends(region.byte_offset, region.byte_length) {
            if end > self.text.len() {
                return Err(Misplaced::Outside);
            }
            start..end
        } else {
            return Err(Misplaced::Nowhere);
        };
        if range.start > range.end {
            return Err(Misplaced::Backwards);
        }
        self.text.get(range.clone()).map(|_| range).ok_or(Misplaced::Cuts)
    }

    /// Line and column, in code points, at which a region begins: for people, so what is not certain is guessed.
    pub fn place(&self, region: &Region, column: Column) -> (u64, u64) {
        let column = if column == Column::Unknown { Column::CodePoint } else { column };
        let said = positive(region.start_line);
        let at = match said {
            Some(line) => {
                let Ok((found, _)) = self.line(line) else { return (line, 1) };
                self.at(line, positive(region.start_column).unwrap_or(1), column).unwrap_or(found.end)
            }
            None => {
                let start = Region { byte_length: None, char_length: None, ..*region };
                self.range(&start, column).map_or(0, |range| range.start)
            }
        };
        let holds = || self.lines.partition_point(|line| line.start <= at).max(1) as u64;
        let line = said.unwrap_or_else(holds);
        let start = self.line(line).map_or(at, |(line, _)| line.start);
        let before = |at: usize| self.before(at, Column::CodePoint);
        (line, before(at).saturating_sub(before(start)) as u64 + 1)
    }

    /// What stands before and behind a range in the lines that it touches.
    pub fn around(&self, range: &Range<usize>) -> (&str, &str) {
        let line = |at: usize| &self.lines[self.lines.partition_point(|line| line.start <= at).saturating_sub(1)];
        let before = self.text.get(line(range.start).start..range.start).unwrap_or_default();
        (before, self.text.get(range.end..line(range.end).end).unwrap_or_default())
    }

    /// A line, counted from 1, and where the next one begins.
    fn line(&self, line: u64) -> Result<(&Line, usize), Misplaced> {
        let index = usize::try_from(line - 1).map_err(|_| Misplaced::Outside)?;
        let found = self.lines.get(index).ok_or(Misplaced::Outside)?;
        Ok((found, self.lines.get(index + 1).map_or(self.text.len(), |next| next.start)))
    }

    /// Where a column of a line begins. What ends the line has columns too (§3.30.2, example 8).
    fn at(&self, line: u64, column: u64, unit: Column) -> Result<usize, Misplaced> {
        let (line, next) = self.line(line)?;
        let count = usize::try_from(column - 1).map_err(|_| Misplaced::Outside)?;
        let at = self.find(line.start, count, unit)?;
        if at > next { Err(Misplaced::Outside) } else { Ok(at) }
    }

    /// The byte that is so many units behind another one.
    fn find(&self, from: usize, count: usize, unit: Column) -> Result<usize, Misplaced> {
        let from = from.max(self.marks[0].at);
        let sought = self.before(from, unit).saturating_add(count);
        let mark = &self.marks[self.marks.partition_point(|mark| self.counted(mark, unit) <= sought).saturating_sub(1)];
        let mut left = sought - self.counted(mark, unit);
        for (at, next) in self.text[mark.at..].char_indices().map(|(at, next)| (mark.at + at, next)) {
            if left == 0 {
                // As many bytes as characters: all units are the same.
                let certain = unit != Column::Unknown || at - from == count;
                return if certain { Ok(at) } else { Err(Misplaced::Columns) };
            }
            left = left.checked_sub(width(next, unit)).ok_or(Misplaced::Cuts)?;
        }
        match (left, unit) {
            (0, Column::Unknown) if self.text.len() - from != count => Err(Misplaced::Columns),
            (0, _) => Ok(self.text.len()),
            _ => Err(Misplaced::Outside),
        }
    }

    /// How many units are before a byte.
    fn before(&self, at: usize, unit: Column) -> usize {
        let mark = &self.marks[self.marks.partition_point(|mark| mark.at <= at).saturating_sub(1)];
        let rest = self.text.get(mark.at..at).unwrap_or_default();
        self.counted(mark, unit) + rest.chars().map(|next| width(next, unit)).sum::<usize>()
    }

    fn counted(&self, mark: &Mark, unit: Column) -> usize {
        match unit {
            Column::CodePoint | Column::Unknown => mark.code_points,
            Column::Utf16 => mark.utf16,
            Column::Byte => mark.at - self.marks[0].at,
        }
    }
}

/// How many columns a character has. Where that is unknown it is one, and then others have to be the same.
fn width(character: char, unit: Column) -> usize {
    match unit {
        Column::CodePoint | Column::Unknown => 1,
        Column::Utf16 => character.len_utf16(),
        Column::Byte => character.len_utf8(),
    }
}

/// A line or a column that is one.
fn positive(number: Option<i64>) -> Option<u64> {
    number.and_then(|number| u64::try_from(number).ok()).filter(|number| *number > 0)
}

/// Start and end of what is given by offset and length; no length is an insertion (§3.30.10, §3.30.12).
fn ends(offset: Option<i64>, length: Option<i64>) -> Option<(usize, usize)> {
    let start = usize::try_from(offset?).ok()?;
    Some((start, start.saturating_add(usize::try_from(length.unwrap_or(0)).ok()?)))
}
