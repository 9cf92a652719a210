//! How the pages of a tab are connected: one [`Driver`] per run or list that is shown, and one hub that they share.
//!
//! The machine that decides (when to stream, to poll, to wait) is [`activity::PageConnection`](crate::feed::PageConnection); a
//! driver gives it time and events. What it calls a stream is a [`Line`] to the tab's hub. The hub holds the browser's one
//! connection if this tab leads, and hears from the leader if it does not
//! ([`activity::tabs`](crate::feed::tabs)).

mod driver;
mod hub;
mod line;
mod watch;

pub use driver::Driver;
pub use hub::Hub;
pub use line::{Line, Said, Topic};
pub use watch::{ListView, ListWatch};
