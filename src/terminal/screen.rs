//! The screen: its rows, the cursor, and what a program has set.

mod control;
mod edit;
mod given;
mod grid;
mod modes;
mod print;
mod tabs;

use grid::{Grid, Slot};
use modes::{Main, Margins, Modes, Saved};
use tabs::Tabs;

use super::pen::Pen;
use super::row::MAX_COLUMNS;

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
    grid: Grid,
    y: usize,
    column: Column,
    pen: Pen,
    saved: Option<Saved>,
    margins: Margins,
    modes: Modes,
    tabs: Tabs,
    /// The character that was printed last in this row.
    last: Option<char>,
    /// The main screen, while [`Self::grid`] is the alternate one.
    main: Option<Box<Main>>,
}

impl Default for Screen {
    fn default() -> Self {
        Self {
            grid: Grid::default(),
            y: 0,
            column: Column::End,
            pen: Pen::default(),
            saved: None,
            margins: Margins::default(),
            modes: Modes::default(),
            tabs: Tabs::default(),
            last: None,
            main: None,
        }
    }
}

impl Screen {
    /// Goes to the beginning of the next row.
    pub fn line_feed(&mut self, events: &mut Vec<Event>) {
        self.grid.make_row(self.y);
        self.complete(events);
        self.end_row(events);
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

    /// Takes a string for the terminal.
    pub fn string(&mut self, string: &[u8]) {
        self.pen.set_link(string);
    }

    /// The cursor's row has its line end.
    fn complete(&mut self, events: &mut Vec<Event>) {
        if self.y + 1 == self.grid.given {
            self.grid.give_growth(events);
        }
        if self.y <= self.margins.bottom {
            self.grid.give_until(self.y, events);
        }
        self.settle();
    }

    /// Goes to the beginning of the next row, after this one is complete.
    fn end_row(&mut self, events: &mut Vec<Event>) {
        self.last = None;
        let Margins { top, bottom } = self.margins;
        if self.y == bottom && top == 0 {
            self.grid.scroll_up(bottom, 1, events);
        } else if self.y == bottom {
            self.grid.move_up(top, bottom, 1, events);
        } else if self.y + 1 < ROWS {
            self.y += 1;
        }
        // Few rows weigh much; then fewer are kept.
        let is_heavy = |slot: &Slot| slot.row.weight() > MAX_WEIGHT / ROWS;
        if self.grid.slots.get(self.y.saturating_sub(1)).is_some_and(is_heavy) && self.margins == Margins::default() {
            while self.y > 1 && self.grid.weight() > MAX_WEIGHT {
                self.grid.scroll_out(events);
                self.y -= 1;
                if let Some(saved) = &mut self.saved {
                    saved.y = saved.y.saturating_sub(1);
                }
            }
        }
        self.go(self.y, 0);
    }

    /// Writes the cursor's row as text again, to take less memory.
    fn settle(&mut self) {
        if let Some(slot) = self.grid.slots.get_mut(self.y) {
            slot.row.settle();
        }
    }

    fn go(&mut self, y: usize, column: usize) {
        let y = y.min(ROWS - 1);
        if y != self.y {
            self.settle();
        }
        self.y = y;
        let is_text = || self.grid.slots.get(y).is_none_or(|slot| slot.row.is_text());
        let is_free = column == 0 && self.grid.row_is_empty(y) && is_text();
        self.column = if is_free { Column::End } else { Column::At(column.min(MAX_COLUMNS - 1)) };
    }

    /// The column as a number. The row becomes cells, unless it is empty.
    fn column(&mut self) -> usize {
        match self.column {
            Column::At(column) => column,
            Column::End if self.grid.row_is_empty(self.y) => 0,
            Column::End => {
                self.grid.touch(self.y);
                let column = self.grid.slots[self.y].row.columns();
                self.column = Column::At(column);
                column
            }
        }
    }
}
