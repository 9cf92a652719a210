//! Text and tabs, written where the cursor is.

use super::{Column, Event, Margins, Screen, Slot};
use crate::terminal::row::{MAX_COLUMNS, width};

impl Screen {
    /// Whether plain lines can be written as they are: on a new row, without a style.
    pub fn is_fresh(&self) -> bool {
        let is_below_all = self.y == self.grid.slots.len() && self.grid.given == self.grid.slots.len();
        let is_plain = self.pen.is_default() && self.tabs.are_default() && self.margins == Margins::default();
        is_below_all && self.column == Column::End && is_plain && self.main.is_none()
    }

    /// Writes a whole line without control characters on a [fresh](Self::is_fresh) row.
    pub fn plain_line(&mut self, line: &str, events: &mut Vec<Event>) {
        self.grid.give_growth(events);
        let mut row = self.grid.take_spare();
        row.set_plain(line);
        let first = self.grid.next;
        self.grid.next += 1;
        self.grid.slots.push_back(Slot { row, first, pieces: 1, given: line.len(), ..Slot::default() });
        self.grid.given += 1;
        events.push(Event::Row { text: line.to_owned(), cont: false });
        self.end_row(events);
    }

    /// Writes text without control characters that do anything, but for tabs.
    pub fn print(&mut self, text: &str, events: &mut Vec<Event>) {
        if self.tabs.are_default() {
            self.write(text, events);
        } else {
            for (place, piece) in text.split('\t').enumerate() {
                if place > 0 {
                    self.tab();
                }
                self.write(piece, events);
            }
        }
        if let Some(last) = text.chars().rev().find(|&char| width(char) > 0) {
            self.last = Some(last);
        }
    }

    fn write(&mut self, mut text: &str, events: &mut Vec<Event>) {
        while !text.is_empty() {
            self.grid.make_row(self.y);
            let taken = match self.column {
                Column::End => self.append(text),
                Column::At(column) => self.overwrite(column, text),
            };
            text = &text[taken..];
            if !text.is_empty() {
                self.line_feed(events);
                self.grid.make_row(self.y);
                if !self.grid.slots[self.y].row.cont {
                    self.grid.touch(self.y);
                    self.grid.slots[self.y].row.cont = true;
                }
            }
        }
    }

    fn append(&mut self, text: &str) -> usize {
        let is_last = self.y + 1 == self.grid.given;
        if self.y < self.grid.given && (!is_last || self.grid.slots[self.y].is_redrawn) {
            self.grid.touch(self.y);
        }
        self.grid.slots[self.y].row.append(text, &self.pen)
    }

    fn overwrite(&mut self, mut column: usize, text: &str) -> usize {
        self.grid.touch(self.y);
        let Self { grid, pen, modes, .. } = self;
        let row = &mut grid.slots[self.y].row;
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
                    if modes.inserts {
                        row.insert(column, columns);
                    }
                    row.put(column, char, columns, pen);
                    column += columns;
                }
            }
        }
        self.column = Column::At(column);
        taken
    }

    /// Goes to the next tab stop.
    pub fn tab(&mut self) {
        if !self.tabs.are_default() {
            let column = self.column();
            self.go(self.y, self.tabs.next(column));
            return;
        }
        if self.column == Column::End {
            self.grid.make_row(self.y);
            if self.append("\t") > 0 {
                return;
            }
        }
        let column = self.column();
        self.grid.make_row(self.y);
        if self.grid.slots[self.y].row.columns() == column {
            self.grid.touch(self.y);
            let column = self.grid.slots[self.y].row.tab(column, &self.pen);
            self.column = Column::At(column);
        } else {
            self.go(self.y, self.tabs.next(column));
        }
    }
}
