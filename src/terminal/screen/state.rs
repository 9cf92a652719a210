//! What programs set: margins, modes, the saved cursor, and the main screen behind an alternate one.

use super::grid::{Grid, ROWS};
use crate::terminal::pen::Pen;

/// The first and last row of the scrolling region.
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

/// Modes that affect text and cursor movement.
#[derive(Clone, Copy, Debug, Default)]
pub struct Modes {
    /// Rows are relative to the top margin, and the cursor stays within the margins (DECOM).
    pub(super) has_origin: bool,
    /// Printed text moves the rest of the row to the right (IRM).
    pub(super) inserts: bool,
}

/// A saved cursor (DECSC).
#[derive(Clone, Debug, Default)]
pub struct SavedCursor {
    pub(super) y: usize,
    pub(super) column: usize,
    pub(super) pen: Pen,
    pub(super) has_origin: bool,
}

/// The main screen, while the alternate one is shown.
#[derive(Debug)]
pub struct MainScreen {
    pub(super) grid: Grid,
    pub(super) margins: Margins,
    pub(super) saved: Option<SavedCursor>,
}
