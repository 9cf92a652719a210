//! A row: text that only grows at its end, or cells once something is written elsewhere.
use super::cells::{COVERED, Cell, flatten_tabs, pad, serialize, split, split_end};
use super::columns::{MAX_COLUMNS, next_stop, width};
use super::pen::Pen;
use crate::model::kinds::MAX_LINE_BYTES;

/// The most bytes of zero-width characters in a cell.
const MAX_MARK_BYTES: usize = 64;

/// A row.
#[derive(Clone, Debug, Default)]
pub struct ScreenRow {
    /// The text with sequences, while there are no cells.
    text: String,
    /// The pen at the end of the text.
    pen: Pen,
    cells: Option<Vec<Cell>>,
    /// Zero-width characters before the first cell.
    lead: String,
    /// Whether it continues the previous row, which has become too long.
    pub cont: bool,
}

impl ScreenRow {
    pub fn is_empty(&self) -> bool {
        self.cells.as_ref().map_or(self.text.is_empty(), Vec::is_empty) && self.lead.is_empty()
    }

    /// Whether nothing is visible: it only has blanks and control characters.
    pub fn is_blank(&self) -> bool {
        let is_blank = |char: char| char == ' ' || char.is_control();
        let Some(cells) = &self.cells else {
            let (lead, cells) = read(&self.text);
            return Self { cells: Some(cells), lead, ..Self::default() }.is_blank();
        };
        let mut marks = self.lead.chars().chain(cells.iter().flat_map(|cell| cell.marks.chars()));
        cells.iter().all(|cell| is_blank(cell.char)) && marks.all(is_blank)
    }

    /// Whether it has only grown at its end.
    pub const fn is_text(&self) -> bool {
        self.cells.is_none()
    }

    /// The text so far with its sequences, of a row that has only grown at its end, and the pen at its end.
    pub fn written(&self) -> (&str, &Pen) {
        (&self.text, &self.pen)
    }

    /// Its approximate size in memory.
    pub fn memory_bytes(&self) -> usize {
        self.text.len() + self.cells.as_ref().map_or(0, |cells| cells.len() * size_of::<Cell>())
    }

    /// Clears the row, and keeps a small allocation.
    pub fn reset(&mut self) {
        let mut text = std::mem::take(&mut self.text);
        if text.capacity() > 4096 {
            text = String::new();
        }
        text.clear();
        *self = Self { text, ..Self::default() };
    }

    /// Sets the text of an empty row. The line has no sequences.
    pub fn set_plain(&mut self, line: &str) {
        self.text.push_str(line);
    }

    /// Appends as much as fits to a row that has only grown at its end. Returns the number of bytes.
    pub fn append(&mut self, text: &str, pen: &Pen) -> usize {
        let length = self.text.len();
        if self.pen != *pen {
            pen.write_change(&self.pen, &mut self.text);
        }
        let room = MAX_LINE_BYTES.saturating_sub(self.text.len() + pen.end_length());
        let taken = text.floor_char_boundary(room);
        if taken == 0 {
            self.text.truncate(length);
            return 0;
        }
        self.text.push_str(&text[..taken]);
        if self.pen != *pen {
            self.pen = pen.clone();
        }
        taken
    }

    /// The row as self-contained text of at most [`MAX_LINE_BYTES`] bytes.
    pub fn render(&self) -> String {
        let (mut text, pen) = match &self.cells {
            None => (self.text.clone(), self.pen.clone()),
            Some(cells) => serialize(&self.lead, cells),
        };
        pen.write_end(&mut text);
        text
    }

    /// Converts cells back to text, which takes less memory.
    pub fn settle(&mut self) {
        if let Some(cells) = self.cells.take() {
            (self.text, self.pen) = serialize(&self.lead, &cells);
            self.lead.clear();
        }
    }

    /// The number of columns. Converts the row to cells.
    pub fn columns(&mut self) -> usize {
        self.cells().len()
    }

    /// Writes a character that takes one or two columns.
    pub fn put(&mut self, column: usize, char: char, columns: usize, pen: &Pen) {
        let cells = self.cells();
        pad(cells, column);
        for place in column..column + columns {
            split(cells, place);
        }
        split(cells, column + columns);
        for place in column..column + columns {
            let cell = Cell::new(if place == column { char } else { COVERED }, pen);
            match cells.get_mut(place) {
                Some(there) => *there = cell,
                None => cells.push(cell),
            }
        }
    }

    /// Adds a zero-width character to the cell before this column.
    pub fn mark(&mut self, column: usize, char: char) {
        let cells = self.cells();
        if column == 0 {
            // When a row is drawn again from its beginning, the character is already there.
            if (cells.is_empty() || self.lead.is_empty()) && self.lead.len() < MAX_MARK_BYTES {
                self.lead.push(char);
            }
            return;
        }
        pad(cells, column);
        let place = (0..column).rev().find(|&place| cells[place].char != COVERED);
        if let Some(cell) = place.and_then(|place| cells.get_mut(place))
            && cell.marks.len() + char.len_utf8() <= MAX_MARK_BYTES
        {
            cell.marks.push(char);
        }
    }

    /// Writes a tab at this column if nothing follows. Returns the column after it.
    pub fn tab(&mut self, column: usize, pen: &Pen) -> usize {
        let stop = next_stop(column).min(MAX_COLUMNS);
        let cells = self.cells();
        if column == cells.len() && column < stop {
            cells.push(Cell::new('\t', pen));
            cells.resize_with(stop, || Cell::new(COVERED, pen));
        }
        stop.max(column)
    }

    /// Erases these columns.
    pub fn erase(&mut self, from: usize, until: usize) {
        if from == 0 {
            self.lead.clear();
        }
        let cells = self.cells();
        split(cells, from);
        split(cells, until);
        if until >= cells.len() {
            cells.truncate(from);
        } else if from < until {
            cells[from..until].fill_with(Cell::blank);
        }
    }

    /// Inserts blanks before this column. Cells that move past the right margin, [`MAX_COLUMNS`], are lost.
    pub fn insert(&mut self, column: usize, count: usize) {
        let cells = self.cells();
        split(cells, column);
        let length = cells.len();
        if column >= length.min(MAX_COLUMNS) {
            return;
        }
        split(cells, MAX_COLUMNS);
        flatten_tabs(&mut cells[column..length.min(MAX_COLUMNS)]);
        cells.resize_with((length + count).clamp(length, length.max(MAX_COLUMNS)), Cell::blank);
        let cells = cells.get_mut(column..MAX_COLUMNS.min(length + count)).unwrap_or_default();
        let count = count.min(cells.len());
        cells.rotate_right(count);
        cells[..count].fill_with(Cell::blank);
        split_end(cells);
    }

    /// Deletes columns. Those after them, up to the right margin, move to the left.
    pub fn delete(&mut self, column: usize, count: usize) {
        let cells = self.cells();
        split(cells, column);
        let end = cells.len().min(MAX_COLUMNS);
        if column >= end {
            return;
        }
        let count = count.min(end - column);
        split(cells, column + count);
        split(cells, MAX_COLUMNS);
        flatten_tabs(&mut cells[column..end]);
        cells[column..end].rotate_left(count);
        if end == cells.len() {
            cells.truncate(end - count);
        } else {
            cells[end - count..end].fill_with(Cell::blank);
        }
    }

    fn cells(&mut self) -> &mut Vec<Cell> {
        if self.cells.is_none() {
            let text = std::mem::take(&mut self.text);
            let (lead, cells) = read(&text);
            (self.lead, self.pen) = (lead, Pen::default());
            return self.cells.insert(cells);
        }
        self.cells.get_or_insert_default()
    }
}

/// The cells of text that [`ScreenRow::append`] wrote, and the zero-width characters before the first.
fn read(text: &str) -> (String, Vec<Cell>) {
    let (mut row, mut pen) =
        (ScreenRow { cells: Some(Vec::with_capacity(text.len())), ..ScreenRow::default() }, Pen::default());
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let sequence = rest.strip_prefix("\x1b[").and_then(|rest| rest.split_once('m'));
        if let Some((codes, after)) = sequence {
            pen.set(codes);
            rest = after;
            continue;
        }
        if let Some((string, after)) = rest.strip_prefix("\x1b]").and_then(|rest| rest.split_once("\x1b\\")) {
            pen.set_link(string.as_bytes());
            rest = after;
            continue;
        }
        rest = &rest[char.len_utf8()..];
        let column = row.columns();
        match (char, width(char)) {
            ('\t', _) => drop(row.tab(column, &pen)),
            (_, 0) => row.mark(column, char),
            (_, columns) => row.put(column, char, columns, &pen),
        }
    }
    (row.lead, row.cells.unwrap_or_default())
}
