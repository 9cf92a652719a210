//! The last rows of an output, the cursor, and which of the rows were given as events.

mod control;
mod given;

use std::collections::VecDeque;
use std::mem::take;

use super::pen::Pen;
use super::row::{MAX_COLUMNS, Row, next_stop, width};

/// How many rows the cursor can move over: a screen's height. A row that leaves it stays as it is.
pub const ROWS: usize = 50;

/// About how many bytes of rows are kept, however few rows that are.
const MAX_WEIGHT: usize = 256 * 1024;

/// A row that begins in so many pieces is given anew as one.
const MAX_PIECES: u32 = 32;

/// Something to journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A new row, or a new piece at the end of the last one. Rows and pieces count from 0.
    Row {
        /// Its text, which stands for itself.
        text: String,
        /// Whether it continues the one before.
        cont: bool,
    },
    /// A row has changed.
    Redraw {
        /// Its number.
        row: u64,
        /// Its text now.
        text: String,
        /// Whether it continues the one before.
        cont: bool,
    },
    /// A line that is a report: as it was printed, without its line end.
    Report(String),
}

impl Event {
    /// How many bytes of text it has.
    pub const fn size(&self) -> usize {
        match self {
            Self::Row { text, .. } | Self::Redraw { text, .. } | Self::Report(text) => text.len(),
        }
    }
}

/// A row and what of it was given.
#[derive(Debug, Default)]
struct Slot {
    row: Row,
    /// The number of its first piece.
    first: u64,
    /// How many pieces were given.
    pieces: u32,
    /// How much of the row's text was given, and the pen there, as long as it only grows.
    given: usize,
    pen: Pen,
    /// It was given, and has changed otherwise than by growing.
    is_redrawn: bool,
    /// It has changed since it was given.
    is_dirty: bool,
    /// A digest of what was given.
    shown: u64,
}

impl Slot {
    fn grows(&self) -> bool {
        self.pieces > 0 && !self.is_redrawn && self.row.is_text() && self.row.written().0.len() > self.given
    }
}

/// The column of the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    /// After the text of a row that only grows.
    End,
    At(usize),
}

/// The screen.
#[derive(Debug)]
pub struct Screen {
    slots: VecDeque<Slot>,
    y: usize,
    column: Column,
    pen: Pen,
    saved: Option<(usize, usize, Pen)>,
    /// How many rows were given: always those at the top.
    given: usize,
    /// How many of them have changed since.
    dirty: usize,
    /// The number of the next row.
    next: u64,
    /// Memory for the next row.
    spare: Row,
}

impl Default for Screen {
    fn default() -> Self {
        Self {
            slots: VecDeque::new(),
            y: 0,
            column: Column::End,
            pen: Pen::default(),
            saved: None,
            given: 0,
            dirty: 0,
            next: 0,
            spare: Row::default(),
        }
    }
}

impl Screen {
    /// Whether plain lines can be written as they are: on a new row, without a style.
    pub fn is_fresh(&self) -> bool {
        let is_below_all = self.y == self.slots.len() && self.given == self.slots.len();
        is_below_all && self.column == Column::End && self.pen.is_default()
    }

    /// Writes a whole line without control characters on a [fresh](Self::is_fresh) row.
    pub fn plain_line(&mut self, line: &str, events: &mut Vec<Event>) {
        self.give_growth(events);
        let mut row = take(&mut self.spare);
        row.set_plain(line);
        let first = self.next;
        self.next += 1;
        let slot = Slot { row, first, pieces: 1, given: line.len(), ..Slot::default() };
        self.slots.push_back(slot);
        self.given += 1;
        events.push(Event::Row { text: line.to_owned(), cont: false });
        self.move_down(events);
    }

    /// Writes text without control characters that do anything, but for tabs.
    pub fn print(&mut self, mut text: &str, events: &mut Vec<Event>) {
        while !text.is_empty() {
            self.make_row(self.y);
            let taken = match self.column {
                Column::End => self.append(text),
                Column::At(column) => self.overwrite(column, text),
            };
            text = &text[taken..];
            if !text.is_empty() {
                self.line_feed(events);
                self.make_row(self.y);
                if !self.slots[self.y].row.cont {
                    self.touch(self.y);
                    self.slots[self.y].row.cont = true;
                }
            }
        }
    }

    fn append(&mut self, text: &str) -> usize {
        let is_last = self.y + 1 == self.given;
        if self.y < self.given && (!is_last || self.slots[self.y].is_redrawn) {
            self.touch(self.y);
        }
        self.slots[self.y].row.append(text, &self.pen)
    }

    fn overwrite(&mut self, mut column: usize, text: &str) -> usize {
        self.touch(self.y);
        let Self { slots, pen, .. } = self;
        let row = &mut slots[self.y].row;
        let mut taken = text.len();
        for (place, char) in text.char_indices() {
            match (char, width(char)) {
                ('\t', _) => column = row.tab(column, pen),
                (_, 0) => row.mark(column, char),
                (_, columns) => {
                    if column + columns > MAX_COLUMNS && column + columns > row.columns() {
                        taken = place;
                        break;
                    }
                    row.put(column, char, columns, pen);
                    column += columns;
                }
            }
        }
        self.column = Column::At(column);
        taken
    }

    /// Goes to the beginning of the next row.
    pub fn line_feed(&mut self, events: &mut Vec<Event>) {
        self.make_row(self.y);
        self.complete(self.y, events);
        self.move_down(events);
    }

    /// Goes to the beginning of the row.
    pub fn carriage_return(&mut self) {
        self.go(self.y, 0);
    }

    /// Goes one column to the left.
    pub fn backspace(&mut self) {
        let column = self.column();
        self.go(self.y, column.saturating_sub(1));
    }

    /// Goes to the next tab stop.
    pub fn tab(&mut self) {
        if self.column == Column::End {
            self.make_row(self.y);
            if self.append("\t") > 0 {
                return;
            }
        }
        let column = self.column();
        self.make_row(self.y);
        if self.slots[self.y].row.columns() == column {
            self.touch(self.y);
            let column = self.slots[self.y].row.tab(column, &self.pen);
            self.column = Column::At(column);
        } else {
            self.go(self.y, next_stop(column));
        }
    }

    /// Takes a string for the terminal.
    pub fn string(&mut self, string: &[u8]) {
        self.pen.set_link(string);
    }

    /// A row has its line end.
    fn complete(&mut self, y: usize, events: &mut Vec<Event>) {
        if y + 1 == self.given {
            self.give_growth(events);
        }
        self.give_until(y, events);
        self.slots[y].row.settle();
    }

    fn move_down(&mut self, events: &mut Vec<Event>) {
        if self.y + 1 == ROWS {
            self.scroll(events);
        } else {
            self.y += 1;
        }
        // Few rows weigh much; then fewer are kept.
        if self.slots.get(self.y.saturating_sub(1)).is_some_and(|slot| slot.row.weight() > MAX_WEIGHT / ROWS) {
            while self.y > 1 && self.slots.iter().map(|slot| slot.row.weight()).sum::<usize>() > MAX_WEIGHT {
                self.scroll(events);
                self.y -= 1;
            }
        }
        self.go(self.y, 0);
    }

    /// The topmost row leaves the screen, and is not changed any more.
    fn scroll(&mut self, events: &mut Vec<Event>) {
        self.make_row(0);
        self.give_growth(events);
        self.give_until(0, events);
        self.give_redraw(0, events);
        let Some(mut slot) = self.slots.pop_front() else { return };
        slot.row.reset();
        self.spare = slot.row;
        self.given -= 1;
        if let Some((y, ..)) = &mut self.saved {
            *y = y.saturating_sub(1);
        }
    }

    fn go(&mut self, y: usize, column: usize) {
        let y = y.min(ROWS - 1);
        if y != self.y
            && let Some(slot) = self.slots.get_mut(self.y)
        {
            slot.row.settle();
        }
        self.y = y;
        let is_free =
            column == 0 && self.row_is_empty(self.y) && self.slots.get(self.y).is_none_or(|slot| slot.row.is_text());
        self.column = if is_free { Column::End } else { Column::At(column.min(MAX_COLUMNS - 1)) };
    }

    fn row_is_empty(&self, y: usize) -> bool {
        self.slots.get(y).is_none_or(|slot| slot.row.is_empty())
    }

    /// The column as a number. The row becomes cells, unless it is empty.
    fn column(&mut self) -> usize {
        match self.column {
            Column::At(column) => column,
            Column::End if self.row_is_empty(self.y) => 0,
            Column::End => {
                self.touch(self.y);
                let column = self.slots[self.y].row.columns();
                self.column = Column::At(column);
                column
            }
        }
    }

    fn make_row(&mut self, y: usize) {
        while self.slots.len() <= y {
            let row = take(&mut self.spare);
            self.slots.push_back(Slot { row, ..Slot::default() });
        }
    }
}
