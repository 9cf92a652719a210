//! What the page knows of a run: the frames it holds, the state they tell, and how it stays in touch.
//!
//! Pure: knows [`model`](crate::model) and nothing else, no clock, no randomness, no browser. Time and chance are given to it.

pub mod alerts;
pub mod ansi;
pub mod backoff;
pub mod connection;
pub mod journal;
pub mod links;
pub mod rows;
pub mod state;
pub mod tabs;
pub mod visible;

pub use connection::{Action, ConnectionState, Event, FeedIntervals, PageConnection};
pub use journal::{Applied, JournalStats, MisplacedRows, PageJournal};
pub use state::RunState;
