//! What programs set and reset: margins, modes, the saved cursor, the alternate screen.

use std::mem::{replace, take};

use super::{Grid, ROWS, Screen, Tabs};
use crate::terminal::pen::Pen;

/// The first and the last row of the region that scrolls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Margins {
    pub(super) top: usize,
    pub(super) bottom: usize,
}

impl Default for Margins {
    /// The whole screen.
    fn default() -> Self {
        Self { top: 0, bottom: ROWS - 1 }
    }
}

/// Modes that change what text and moves do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Modes {
    /// Rows are counted from the top margin, and the cursor stays within the margins (DECOM).
    pub(super) has_origin: bool,
    /// What is printed moves the rest of the row to the right (IRM).
    pub(super) inserts: bool,
}

/// A cursor to come back to.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    pub(super) y: usize,
    column: usize,
    pen: Pen,
    has_origin: bool,
}

/// The main screen, while the alternate one is shown.
#[derive(Debug)]
pub struct Main {
    pub(super) grid: Grid,
    pub(super) margins: Margins,
    saved: Option<Saved>,
}

impl Screen {
    /// Sets a mode or resets it.
    pub(super) fn set_mode(&mut self, is_private: bool, mode: usize, is_set: bool) {
        match (is_private, mode) {
            (false, 4) => self.modes.inserts = is_set,
            (true, 6) => {
                self.modes.has_origin = is_set;
                self.go_to(0, 0);
            }
            (true, 47 | 1047) if is_set => self.enter_alternate(),
            (true, 47 | 1047) => self.leave_alternate(),
            (true, 1048) if is_set => self.save(),
            (true, 1048) => self.restore(),
            (true, 1049) if is_set && self.main.is_none() => {
                self.save();
                self.enter_alternate();
            }
            // A terminal restores the cursor even where nothing was entered, so a stray reset would move it to the top.
            (true, 1049) if !is_set && self.main.is_some() => {
                self.leave_alternate();
                self.restore();
            }
            _ => {}
        }
    }

    /// Shows a blank screen until [`Self::leave_alternate`], with margins of its own, so that a program that is killed leaves none
    /// behind. (xterm has the same margins for both, and after `?47` what the alternate screen showed last.)
    fn enter_alternate(&mut self) {
        if self.main.is_some() {
            return;
        }
        let column = self.column();
        self.settle();
        let grid = replace(&mut self.grid, Grid::alternate());
        let (margins, saved) = (take(&mut self.margins), take(&mut self.saved));
        self.main = Some(Box::new(Main { grid, margins, saved }));
        self.go(self.y, column);
    }

    /// Shows the main screen again, as it was. What the alternate one has shown is gone.
    fn leave_alternate(&mut self) {
        let Some(main) = self.main.take() else { return };
        let column = self.column();
        (self.grid, self.margins, self.saved) = (main.grid, main.margins, main.saved);
        self.go(self.y, column);
    }

    /// Sets the margins, which count from 1; 0 is the first or the last row. The cursor goes to the top.
    pub(super) fn set_margins(&mut self, top: usize, bottom: usize) {
        let top = top.max(1);
        let bottom = if bottom == 0 { ROWS } else { bottom.min(ROWS) };
        if top < bottom {
            self.margins = Margins { top: top - 1, bottom: bottom - 1 };
            self.go_to(0, 0);
        }
    }

    pub(super) fn save(&mut self) {
        let (column, has_origin) = (self.column(), self.modes.has_origin);
        self.saved = Some(Saved { y: self.y, column, pen: self.pen.clone(), has_origin });
    }

    pub(super) fn restore(&mut self) {
        let Saved { y, column, pen, has_origin } = self.saved.clone().unwrap_or_default();
        self.pen = pen;
        self.modes.has_origin = has_origin;
        let Margins { top, bottom } = self.margins;
        self.go(if has_origin { y.clamp(top, bottom) } else { y }, column);
    }

    /// Resets modes, margins and style (DECSTR). Rows and the cursor stay.
    pub(super) fn reset_softly(&mut self) {
        self.modes = Modes::default();
        self.margins = Margins::default();
        self.saved = None;
        self.pen = Pen::default();
    }

    /// Resets all, and erases the screen (RIS).
    pub(super) fn reset(&mut self) {
        self.leave_alternate();
        self.reset_softly();
        self.tabs = Tabs::default();
        self.last = None;
        self.erase_display(2);
        self.go(0, 0);
    }
}
