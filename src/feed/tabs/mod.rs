//! How the tabs of one browser share one connection: who leads, what each wants, what they tell each other.
//!
//! Browsers give a host six connections over HTTP/1.1, whatever they are used for. So one tab holds the only stream, and
//! the others hear of it. What a tab hears that way is treated like any other delivery: it says that there is more, and
//! the tab's own cursor and reducer decide what becomes of it.

mod election;
mod following;
mod message;
mod upstream;
mod wants;

pub use election::{Act, Election, Happening, Role};
pub use following::{Following, Word};
pub use message::{Message, Open, Told};
pub use upstream::{GATHER, Health, Plan, Upstream};
pub use wants::{Want, Wants};
