//! Columns: how many a row has, and how many a character takes.

use unicode_width::UnicodeWidthChar;

/// The number of columns. An overwritten row is broken there, which bounds the memory of its cells.
pub const MAX_COLUMNS: usize = 4096;

/// The distance between default tab stops.
pub const TAB: usize = 8;

/// The columns of a character: 0 for combining and control characters, which do not move the cursor.
pub fn width(char: char) -> usize {
    char.width().unwrap_or(0)
}

/// The next default tab stop after this column.
pub const fn next_stop(column: usize) -> usize {
    (column / TAB + 1) * TAB
}
