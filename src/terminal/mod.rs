//! A terminal emulator that turns the output of a command into rows of the log.
//!
//! [`Lines`] takes bytes and emits [`Event`]s: new rows, redraws of emitted rows, and reports. A carriage return moves
//! the cursor, printing overwrites, erase sequences erase, the cursor moves over the last [`ROWS`] rows, regions
//! scroll, and colors and links carry over to the next row. The text of each row is self-contained: it sets its style
//! and resets it at the end. The emulator has no width and only breaks a line that would make a `log` frame too long
//! ([`MAX_LINE_BYTES`](crate::model::kinds::MAX_LINE_BYTES)). Where terminals differ, it behaves like xterm.
//!
//! Deliberate differences from a real terminal:
//!
//! - Control characters without effect (NUL, BEL, DEL …) and invisible characters stay in the text, so that a page can
//!   show them.
//! - An unterminated control string (OSC, DCS …) is dropped only up to its line end.
//! - Rows below a scrolling region are emitted when the region ends: programs keep a status bar there and erase it at
//!   the end.
//! - The alternate screen is only emitted if it is shown at the end. It is blank whenever it is entered, and has its
//!   own margins.
//! - Blank rows that scroll up (SU) without any text after them are not emitted.
//!
//! Pure: no clock, no I/O. The caller decides when to call [`Lines::flush`] and [`Lines::redraw`].

mod cells;
mod columns;
mod event;
mod lines;
mod parser;
mod pen;
mod row;
mod screen;
#[cfg(test)]
mod tests;

pub use event::Event;
pub use lines::{Lines, MAX_REPORT};
pub use screen::ROWS;
