//! Converts regions (§3.30) to byte ranges of a text. Pure.

use std::ops::Range;

use super::shape::{SarifRegion, SarifRun, some};

const BYTE_ORDER_MARK: char = '\u{feff}';

/// The approximate distance between two offset marks.
const MARK_INTERVAL_BYTES: usize = 256;

/// The default line breaks (§3.14.26).
const DEFAULT_BREAKS: &[&str] = &["\r\n", "\n"];

/// Further line breaks of some tools.
const AMBIGUOUS_BREAKS: [char; 4] = ['\r', '\u{85}', '\u{2028}', '\u{2029}'];

/// The unit of columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnUnit {
    CodePoint,
    Utf16,
    /// SARIF 2.1.0 cannot express it (2.2 will), but tools use it.
    Byte,
    Unknown,
}

/// How a tool counts lines and columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountingRules {
    pub column: ColumnUnit,
    /// The line breaks, in the order in which they are tried.
    breaks: Vec<String>,
    /// Whether the line breaks are known, and not the default of the specification.
    is_certain: bool,
    /// Whether fixes insert whole lines although they delete only the match in them, like those of Semgrep.
    pub inserts_whole_lines: bool,
}

impl CountingRules {
    /// The counting rules of a run's tool.
    ///
    /// A run with results must declare its columns (§3.14.27), but most tools do not, and they count differently. The
    /// rules here were observed on non-ASCII texts (Ruff 0.17, ESLint 10, Semgrep 1.182), or taken from the source
    /// (clippy-sarif 0.8 passes on rustc's columns, staticcheck and golangci-lint those of go/token).
    pub fn of(run: &SarifRun) -> Self {
        const PYTHON: &[&str] = &["\r\n", "\n", "\r"];
        const JAVASCRIPT: &[&str] = &["\r\n", "\n", "\r", "\u{2028}", "\u{2029}"];
        let tool = run.tool.as_ref().and_then(|tool| some(&tool.driver.as_ref()?.name)).unwrap_or_default();
        let tool = tool.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        let (column, breaks) = match tool.as_str() {
            "ruff" => (ColumnUnit::CodePoint, Some(PYTHON)),
            "clippy" => (ColumnUnit::CodePoint, Some(DEFAULT_BREAKS)),
            "eslint" => (ColumnUnit::Utf16, Some(JAVASCRIPT)),
            "semgrep" | "opengrep" | "staticcheck" | "golangci-lint" => (ColumnUnit::Byte, Some(DEFAULT_BREAKS)),
            _ => (ColumnUnit::Unknown, None),
        };
        let column = match some(&run.column_kind) {
            Some("utf16CodeUnits") => ColumnUnit::Utf16,
            Some("unicodeCodePoints") => ColumnUnit::CodePoint,
            _ => column,
        };
        let inserts_whole_lines = matches!(tool.as_str(), "semgrep" | "opengrep");
        let owned = |breaks: &[&str]| breaks.iter().map(|text| (*text).to_owned()).collect();
        match run.newline_sequences.as_ref().filter(|declared| !declared.is_empty()) {
            Some(declared) => Self { column, breaks: declared.clone(), is_certain: true, inserts_whole_lines },
            None => Self {
                column,
                breaks: owned(breaks.unwrap_or(DEFAULT_BREAKS)),
                is_certain: breaks.is_some(),
                inserts_whole_lines,
            },
        }
    }

    /// Whether both split a text into the same lines.
    pub fn has_same_lines(&self, other: &Self) -> bool {
        self.breaks == other.breaks && self.is_certain == other.is_certain
    }
}

/// Why a region cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegionError {
    #[error("it does not say where it is")]
    Missing,
    /// It begins or ends after the end of the text, or of its line.
    #[error("it is not inside the file")]
    Outside,
    #[error("it ends before it begins")]
    Reversed,
    #[error("it cuts a character")]
    InsideCharacter,
    /// The unit of columns is not known, and it matters.
    #[error("the tool does not say how it counts columns, and there are characters before it that are not ASCII")]
    AmbiguousColumns,
    /// There is a character before it that only some tools treat as a line break.
    #[error("the tool does not say what ends a line, and there are unusual line breaks before it")]
    AmbiguousLines,
}

#[derive(Debug)]
struct LineSpan {
    start: usize,
    /// Without the line break.
    end: usize,
}

/// How many characters precede an offset.
#[derive(Debug)]
struct OffsetMark {
    at: usize,
    code_points: usize,
    utf16: usize,
}

/// A text with an index of its lines and columns.
#[derive(Debug)]
pub struct IndexedText {
    text: String,
    /// At least one.
    lines: Vec<LineSpan>,
    /// At least one, at the first character. They bound the cost of a column in a long line.
    marks: Vec<OffsetMark>,
    /// The first ambiguous line break; line numbers after it are not certain.
    first_ambiguous: usize,
}

impl IndexedText {
    /// Indexes a text.
    pub fn new(text: String, counting: &CountingRules) -> Self {
        // A byte order mark counts neither as a column nor as a character (§3.30.2).
        let first = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
        let (mut lines, mut first_ambiguous) = (Vec::new(), usize::MAX);
        let mut marks = vec![OffsetMark { at: first, code_points: 0, utf16: 0 }];
        let (mut code_points, mut utf16) = (0, 0);
        // The start of the line, and the end of the last line break.
        let (mut start, mut ending) = (first, first);
        for (at, next) in text[first..].char_indices().map(|(at, next)| (first + at, next)) {
            if marks.last().is_some_and(|last| at - last.at >= MARK_INTERVAL_BYTES) {
                marks.push(OffsetMark { at, code_points, utf16 });
            }
            code_points += 1;
            utf16 += next.len_utf16();
            if at < ending {
                continue;
            }
            let found = counting.breaks.iter().find(|end| !end.is_empty() && text[at..].starts_with(end.as_str()));
            if let Some(found) = found {
                lines.push(LineSpan { start, end: at });
                ending = at + found.len();
                start = ending;
            } else if !counting.is_certain && AMBIGUOUS_BREAKS.contains(&next) {
                first_ambiguous = first_ambiguous.min(at);
            }
        }
        lines.push(LineSpan { start, end: text.len() });
        Self { text, lines, marks, first_ambiguous }
    }

    /// The byte range of a region.
    ///
    /// A region may have lines, character offsets and byte offsets, which must agree (§3.30.1). Lines take precedence,
    /// since some tools write zeros for the offsets. Lines and columns below 1 count as missing.
    ///
    /// # Errors
    /// [`RegionError`].
    pub fn range(&self, region: &SarifRegion, column: ColumnUnit) -> Result<Range<usize>, RegionError> {
        let range = if let Some(line) = positive(region.start_line) {
            let start = self.offset(line, positive(region.start_column).unwrap_or(1), column)?;
            let last = positive(region.end_line).unwrap_or(line);
            let end = match positive(region.end_column) {
                Some(end) => self.offset(last, end, column)?,
                None => self.line(last)?.0.end,
            };
            if end > self.first_ambiguous {
                return Err(RegionError::AmbiguousLines);
            }
            start..end
        } else if let Some((start, end)) = ends(region.char_offset, region.char_length) {
            // Character offsets have the unit of columns.
            self.advance(0, start, column)?..self.advance(0, end, column)?
        } else if let Some((start, end)) = ends(region.byte_offset, region.byte_length) {
            if end > self.text.len() {
                return Err(RegionError::Outside);
            }
            start..end
        } else {
            return Err(RegionError::Missing);
        };
        if range.start > range.end {
            return Err(RegionError::Reversed);
        }
        self.text.get(range.clone()).map(|_| range).ok_or(RegionError::InsideCharacter)
    }

    /// The line and column, in code points, at which a region begins. It is only shown, so ambiguities are guessed.
    pub fn place(&self, region: &SarifRegion, column: ColumnUnit) -> (u64, u64) {
        let column = if column == ColumnUnit::Unknown { ColumnUnit::CodePoint } else { column };
        let declared = positive(region.start_line);
        let at = match declared {
            Some(line) => {
                let Ok((found, _)) = self.line(line) else { return (line, 1) };
                self.offset(line, positive(region.start_column).unwrap_or(1), column).unwrap_or(found.end)
            }
            None => {
                let start = SarifRegion { byte_length: None, char_length: None, ..*region };
                self.range(&start, column).map_or(0, |range| range.start)
            }
        };
        let holds = || self.lines.partition_point(|line| line.start <= at).max(1) as u64;
        let line = declared.unwrap_or_else(holds);
        let start = self.line(line).map_or(at, |(line, _)| line.start);
        let before = |at: usize| self.before(at, ColumnUnit::CodePoint);
        (line, before(at).saturating_sub(before(start)) as u64 + 1)
    }

    /// The text before and after a range in the lines that it touches.
    pub fn around(&self, range: &Range<usize>) -> (&str, &str) {
        let line = |at: usize| &self.lines[self.lines.partition_point(|line| line.start <= at).saturating_sub(1)];
        let before = self.text.get(line(range.start).start..range.start).unwrap_or_default();
        (before, self.text.get(range.end..line(range.end).end).unwrap_or_default())
    }

    /// A line, from 1, and the start of the next one.
    fn line(&self, line: u64) -> Result<(&LineSpan, usize), RegionError> {
        let index = usize::try_from(line - 1).map_err(|_| RegionError::Outside)?;
        let found = self.lines.get(index).ok_or(RegionError::Outside)?;
        Ok((found, self.lines.get(index + 1).map_or(self.text.len(), |next| next.start)))
    }

    /// The offset of a column of a line. Line breaks have columns too (§3.30.2, example 8).
    fn offset(&self, line: u64, column: u64, unit: ColumnUnit) -> Result<usize, RegionError> {
        let (line, next) = self.line(line)?;
        let count = usize::try_from(column - 1).map_err(|_| RegionError::Outside)?;
        let at = self.advance(line.start, count, unit)?;
        if at > next { Err(RegionError::Outside) } else { Ok(at) }
    }

    /// The offset that is `count` units after another one.
    fn advance(&self, from: usize, count: usize, unit: ColumnUnit) -> Result<usize, RegionError> {
        let from = from.max(self.marks[0].at);
        let target = self.before(from, unit).saturating_add(count);
        let mark = &self.marks[self.marks.partition_point(|mark| self.counted(mark, unit) <= target).saturating_sub(1)];
        let mut left = target - self.counted(mark, unit);
        for (at, next) in self.text[mark.at..].char_indices().map(|(at, next)| (mark.at + at, next)) {
            if left == 0 {
                // With as many bytes as characters, all units are equal.
                let is_certain = unit != ColumnUnit::Unknown || at - from == count;
                return if is_certain { Ok(at) } else { Err(RegionError::AmbiguousColumns) };
            }
            left = left.checked_sub(width(next, unit)).ok_or(RegionError::InsideCharacter)?;
        }
        match (left, unit) {
            (0, ColumnUnit::Unknown) if self.text.len() - from != count => Err(RegionError::AmbiguousColumns),
            (0, _) => Ok(self.text.len()),
            _ => Err(RegionError::Outside),
        }
    }

    /// The number of units before an offset.
    fn before(&self, at: usize, unit: ColumnUnit) -> usize {
        let mark = &self.marks[self.marks.partition_point(|mark| mark.at <= at).saturating_sub(1)];
        let rest = self.text.get(mark.at..at).unwrap_or_default();
        self.counted(mark, unit) + rest.chars().map(|next| width(next, unit)).sum::<usize>()
    }

    fn counted(&self, mark: &OffsetMark, unit: ColumnUnit) -> usize {
        match unit {
            ColumnUnit::CodePoint | ColumnUnit::Unknown => mark.code_points,
            ColumnUnit::Utf16 => mark.utf16,
            ColumnUnit::Byte => mark.at - self.marks[0].at,
        }
    }
}

/// The columns of a character. With an unknown unit it is one, and the caller checks that other units would agree.
fn width(character: char, unit: ColumnUnit) -> usize {
    match unit {
        ColumnUnit::CodePoint | ColumnUnit::Unknown => 1,
        ColumnUnit::Utf16 => character.len_utf16(),
        ColumnUnit::Byte => character.len_utf8(),
    }
}

/// A valid line or column.
fn positive(number: Option<i64>) -> Option<u64> {
    number.and_then(|number| u64::try_from(number).ok()).filter(|number| *number > 0)
}

/// The start and end of an offset with a length. Without a length it is an insertion (§3.30.10, §3.30.12).
fn ends(offset: Option<i64>, length: Option<i64>) -> Option<(usize, usize)> {
    let start = usize::try_from(offset?).ok()?;
    Some((start, start.saturating_add(usize::try_from(length.unwrap_or(0)).ok()?)))
}
