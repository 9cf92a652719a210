//! What the terminal reports to the journal.

/// A change to journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A new row, or a new piece of the last one. Rows and pieces are numbered together, from 0.
    Row {
        /// Self-contained text.
        text: String,
        /// Whether it continues the previous one.
        cont: bool,
    },
    /// The new state of a row.
    Redraw {
        row: u64,
        text: String,
        /// Whether it continues the previous one.
        cont: bool,
    },
    /// A line that is a report, without its line end.
    Report(String),
}

impl Event {
    /// The number of bytes of its text.
    pub const fn size(&self) -> usize {
        match self {
            Self::Row { text, .. } | Self::Redraw { text, .. } | Self::Report(text) => text.len(),
        }
    }
}
