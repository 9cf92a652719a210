//! How the pages of a tab are connected (browser only). Each run or list on a page has a [`ConnectionDriver`] and a
//! [`Subscription`]; the tab's [`Hub`] opens the browser's one stream if this tab leads, and listens to the leader if
//! it does not.
//!
//! What to do is decided by the pure state machines of [`feed`](crate::feed); this folder gives them time, events and
//! web APIs.

mod connection_driver;
mod desktop_alerts;
mod election_driver;
mod hub;
mod intervals;
mod leader;
mod list_watch;
mod presence;
mod subscription;
mod subscriptions;
mod tab_channel;

pub use connection_driver::ConnectionDriver;
pub use hub::Hub;
pub use list_watch::{ListView, ListWatch};
pub use subscription::Subscription;
