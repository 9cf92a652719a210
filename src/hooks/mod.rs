//! What forges send: whether it is theirs, what it is called, and what it says. Pure, but for [`secret`], which looks where
//! the operator put a secret. Knows the words, and nothing of HTTP beyond names and values of headers.
//!
//! A request is believed only by [`signature`], over the body as it came; [`delivery`] names the event and the delivery, which
//! are headers that nobody has signed, and [`payload`] reads the body after that. [`condition`] says whether it starts a run.

pub mod condition;
pub mod delivery;
pub mod payload;
pub mod secret;
pub mod signature;

pub use delivery::{Delivery, KeyBy};
pub use secret::{BadSecret, Secret};
pub use signature::Signature;

/// The value of a header by its name in lower case, if the request has exactly one and it is text.
pub type Header<'a> = &'a dyn Fn(&str) -> Option<&'a str>;
