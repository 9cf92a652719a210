//! The place of a run that waits for a worker.

mod live;
mod place;

pub use live::LiveQueue;
pub use place::{PendingPlace, QueuePlace};
