//! Writes text and tabs at the cursor.

use super::grid::RowSlot;
use super::{CursorColumn, Screen};
use crate::terminal::columns::{MAX_COLUMNS, width};
use crate::terminal::event::Event;

/// Writes a whole line without control characters. Requires [`Screen::is_fresh`].
pub fn plain_line(screen: &mut Screen, line: &str, events: &mut Vec<Event>) {
    screen.grid.emit_growth(events);
    let mut row = screen.grid.take_spare();
    row.set_plain(line);
    let first = screen.grid.next;
    screen.grid.next += 1;
    screen.grid.slots.push_back(RowSlot { row, first, pieces: 1, emitted: line.len(), ..RowSlot::default() });
    screen.grid.emitted += 1;
    events.push(Event::Row { text: line.to_owned(), cont: false });
    screen.end_row(events);
}

/// Writes text whose only control characters with an effect are tabs.
pub fn print(screen: &mut Screen, text: &str, events: &mut Vec<Event>) {
    if screen.tabs.are_default() {
        write(screen, text, events);
    } else {
        for (place, piece) in text.split('\t').enumerate() {
            if place > 0 {
                tab(screen);
            }
            write(screen, piece, events);
        }
    }
    if let Some(last) = text.chars().rev().find(|&char| width(char) > 0) {
        screen.last = Some(last);
    }
}

fn write(screen: &mut Screen, mut text: &str, events: &mut Vec<Event>) {
    while !text.is_empty() {
        screen.grid.make_row(screen.y);
        let taken = match screen.column {
            CursorColumn::End => append(screen, text),
            CursorColumn::At(column) => overwrite(screen, column, text),
        };
        text = &text[taken..];
        if !text.is_empty() {
            screen.line_feed(events);
            screen.grid.make_row(screen.y);
            if !screen.grid.slots[screen.y].row.cont {
                screen.grid.touch(screen.y);
                screen.grid.slots[screen.y].row.cont = true;
            }
        }
    }
}

fn append(screen: &mut Screen, text: &str) -> usize {
    let is_last = screen.y + 1 == screen.grid.emitted;
    if screen.y < screen.grid.emitted && (!is_last || screen.grid.slots[screen.y].is_redrawn) {
        screen.grid.touch(screen.y);
    }
    screen.grid.slots[screen.y].row.append(text, &screen.pen)
}

fn overwrite(screen: &mut Screen, mut column: usize, text: &str) -> usize {
    screen.grid.touch(screen.y);
    let Screen { grid, pen, modes, .. } = screen;
    let row = &mut grid.slots[screen.y].row;
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
    screen.column = CursorColumn::At(column);
    taken
}

/// Moves to the next tab stop.
pub fn tab(screen: &mut Screen) {
    if !screen.tabs.are_default() {
        let column = screen.column();
        screen.go(screen.y, screen.tabs.next(column));
        return;
    }
    if screen.column == CursorColumn::End {
        screen.grid.make_row(screen.y);
        if append(screen, "\t") > 0 {
            return;
        }
    }
    let column = screen.column();
    screen.grid.make_row(screen.y);
    if screen.grid.slots[screen.y].row.columns() == column {
        screen.grid.touch(screen.y);
        let column = screen.grid.slots[screen.y].row.tab(column, &screen.pen);
        screen.column = CursorColumn::At(column);
    } else {
        screen.go(screen.y, screen.tabs.next(column));
    }
}
