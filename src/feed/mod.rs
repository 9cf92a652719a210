//! What the page knows of a run: the frames it holds, the state they tell, and how it stays in touch.
//!
//! Pure: knows [`model`](crate::model) and nothing else, no clock, no randomness, no browser. Time and chance are given to it.

pub mod ansi;
pub mod backoff;
pub mod connection;
pub mod journal;
pub mod links;
pub mod news;
pub mod rows;
pub mod state;
pub mod tabs;
pub mod visible;

pub use connection::{Action, Connection, Event, Link, Settings};
pub use journal::{Applied, Journal, Numbers, OutOfPlace};
pub use state::RunState;
