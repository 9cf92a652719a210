//! Erasing, inserting, deleting and scrolling.

use super::{Column, Event, Margins, Screen};
use crate::terminal::row::Row;

impl Screen {
    pub(super) fn insert_rows(&mut self, count: usize, events: &mut Vec<Event>) {
        let Margins { top, bottom } = self.margins;
        if (top..=bottom).contains(&self.y) {
            self.grid.move_down(self.y, bottom, count, events);
            self.go(self.y, 0);
        }
    }

    pub(super) fn delete_rows(&mut self, count: usize, events: &mut Vec<Event>) {
        let Margins { top, bottom } = self.margins;
        if (top..=bottom).contains(&self.y) {
            self.grid.move_up(self.y, bottom, count, events);
            self.go(self.y, 0);
        }
    }

    /// Rows go out at the top margin, and blank ones come in at the bottom margin. The cursor stays.
    pub(super) fn scroll_up(&mut self, count: usize, events: &mut Vec<Event>) {
        let column = self.column();
        let Margins { top, bottom } = self.margins;
        let count = count.min(bottom + 1 - top);
        if top == 0 {
            // Nothing is gained by blank rows in the log that nothing follows.
            self.grid.scroll_up(bottom, count.min(self.grid.height_until(bottom)), events);
        } else {
            self.grid.move_up(top, bottom, count, events);
        }
        self.go(self.y, column);
    }

    /// Blank rows come in at the top margin, and those at the bottom margin are lost. The cursor stays.
    pub(super) fn scroll_down(&mut self, count: usize, events: &mut Vec<Event>) {
        let column = self.column();
        let Margins { top, bottom } = self.margins;
        self.grid.move_down(top, bottom, count, events);
        self.go(self.y, column);
    }

    pub(super) fn erase_line(&mut self, how: usize) {
        if self.y >= self.grid.slots.len() {
            return;
        }
        match how {
            0 if self.column == Column::End => {}
            0 => self.change_row(|row, column| row.erase(column, usize::MAX)),
            1 => self.change_row(|row, column| row.erase(0, column + 1)),
            2 => self.change_row(|row, _| row.erase(0, usize::MAX)),
            _ => {}
        }
    }

    pub(super) fn erase_display(&mut self, how: usize) {
        let end = self.grid.slots.len();
        let rows = match how {
            0 => (self.y + 1).min(end)..end,
            1 => 0..self.y.min(end),
            2 => 0..end,
            _ => return,
        };
        let column = self.column();
        for y in rows {
            if y != self.y && !self.grid.row_is_empty(y) {
                self.grid.touch(y);
                self.grid.slots[y].row.erase(0, usize::MAX);
            }
        }
        self.go(self.y, column);
        self.erase_line(how);
    }

    pub(super) fn change_row(&mut self, change: impl FnOnce(&mut Row, usize)) {
        let column = self.column();
        if self.y < self.grid.slots.len() {
            self.grid.touch(self.y);
            change(&mut self.grid.slots[self.y].row, column);
        }
        self.column = Column::At(column);
    }
}
