//! The last rows of an output, the cursor, and which of the rows were given as events.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher};
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

    /// Takes a string for the terminal.
    pub fn string(&mut self, string: &[u8]) {
        self.pen.set_link(string);
    }

    /// Whether something was written that was not given: a line whose end has not come.
    pub fn has_new(&self) -> bool {
        let grown = self.given.checked_sub(1).is_some_and(|last| self.slots[last].grows());
        grown || self.slots.range(self.given.min(self.slots.len())..).any(|slot| !slot.row.is_empty())
    }

    /// Whether a row has changed since it was given.
    pub const fn has_redraws(&self) -> bool {
        self.dirty > 0
    }

    /// Gives what was written and not given.
    pub fn give_new(&mut self, events: &mut Vec<Event>) {
        self.give_growth(events);
        if let Some(last) = self.slots.iter().rposition(|slot| !slot.row.is_empty()) {
            self.give_until(last, events);
        }
    }

    /// Gives the rows that have changed since they were given.
    pub fn give_redraws(&mut self, events: &mut Vec<Event>) {
        for y in 0..self.given {
            self.give_redraw(y, events);
        }
    }

    fn give_redraw(&mut self, y: usize, events: &mut Vec<Event>) {
        let slot = &mut self.slots[y];
        if !slot.is_dirty {
            return;
        }
        slot.is_dirty = false;
        self.dirty -= 1;
        let text = slot.row.render();
        let shown = digest(&text);
        if shown == slot.shown {
            return;
        }
        slot.shown = shown;
        events.push(Event::Redraw { row: slot.first, text, cont: slot.row.cont });
        // All of the row is in its first piece now.
        for piece in 1..slot.pieces {
            events.push(Event::Redraw { row: slot.first + u64::from(piece), text: String::new(), cont: true });
        }
        slot.pieces = 1;
    }

    /// Gives what the last row that was given has grown by, as a piece of it.
    fn give_growth(&mut self, events: &mut Vec<Event>) {
        let Some(last) = self.given.checked_sub(1).filter(|&last| self.slots[last].grows()) else { return };
        if self.slots[last].pieces >= MAX_PIECES {
            self.touch(last);
            self.give_redraw(last, events);
            return;
        }
        let slot = &mut self.slots[last];
        let (written, pen) = slot.row.written();
        let mut text = String::new();
        slot.pen.write_change(&Pen::default(), &mut text);
        text.push_str(&written[slot.given..]);
        pen.write_end(&mut text);
        if text.len() > crate::model::kinds::MAX_LINE {
            self.touch(last);
            self.give_redraw(last, events);
            return;
        }
        (slot.given, slot.pen) = (written.len(), pen.clone());
        slot.pieces += 1;
        self.next += 1;
        events.push(Event::Row { text, cont: true });
    }

    /// Gives the rows up to this one.
    fn give_until(&mut self, y: usize, events: &mut Vec<Event>) {
        if self.given <= y {
            self.give_growth(events);
        }
        while self.given <= y {
            let slot = &mut self.slots[self.given];
            let text = slot.row.render();
            (slot.first, slot.pieces) = (self.next, 1);
            if slot.row.is_text() {
                let (written, pen) = slot.row.written();
                (slot.given, slot.pen) = (written.len(), pen.clone());
            } else {
                (slot.is_redrawn, slot.shown) = (true, digest(&text));
            }
            events.push(Event::Row { text, cont: slot.row.cont });
            self.next += 1;
            self.given += 1;
        }
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

    /// A row comes in at the top.
    fn scroll_down(&mut self, events: &mut Vec<Event>) {
        let (y, column) = (self.y, self.column());
        self.insert_rows(1, events);
        self.go(y, column);
    }

    fn insert_rows(&mut self, count: usize, events: &mut Vec<Event>) {
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

    fn erase_line(&mut self, how: usize) {
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

    fn erase_display(&mut self, how: usize) {
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

    fn change_row(&mut self, change: impl FnOnce(&mut Row, usize)) {
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

    /// Notes that a row changes otherwise than by growing, before it does.
    fn touch(&mut self, y: usize) {
        if y >= self.given {
            return;
        }
        let slot = &mut self.slots[y];
        if !slot.is_redrawn {
            slot.is_redrawn = true;
            slot.shown = if slot.grows_beyond() { 0 } else { digest(&slot.row.render()) };
        }
        if !slot.is_dirty {
            slot.is_dirty = true;
            self.dirty += 1;
        }
    }
}

impl Slot {
    /// Whether it has more text than was given.
    fn grows_beyond(&self) -> bool {
        self.row.is_text() && self.row.written().0.len() > self.given
    }
}

fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    hasher.finish()
}
