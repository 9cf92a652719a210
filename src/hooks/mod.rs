//! Hooks: a forge's delivery starts a run. `lookup` finds the hook and its secret, [`signature`] proves who sent a
//! delivery, [`delivery_headers`] reads its event and id, [`payload`] its body, [`condition`] decides whether it starts
//! a run, and `handle_delivery` starts it. `delivery_list` is the list of deliveries, and `weak_secrets` warns of
//! secrets that can be guessed.
//!
//! Only the signature is evidence, and it covers the body as it was received; the headers that name an event and a
//! delivery are not signed. Nothing here knows HTTP beyond the names and values of headers.

pub mod condition;
pub mod delivery_headers;
mod delivery_list;
mod handle_delivery;
mod header;
mod lookup;
pub mod payload;
pub mod secret;
pub mod signature;
mod weak_secrets;

pub use delivery_headers::{DeliveryHeaders, KeyBy};
pub use delivery_list::{list_deliveries, record_delivery};
pub use handle_delivery::{HookOutcome, duplicate_message, handle_delivery};
pub use lookup::{faults, find_hook};
pub use secret::{HookSecretError, Secret};
pub use signature::Signature;
pub use weak_secrets::warn_of_weak_secrets;
