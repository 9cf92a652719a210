//! Erases, inserts, deletes and scrolls.

use super::state::Margins;
use super::{CursorColumn, Screen};
use crate::terminal::event::Event;

pub fn insert_rows(screen: &mut Screen, count: usize, events: &mut Vec<Event>) {
    let Margins { top, bottom } = screen.margins;
    if (top..=bottom).contains(&screen.y) {
        screen.grid.move_down(screen.y, bottom, count, events);
        screen.go(screen.y, 0);
    }
}

pub fn delete_rows(screen: &mut Screen, count: usize, events: &mut Vec<Event>) {
    let Margins { top, bottom } = screen.margins;
    if (top..=bottom).contains(&screen.y) {
        screen.grid.move_up(screen.y, bottom, count, events);
        screen.go(screen.y, 0);
    }
}

/// Rows leave at the top margin, and blank ones are added at the bottom margin. The cursor does not move.
pub fn scroll_up(screen: &mut Screen, count: usize, events: &mut Vec<Event>) {
    let column = screen.column();
    let Margins { top, bottom } = screen.margins;
    let count = count.min(bottom + 1 - top);
    if top == 0 {
        // Trailing blank rows would be useless in the log.
        screen.grid.scroll_up(bottom, count.min(screen.grid.height_until(bottom)), events);
    } else {
        screen.grid.move_up(top, bottom, count, events);
    }
    screen.go(screen.y, column);
}

/// Blank rows are added at the top margin, and rows at the bottom margin are lost. The cursor does not move.
pub fn scroll_down(screen: &mut Screen, count: usize, events: &mut Vec<Event>) {
    let column = screen.column();
    let Margins { top, bottom } = screen.margins;
    screen.grid.move_down(top, bottom, count, events);
    screen.go(screen.y, column);
}

pub fn erase_line(screen: &mut Screen, how: usize) {
    if screen.y >= screen.grid.slots.len() {
        return;
    }
    match how {
        0 if screen.column == CursorColumn::End => {}
        0 => screen.change_row(|row, column| row.erase(column, usize::MAX)),
        1 => screen.change_row(|row, column| row.erase(0, column + 1)),
        2 => screen.change_row(|row, _| row.erase(0, usize::MAX)),
        _ => {}
    }
}

pub fn erase_display(screen: &mut Screen, how: usize) {
    let end = screen.grid.slots.len();
    let rows = match how {
        0 => (screen.y + 1).min(end)..end,
        1 => 0..screen.y.min(end),
        2 => 0..end,
        _ => return,
    };
    let column = screen.column();
    for y in rows {
        if y != screen.y && !screen.grid.row_is_empty(y) {
            screen.grid.touch(y);
            screen.grid.slots[y].row.erase(0, usize::MAX);
        }
    }
    screen.go(screen.y, column);
    erase_line(screen, how);
}
