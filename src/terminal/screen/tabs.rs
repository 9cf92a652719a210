//! Tab stops.

use std::collections::BTreeSet;

use crate::terminal::columns::{MAX_COLUMNS, TAB, next_stop};

/// The tab stops: every eighth column until a program sets or clears one.
#[derive(Debug, Default)]
pub struct Tabs(Option<BTreeSet<usize>>);

impl Tabs {
    /// Whether they are at every eighth column, like those of a tab in text.
    pub const fn are_default(&self) -> bool {
        self.0.is_none()
    }

    /// Sets a stop at this column.
    pub fn set(&mut self, column: usize) {
        self.changed().insert(column.min(MAX_COLUMNS));
    }

    /// Clears the stop at this column, if there is one.
    pub fn clear(&mut self, column: usize) {
        self.changed().remove(&column);
    }

    /// Clears all stops.
    pub fn clear_all(&mut self) {
        self.changed().clear();
    }

    /// The next stop after this column. After the last one a terminal moves to its right margin; rows have none, so it
    /// is the next eighth column, so that a tab always separates words.
    pub fn next(&self, column: usize) -> usize {
        let set = self.0.as_ref().and_then(|stops| stops.range(column + 1..).next().copied());
        set.unwrap_or_else(|| next_stop(column))
    }

    /// The stop before this column, or the first column.
    pub fn previous(&self, column: usize) -> usize {
        match &self.0 {
            Some(stops) => stops.range(..column).next_back().copied().unwrap_or(0),
            None => column.saturating_sub(1) / TAB * TAB,
        }
    }

    fn changed(&mut self) -> &mut BTreeSet<usize> {
        self.0.get_or_insert_with(|| (TAB..=MAX_COLUMNS).step_by(TAB).collect())
    }
}
