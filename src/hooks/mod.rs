//! Hooks: a forge's delivery starts a run. `lookup` finds the hook and its secret, [`signature`] proves who sent a
//! delivery, [`delivery`] reads its headers, [`payload`] its body, [`condition`] decides whether it starts a run, and
//! `deliver` starts it. `task` warns of weak secrets.
//!
//! Only the signature is evidence, and it covers the body as it was received; the headers that name an event and a
//! delivery are not signed. Nothing here knows HTTP beyond the names and values of headers.

pub mod condition;
mod deliver;
mod deliveries;
pub mod delivery;
mod header;
mod lookup;
pub mod payload;
pub mod secret;
pub mod signature;
mod task;

pub use deliver::{HookOutcome, deliver, duplicate_message};
pub use deliveries::{list_deliveries, record_delivery};
pub use delivery::{DeliveryHeaders, KeyBy};
pub use lookup::{faults, find_hook};
pub use secret::{HookSecretError, Secret};
pub use signature::Signature;
pub use task::warn_of_weak_secrets;
