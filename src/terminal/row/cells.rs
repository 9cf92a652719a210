//! The cells of a row that was written over.

use super::width;
use crate::model::kinds::MAX_LINE_BYTES;
use crate::terminal::pen::Pen;

/// In a cell that the character before it (a wide one, a tab) takes up.
pub const REST: char = '\0';

/// A column of a row.
#[derive(Clone, Debug)]
pub struct Cell {
    pub char: char,
    /// Characters without a width that follow.
    pub marks: String,
    pub pen: Pen,
}

impl Cell {
    pub fn new(char: char, pen: &Pen) -> Self {
        Self { char, marks: String::new(), pen: pen.clone() }
    }

    pub fn blank() -> Self {
        Self::new(' ', &Pen::default())
    }

    pub fn length(&self) -> usize {
        if self.char == REST { 0 } else { self.char.len_utf8() + self.marks.len() }
    }
}

/// Cells as text with sequences, and the pen at its end. Where all sequences would be too much for a frame, those at the end are
/// left out.
pub fn serialize(lead: &str, cells: &[Cell]) -> (String, Pen) {
    let mut left = cells.iter().map(Cell::length).sum::<usize>();
    let mut text = String::with_capacity(lead.len() + left);
    text.push_str(lead);
    let default = Pen::default();
    let mut pen = &default;
    for cell in cells.iter().filter(|cell| cell.char != REST) {
        if cell.pen != *pen {
            let length = text.len();
            cell.pen.write_change(pen, &mut text);
            if text.len() + left + cell.pen.end_length() <= MAX_LINE_BYTES {
                pen = &cell.pen;
            } else {
                text.truncate(length);
                pen.write_end(&mut text);
                pen = &default;
            }
        }
        let room = MAX_LINE_BYTES.saturating_sub(text.len() + pen.end_length());
        if cell.char.len_utf8() > room {
            break;
        }
        text.push(cell.char);
        if cell.length() <= room {
            text.push_str(&cell.marks);
        }
        left -= cell.length();
    }
    (text, pen.clone())
}

pub fn pad(cells: &mut Vec<Cell>, column: usize) {
    if cells.len() < column {
        cells.resize_with(column, Cell::blank);
    }
}

/// Makes what lies across the left edge of this column blank: half of a wide character, a part of a tab.
pub fn split(cells: &mut [Cell], column: usize) {
    if cells.get(column).is_none_or(|cell| cell.char != REST) {
        return;
    }
    let start = (0..column).rev().find(|&place| cells[place].char != REST).unwrap_or(0);
    let end = (column..cells.len()).find(|&place| cells[place].char != REST).unwrap_or(cells.len());
    let pen = cells[start].pen.clone();
    cells[start..end].fill_with(|| Cell::new(' ', &pen));
}

/// Makes tabs blanks: moved to another column, they would be of another width.
pub fn flatten_tabs(cells: &mut [Cell]) {
    let mut in_tab = false;
    for cell in cells {
        in_tab = cell.char == '\t' || in_tab && cell.char == REST;
        if in_tab {
            cell.char = ' ';
        }
    }
}

/// The same as [`split`] at the end of a row that was cut off.
pub fn split_end(cells: &mut [Cell]) {
    let is_cut = cells.last().is_some_and(|cell| cell.char != REST && width(cell.char) == 2);
    if is_cut && let Some(last) = cells.last_mut() {
        *last = Cell::blank();
    }
}
