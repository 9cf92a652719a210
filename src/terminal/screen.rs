//! The screen: rows, cursor and modes.

pub mod control;
mod edit;
mod grid;
mod modes;
pub mod print;
mod state;
mod tabs;

use grid::{Grid, RowSlot};
use state::{MainScreen, Margins, Modes, SavedCursor};
use tabs::Tabs;

use super::columns::MAX_COLUMNS;
use super::event::Event;
use super::pen::Pen;
use super::row::ScreenRow;

pub use grid::ROWS;

/// If the rows take more memory, fewer of them stay on the screen.
const MAX_ROWS_BYTES: usize = 256 * 1024;

/// The column of the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorColumn {
    /// At the end of a row that only grows.
    End,
    At(usize),
}

#[derive(Debug)]
pub struct Screen {
    grid: Grid,
    y: usize,
    column: CursorColumn,
    pen: Pen,
    saved: Option<SavedCursor>,
    margins: Margins,
    modes: Modes,
    tabs: Tabs,
    /// The last printed character of this row.
    last: Option<char>,
    /// The main screen while [`Self::grid`] is the alternate one.
    main: Option<Box<MainScreen>>,
}

impl Default for Screen {
    fn default() -> Self {
        Self {
            grid: Grid::default(),
            y: 0,
            column: CursorColumn::End,
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
    /// Moves to the beginning of the next row.
    pub fn line_feed(&mut self, events: &mut Vec<Event>) {
        self.grid.make_row(self.y);
        self.complete(events);
        self.end_row(events);
    }

    /// Moves to the beginning of the row.
    pub fn carriage_return(&mut self) {
        self.go(self.y, 0);
    }

    /// Moves one column to the left.
    pub fn backspace(&mut self) {
        let column = self.column();
        self.go(self.y, column.saturating_sub(1));
    }

    /// Processes an OSC string.
    pub fn string(&mut self, string: &[u8]) {
        self.pen.set_link(string);
    }

    /// Emits the cursor's row and those above, since the row is complete.
    fn complete(&mut self, events: &mut Vec<Event>) {
        if self.y + 1 == self.grid.emitted {
            self.grid.emit_growth(events);
        }
        if self.y <= self.margins.bottom {
            self.grid.emit_until(self.y, events);
        }
        self.settle();
    }

    /// Moves to the beginning of the next row, after [`Self::complete`].
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
        // Large rows leave the screen early.
        let is_large = |slot: &RowSlot| slot.row.memory_bytes() > MAX_ROWS_BYTES / ROWS;
        if self.grid.slots.get(self.y.saturating_sub(1)).is_some_and(is_large) && self.margins == Margins::default() {
            while self.y > 1 && self.grid.memory_bytes() > MAX_ROWS_BYTES {
                self.grid.scroll_out(events);
                self.y -= 1;
                if let Some(saved) = &mut self.saved {
                    saved.y = saved.y.saturating_sub(1);
                }
            }
        }
        self.go(self.y, 0);
    }

    /// Converts the cursor's row back to text, which takes less memory.
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
        self.column = if is_free { CursorColumn::End } else { CursorColumn::At(column.min(MAX_COLUMNS - 1)) };
    }

    /// The column as a number. Converts the row to cells, unless it is empty.
    fn column(&mut self) -> usize {
        match self.column {
            CursorColumn::At(column) => column,
            CursorColumn::End if self.grid.row_is_empty(self.y) => 0,
            CursorColumn::End => {
                self.grid.touch(self.y);
                let column = self.grid.slots[self.y].row.columns();
                self.column = CursorColumn::At(column);
                column
            }
        }
    }

    /// Moves to a row, relative to the top margin in origin mode, and a column.
    pub(super) fn go_to(&mut self, row: usize, column: usize) {
        let Margins { top, bottom } = self.margins;
        self.go(if self.modes.has_origin { (top + row).min(bottom) } else { row }, column);
    }

    /// Whether plain lines can be emitted unchanged: the cursor is on a new row, without a style.
    pub fn is_fresh(&self) -> bool {
        let is_below_all = self.y == self.grid.slots.len() && self.grid.emitted == self.grid.slots.len();
        let is_plain = self.pen.is_default() && self.tabs.are_default() && self.margins == Margins::default();
        is_below_all && self.column == CursorColumn::End && is_plain && self.main.is_none()
    }

    pub(super) fn change_row(&mut self, change: impl FnOnce(&mut ScreenRow, usize)) {
        let column = self.column();
        if self.y < self.grid.slots.len() {
            self.grid.touch(self.y);
            change(&mut self.grid.slots[self.y].row, column);
        }
        self.column = CursorColumn::At(column);
    }

    /// Whether an unfinished line has text that was not emitted.
    pub fn has_new(&self) -> bool {
        match &self.main {
            Some(main) => main.grid.has_new(main.margins.bottom),
            None => self.grid.has_new(self.margins.bottom),
        }
    }

    /// Emits new text, except below a scrolling region: a status bar there will be erased, and would precede later rows
    /// in the log.
    pub fn emit_new(&mut self, events: &mut Vec<Event>) {
        match &mut self.main {
            Some(main) => main.grid.emit_new(main.margins.bottom, events),
            None => self.grid.emit_new(self.margins.bottom, events),
        }
    }

    /// Whether an emitted row has changed.
    pub fn has_redraws(&self) -> bool {
        self.main.as_ref().map_or(&self.grid, |main| &main.grid).has_redraws()
    }

    /// Emits changed rows.
    pub fn emit_redraws(&mut self, events: &mut Vec<Event>) {
        self.main.as_mut().map_or(&mut self.grid, |main| &mut main.grid).emit_redraws(events);
    }

    /// Emits everything that is left. A visible alternate screen follows the main one, since its program was killed and
    /// may have printed the reason there.
    pub fn finish(mut self, events: &mut Vec<Event>) {
        if let Some(mut main) = self.main.take() {
            main.grid.emit_redraws(events);
            main.grid.emit_new(ROWS, events);
            (self.grid.next, self.grid.is_alternate) = (main.grid.next, false);
        }
        self.grid.emit_redraws(events);
        self.grid.emit_new(ROWS, events);
    }
}
