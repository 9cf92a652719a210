//! Deliveries of forges to hooks. Pure, except for [`secret`], which reads secrets; knows only the headers of HTTP.
//!
//! [`signature`] authenticates a request over its raw body. [`delivery`] reads the names of event and delivery from
//! headers, which are not signed. [`payload`] parses the body, and [`condition`] decides whether it starts a run.

pub mod condition;
pub mod delivery;
mod header;
pub mod payload;
pub mod secret;
pub mod signature;

pub use delivery::{DeliveryHeaders, KeyBy};
pub use header::Header;
pub use secret::{HookSecretError, Secret};
pub use signature::Signature;
