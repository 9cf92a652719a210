//! How the tabs of one browser share one stream: which tab leads, what each subscribes to, what they post to each
//! other.
//!
//! Browsers allow six HTTP/1.1 connections to a host. So the leader tab holds the only stream and relays it over a
//! channel. To a page, a relayed event is the same as one of its own stream: its cursor and journal decide what becomes
//! of the frames.

mod election;
mod leader_stream;
mod leader_tracker;
mod message;
mod relay_budget;
#[cfg(test)]
mod simulation_tests;
mod stream_signal;
mod subscriptions;

pub use election::{Election, ElectionAction, ElectionEvent, TabRole};
pub use leader_stream::{LeaderStream, StreamStep};
pub use leader_tracker::{Accept, LeaderTracker};
pub use message::{Envelope, TabMessage};
pub use relay_budget::RelayBudget;
pub use stream_signal::{StreamOutput, StreamSignal};
pub use subscriptions::{SubscriptionSet, TabSubscriptions};
