//! The place of a run that waits for a worker.

#[cfg(feature = "hydrate")]
mod engine;
mod live;
mod place;

pub use live::LiveQueue;
pub use place::{PendingPlace, QueuePlace};
