//! What a page knows of a run and how it learns it: the frames it holds, the state they add up to, and the connection
//! that brings them.
//!
//! Every source (stream, channel between tabs, poll) produces [`FeedEvent`]s; [`PageConnection`] and [`PageJournal`]
//! consume them. Everything here is pure: it knows [`model`](crate::model) and neither clock, randomness nor browser.

pub mod alerts;
pub mod ansi;
mod connection;
mod connection_state;
mod event;
mod journal;
pub mod links;
mod polls;
pub mod rows;
mod state;
mod subscription;
pub mod tabs;
mod watchdog;

pub use connection::{Action, ConnectionEvent, PageConnection};
pub use connection_state::{ConnectionState, FeedIntervals};
pub use event::{FeedBatch, FeedEvent, PageEvent, PollError, Topic};
pub use journal::{Applied, JournalStats, MisplacedRows, PageJournal};
pub use state::RunState;
pub use subscription::SubscriptionPhase;
