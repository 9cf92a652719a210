//! Notifications: HTTP requests that tell receivers of a run that ended or waits for a person.
//!
//! The transaction that changes the run puts them into the outbox (`store/commands/enqueue_notifications.rs`), so none
//! is lost. `task` reads the outbox; `send` claims one delivery in the database, sends it and journals the outcome, so
//! one server sends it, and after a crash the next one does. Delivery is at least once: a receiver recognizes a
//! repeated one by its `webhook-id`. `request` builds the request, `signature` signs it, [`egress`] restricts where it
//! may go.
//! Starts no runs.

mod counts;
pub mod egress;
mod request;
mod send;
mod signature;
mod task;

pub use counts::NotificationCounts;
pub use egress::Egress;
pub use task::NotificationTask;
