//! Executes control and escape sequences.

use super::Screen;
use super::edit::{delete_rows, erase_display, erase_line, insert_rows, scroll_down, scroll_up};
use super::grid::ROWS;
use super::modes::{reset, reset_softly, restore, save, set_margins, set_mode};
use super::print::print;
use super::tabs::Tabs;
use crate::terminal::columns::MAX_COLUMNS;
use crate::terminal::event::Event;

/// The most repetitions of a character. No terminal has longer rows.
const MAX_REPEAT: usize = 512;

/// Executes a control sequence.
pub fn control(screen: &mut Screen, parameters: &str, last: u8, events: &mut Vec<Event>) {
    if (parameters, last) == ("!", b'p') {
        reset_softly(screen);
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
            screen.pen.set(parameters);
        }
        return;
    }
    let numbers =
        parameters.split(';').map(|text| text.parse::<usize>().unwrap_or(if text.is_empty() { 0 } else { 9999 }));
    let mut numbers = numbers.map(|number| number.min(9999));
    if matches!(last, b'h' | b'l') {
        numbers.for_each(|mode| set_mode(screen, is_private, mode, last == b'h'));
        return;
    }
    let (first, second) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let count = first.max(1);
    match last {
        b'J' => erase_display(screen, first),
        b'K' => erase_line(screen, first),
        b'W' if is_private && first == 5 => screen.tabs = Tabs::default(),
        _ if is_private => {}
        b'A' => cursor_up(screen, count),
        b'B' => cursor_down(screen, count),
        b'C' | b'a' => cursor_right(screen, count),
        b'D' => {
            let column = screen.column();
            screen.go(screen.y, column.saturating_sub(count));
        }
        b'E' => {
            cursor_down(screen, count);
            screen.go(screen.y, 0);
        }
        b'F' => {
            cursor_up(screen, count);
            screen.go(screen.y, 0);
        }
        b'G' | b'`' => screen.go(screen.y, count - 1),
        b'H' | b'f' => screen.go_to(count - 1, second.max(1) - 1),
        b'd' => {
            let column = screen.column();
            screen.go_to(count - 1, column);
        }
        b'e' => {
            let bottom = if screen.modes.has_origin { screen.margins.bottom } else { ROWS - 1 };
            let column = screen.column();
            screen.go((screen.y + count).min(bottom), column);
        }
        b'I' => next_tabs(screen, count),
        b'Z' => previous_tabs(screen, count),
        b'g' => clear_tabs(screen, first),
        b'X' => screen.change_row(|row, column| row.erase(column, column + count)),
        b'@' => screen.change_row(|row, column| row.insert(column, count)),
        b'P' => screen.change_row(|row, column| row.delete(column, count)),
        b'L' => insert_rows(screen, count, events),
        b'M' => delete_rows(screen, count, events),
        b'S' => scroll_up(screen, count, events),
        // With more parameters it is about the mouse.
        b'T' | b'^' if !parameters.contains(';') => scroll_down(screen, count, events),
        b'b' => repeat(screen, count, events),
        b'r' => set_margins(screen, first, second),
        b's' => save(screen),
        b'u' => restore(screen),
        _ => {}
    }
}

/// Executes an escape sequence. `between` are its intermediate bytes.
pub fn escape(screen: &mut Screen, between: &[u8], last: u8, events: &mut Vec<Event>) {
    match (between, last) {
        (b"", b'7') => save(screen),
        (b"", b'8') => restore(screen),
        (b"", b'D') => {
            let column = screen.column();
            screen.line_feed(events);
            screen.go(screen.y, column);
        }
        (b"", b'E') => screen.line_feed(events),
        (b"", b'H') => {
            let column = screen.column();
            screen.tabs.set(column);
        }
        (b"", b'M') if screen.y == screen.margins.top => scroll_down(screen, 1, events),
        (b"", b'M') => cursor_up(screen, 1),
        (b"", b'c') => reset(screen),
        _ => {}
    }
}

/// Moves up, but not from below the top margin past it.
fn cursor_up(screen: &mut Screen, count: usize) {
    let top = if screen.y >= screen.margins.top { screen.margins.top } else { 0 };
    let column = screen.column();
    screen.go(screen.y.saturating_sub(count).max(top), column);
}

/// Moves down, but not from above the bottom margin past it.
fn cursor_down(screen: &mut Screen, count: usize) {
    let bottom = if screen.y <= screen.margins.bottom { screen.margins.bottom } else { ROWS - 1 };
    let column = screen.column();
    screen.go((screen.y + count).min(bottom), column);
}

fn cursor_right(screen: &mut Screen, count: usize) {
    let column = screen.column();
    screen.go(screen.y, column + count);
}

fn next_tabs(screen: &mut Screen, count: usize) {
    let mut column = screen.column();
    for _ in 0..count.min(MAX_COLUMNS) {
        column = screen.tabs.next(column);
    }
    screen.go(screen.y, column);
}

fn previous_tabs(screen: &mut Screen, count: usize) {
    let mut column = screen.column();
    for _ in 0..count.min(MAX_COLUMNS) {
        column = screen.tabs.previous(column);
    }
    screen.go(screen.y, column);
}

fn clear_tabs(screen: &mut Screen, which: usize) {
    match which {
        0 => {
            let column = screen.column();
            screen.tabs.clear(column);
        }
        3 => screen.tabs.clear_all(),
        _ => {}
    }
}

/// Prints the last character again.
fn repeat(screen: &mut Screen, count: usize, events: &mut Vec<Event>) {
    if let Some(char) = screen.last {
        print(screen, &String::from(char).repeat(count.min(MAX_REPEAT)), events);
    }
}
