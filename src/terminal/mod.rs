//! What a command prints, as the lines a terminal would show.
//!
//! [`Lines`] takes bytes and gives [`Event`]s: new rows, redraws of rows that were given before, and reports. It is a small
//! terminal: a carriage return moves the cursor, printing overwrites, erase sequences erase, the cursor moves up and down over
//! the last [`ROWS`] rows, regions scroll, and colors and links carry over from one row to the next. Each row is given as text that
//! stands for itself: it begins with the style in force and ends without one. A terminal has a width; this one has none, and breaks a
//! line only where a `log` frame would grow too long ([`MAX_LINE_BYTES`](crate::model::kinds::MAX_LINE_BYTES)). Where terminals differ, it does
//! what xterm does.
//!
//! What differs from a real terminal, on purpose:
//!
//! - Control characters without an effect (NUL, BEL, DEL …) and invisible characters stay in the text, so that a page can make them visible.
//! - A string for the terminal (OSC, DCS …) that does not end is dropped only up to its line end.
//! - Rows below a region that scrolls are given when the region ends: programs keep a bar there and erase it in the end.
//! - The alternate screen is given only if it is still shown at the end. It is blank each time it is entered, and has margins of its own.
//! - Blank rows that scroll up (SU) with nothing after them are not given.
//!
//! Pure: no clock, no I/O. The caller says when time has passed: [`Lines::flush`], [`Lines::redraw`].

mod lines;
mod parser;
mod pen;
mod row;
mod screen;
#[cfg(test)]
mod tests;

pub use lines::{Lines, MAX_REPORT};
pub use screen::{Event, ROWS};
