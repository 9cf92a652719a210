//! Sets and resets modes, margins, the saved cursor and the alternate screen.

use std::mem::{replace, take};

use super::Screen;
use super::edit::erase_display;
use super::grid::{Grid, ROWS};
use super::state::{MainScreen, Margins, Modes, SavedCursor};
use super::tabs::Tabs;
use crate::terminal::pen::Pen;

pub fn set_mode(screen: &mut Screen, is_private: bool, mode: usize, is_set: bool) {
    match (is_private, mode) {
        (false, 4) => screen.modes.inserts = is_set,
        (true, 6) => {
            screen.modes.has_origin = is_set;
            screen.go_to(0, 0);
        }
        (true, 47 | 1047) if is_set => enter_alternate(screen),
        (true, 47 | 1047) => leave_alternate(screen),
        (true, 1048) if is_set => save(screen),
        (true, 1048) => restore(screen),
        (true, 1049) if is_set && screen.main.is_none() => {
            save(screen);
            enter_alternate(screen);
        }
        // Unlike a terminal, this does nothing if the alternate screen is not shown: a stray reset would move the
        // cursor to the top.
        (true, 1049) if !is_set && screen.main.is_some() => {
            leave_alternate(screen);
            restore(screen);
        }
        _ => {}
    }
}

/// Shows a blank screen until [`leave_alternate`]. It has its own margins, so that a killed program leaves none behind.
/// (In xterm both screens share their margins, and after `?47` the alternate screen shows its last content.)
fn enter_alternate(screen: &mut Screen) {
    if screen.main.is_some() {
        return;
    }
    let column = screen.column();
    screen.settle();
    let grid = replace(&mut screen.grid, Grid::alternate());
    let (margins, saved) = (take(&mut screen.margins), take(&mut screen.saved));
    screen.main = Some(Box::new(MainScreen { grid, margins, saved }));
    screen.go(screen.y, column);
}

/// Shows the main screen again. The content of the alternate one is lost.
fn leave_alternate(screen: &mut Screen) {
    let Some(main) = screen.main.take() else { return };
    let column = screen.column();
    (screen.grid, screen.margins, screen.saved) = (main.grid, main.margins, main.saved);
    screen.go(screen.y, column);
}

/// Sets the margins, counted from 1; 0 means the first or last row. The cursor moves to the top.
pub fn set_margins(screen: &mut Screen, top: usize, bottom: usize) {
    let top = top.max(1);
    let bottom = if bottom == 0 { ROWS } else { bottom.min(ROWS) };
    if top < bottom {
        screen.margins = Margins { top: top - 1, bottom: bottom - 1 };
        screen.go_to(0, 0);
    }
}

pub fn save(screen: &mut Screen) {
    let (column, has_origin) = (screen.column(), screen.modes.has_origin);
    screen.saved = Some(SavedCursor { y: screen.y, column, pen: screen.pen.clone(), has_origin });
}

pub fn restore(screen: &mut Screen) {
    let SavedCursor { y, column, pen, has_origin } = screen.saved.clone().unwrap_or_default();
    screen.pen = pen;
    screen.modes.has_origin = has_origin;
    let Margins { top, bottom } = screen.margins;
    screen.go(if has_origin { y.clamp(top, bottom) } else { y }, column);
}

/// Resets modes, margins and style (DECSTR). Rows and cursor do not change.
pub fn reset_softly(screen: &mut Screen) {
    screen.modes = Modes::default();
    screen.margins = Margins::default();
    screen.saved = None;
    screen.pen = Pen::default();
}

/// Resets everything and erases the screen (RIS).
pub fn reset(screen: &mut Screen) {
    leave_alternate(screen);
    reset_softly(screen);
    screen.tabs = Tabs::default();
    screen.last = None;
    erase_display(screen, 2);
    screen.go(0, 0);
}
