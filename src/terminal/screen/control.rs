//! Control and escape sequences: which does what.

use super::{Event, Margins, ROWS, Screen, Tabs};
use crate::terminal::row::MAX_COLUMNS;

/// The most times that a character is repeated. No terminal has rows as long.
const MAX_REPEAT: usize = 512;

impl Screen {
    /// Carries a control sequence out: its parameters and its last byte.
    pub fn control(&mut self, parameters: &str, last: u8, events: &mut Vec<Event>) {
        if (parameters, last) == ("!", b'p') {
            self.reset_softly();
            return;
        }
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
        if matches!(last, b'h' | b'l') {
            numbers.for_each(|mode| self.set_mode(is_private, mode, last == b'h'));
            return;
        }
        let (first, second) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let count = first.max(1);
        match last {
            b'J' => self.erase_display(first),
            b'K' => self.erase_line(first),
            b'W' if is_private && first == 5 => self.tabs = Tabs::default(),
            _ if is_private => {}
            b'A' => self.cursor_up(count),
            b'B' => self.cursor_down(count),
            b'C' | b'a' => self.cursor_right(count),
            b'D' => {
                let column = self.column();
                self.go(self.y, column.saturating_sub(count));
            }
            b'E' => {
                self.cursor_down(count);
                self.go(self.y, 0);
            }
            b'F' => {
                self.cursor_up(count);
                self.go(self.y, 0);
            }
            b'G' | b'`' => self.go(self.y, count - 1),
            b'H' | b'f' => self.go_to(count - 1, second.max(1) - 1),
            b'd' => {
                let column = self.column();
                self.go_to(count - 1, column);
            }
            b'e' => {
                let bottom = if self.modes.has_origin { self.margins.bottom } else { ROWS - 1 };
                let column = self.column();
                self.go((self.y + count).min(bottom), column);
            }
            b'I' => self.next_tabs(count),
            b'Z' => self.previous_tabs(count),
            b'g' => self.clear_tabs(first),
            b'X' => self.change_row(|row, column| row.erase(column, column + count)),
            b'@' => self.change_row(|row, column| row.insert(column, count)),
            b'P' => self.change_row(|row, column| row.delete(column, count)),
            b'L' => self.insert_rows(count, events),
            b'M' => self.delete_rows(count, events),
            b'S' => self.scroll_up(count, events),
            // With more numbers it is about the mouse.
            b'T' | b'^' if !parameters.contains(';') => self.scroll_down(count, events),
            b'b' => self.repeat(count, events),
            b'r' => self.set_margins(first, second),
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
            (b"", b'H') => {
                let column = self.column();
                self.tabs.set(column);
            }
            (b"", b'M') if self.y == self.margins.top => self.scroll_down(1, events),
            (b"", b'M') => self.cursor_up(1),
            (b"", b'c') => self.reset(),
            _ => {}
        }
    }

    /// Goes up, not over the top margin from below it.
    fn cursor_up(&mut self, count: usize) {
        let top = if self.y >= self.margins.top { self.margins.top } else { 0 };
        let column = self.column();
        self.go(self.y.saturating_sub(count).max(top), column);
    }

    /// Goes down, not over the bottom margin from above it.
    fn cursor_down(&mut self, count: usize) {
        let bottom = if self.y <= self.margins.bottom { self.margins.bottom } else { ROWS - 1 };
        let column = self.column();
        self.go((self.y + count).min(bottom), column);
    }

    fn cursor_right(&mut self, count: usize) {
        let column = self.column();
        self.go(self.y, column + count);
    }

    /// Goes to a row, counted from the top margin in origin mode, and a column.
    pub(super) fn go_to(&mut self, row: usize, column: usize) {
        let Margins { top, bottom } = self.margins;
        self.go(if self.modes.has_origin { (top + row).min(bottom) } else { row }, column);
    }

    fn next_tabs(&mut self, count: usize) {
        let mut column = self.column();
        for _ in 0..count.min(MAX_COLUMNS) {
            column = self.tabs.next(column);
        }
        self.go(self.y, column);
    }

    fn previous_tabs(&mut self, count: usize) {
        let mut column = self.column();
        for _ in 0..count.min(MAX_COLUMNS) {
            column = self.tabs.previous(column);
        }
        self.go(self.y, column);
    }

    fn clear_tabs(&mut self, which: usize) {
        match which {
            0 => {
                let column = self.column();
                self.tabs.clear(column);
            }
            3 => self.tabs.clear_all(),
            _ => {}
        }
    }

    /// Prints the last character again.
    fn repeat(&mut self, count: usize, events: &mut Vec<Event>) {
        if let Some(char) = self.last {
            self.print(&String::from(char).repeat(count.min(MAX_REPEAT)), events);
        }
    }
}
