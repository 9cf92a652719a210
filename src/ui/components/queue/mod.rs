//! The queue position of a pending run.

mod live;
mod position;

pub use live::LiveQueue;
pub use position::{MissingWorker, PendingQueuePosition, QueuePosition};
