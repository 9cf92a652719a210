//! Control sequences: moves of the cursor, erasing, inserting and deleting.

use std::mem::take;

use super::{Column, Event, ROWS, Screen, Slot};
use crate::terminal::pen::Pen;
use crate::terminal::row::Row;

impl Screen {
    /// Carries a control sequence out: its parameters and its last byte.
    pub fn control(&mut self, parameters: &str, last: u8, events: &mut Vec<Event>) {
        let (is_private, parameters) = match parameters.strip_prefix('?') {
            Some(rest) => (true, rest),
            None => (false, parameters),
        };
        if !parameters.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b';' | b':')) {
            return;
        }
        if last == b'm' {
            if !is_private {
                self.pen.set(parameters);
            }
            return;
        }
        let numbers =
            parameters.split(';').map(|text| text.parse::<usize>().unwrap_or(if text.is_empty() { 0 } else { 9999 }));
        let mut numbers = numbers.map(|number| number.min(9999));
        let (first, second) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let count = first.max(1);
        match last {
            b'J' => self.erase_display(first),
            b'K' => self.erase_line(first),
            _ if is_private => {}
            b'A' => self.go_to_row(self.y.saturating_sub(count)),
            b'B' | b'e' => self.go_to_row(self.y + count),
            b'C' | b'a' => self.move_right(count),
            b'D' => {
                let column = self.column();
                self.go(self.y, column.saturating_sub(count));
            }
            b'E' => self.go((self.y + count).min(ROWS - 1), 0),
            b'F' => self.go(self.y.saturating_sub(count), 0),
            b'G' | b'`' => self.go(self.y, count - 1),
            b'H' | b'f' => self.go(count.min(ROWS) - 1, second.max(1) - 1),
            b'd' => self.go_to_row(count - 1),
            b'X' => self.change_row(|row, column| row.erase(column, column + count)),
            b'@' => self.change_row(|row, column| row.insert(column, count)),
            b'P' => self.change_row(|row, column| row.delete(column, count)),
            b'L' => self.insert_rows(count, events),
            b'M' => self.delete_rows(count),
            b's' => self.save(),
            b'u' => self.restore(),
            _ => {}
        }
    }

    /// Carries an escape sequence out: what stands between, and its last byte.
    pub fn escape(&mut self, between: &[u8], last: u8, events: &mut Vec<Event>) {
        match (between, last) {
            (b"", b'7') => self.save(),
            (b"", b'8') => self.restore(),
            (b"", b'D') => {
                let column = self.column();
                self.line_feed(events);
                self.go(self.y, column);
            }
            (b"", b'E') => self.line_feed(events),
            (b"", b'M') if self.y > 0 => self.go_to_row(self.y - 1),
            (b"", b'M') => self.scroll_down(events),
            (b"", b'c') => {
                self.erase_display(2);
                self.pen = Pen::default();
                self.saved = None;
                self.go(0, 0);
            }
            _ => {}
        }
    }

    pub(super) fn insert_rows(&mut self, count: usize, events: &mut Vec<Event>) {
        let count = count.min(ROWS - self.y);
        if self.y < self.slots.len() {
            // Growth cannot be given any more once the row has another place.
            self.give_growth(events);
            for _ in 0..count {
                if self.slots.len() < ROWS {
                    self.slots.push_back(Slot::default());
                }
            }
            self.move_rows(|rows, at| {
                let length = rows.len();
                rows.splice(at..at, std::iter::repeat_with(Row::default).take(count));
                rows.truncate(length);
            });
        }
        self.go(self.y, 0);
    }

    fn delete_rows(&mut self, count: usize) {
        if self.y < self.slots.len() {
            self.move_rows(|rows, at| {
                let (length, end) = (rows.len(), (at + count).min(rows.len()));
                rows.drain(at..end);
                rows.resize_with(length, Row::default);
            });
        }
        self.go(self.y, 0);
    }

    /// Moves rows from the cursor's on to other places. The places stay: what was given of them is then another row's.
    fn move_rows(&mut self, change: impl FnOnce(&mut Vec<Row>, usize)) {
        for y in self.y..self.slots.len() {
            self.touch(y);
        }
        let mut rows = self.slots.iter_mut().map(|slot| take(&mut slot.row)).collect();
        change(&mut rows, self.y);
        for (slot, row) in self.slots.iter_mut().zip(rows) {
            slot.row = row;
        }
    }

    pub(super) fn erase_line(&mut self, how: usize) {
        if self.y >= self.slots.len() {
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
        let end = self.slots.len();
        let rows = match how {
            0 => (self.y + 1).min(end)..end,
            1 => 0..self.y.min(end),
            2 => 0..end,
            _ => return,
        };
        let column = self.column();
        for y in rows {
            if y != self.y && !self.row_is_empty(y) {
                self.touch(y);
                self.slots[y].row.erase(0, usize::MAX);
            }
        }
        self.go(self.y, column);
        self.erase_line(how);
    }

    /// A row comes in at the top.
    pub(super) fn scroll_down(&mut self, events: &mut Vec<Event>) {
        let (y, column) = (self.y, self.column());
        self.insert_rows(1, events);
        self.go(y, column);
    }

    pub(super) fn change_row(&mut self, change: impl FnOnce(&mut Row, usize)) {
        let column = self.column();
        if self.y < self.slots.len() {
            self.touch(self.y);
            change(&mut self.slots[self.y].row, column);
        }
        self.column = Column::At(column);
    }

    fn save(&mut self) {
        self.saved = Some((self.y, self.column(), self.pen.clone()));
    }

    fn restore(&mut self) {
        let (y, column, pen) = self.saved.clone().unwrap_or_default();
        self.pen = pen;
        self.go(y, column);
    }

    fn move_right(&mut self, count: usize) {
        let column = self.column();
        self.go(self.y, column + count);
    }

    fn go_to_row(&mut self, y: usize) {
        let column = self.column();
        self.go(y, column);
    }
}
