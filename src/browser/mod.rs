//! The only code that uses web APIs. In the browser each handle owns what it opened: dropping a `Stream` closes it,
//! dropping a `Timer` stops it. On the server the same names do nothing, so that pages compile for both; only effects
//! use them, which do not run there.

#[cfg(not(feature = "hydrate"))]
mod server;
#[cfg(feature = "hydrate")]
mod web;

pub use crate::feed::PageEvent;

#[cfg(not(feature = "hydrate"))]
pub use server::*;
#[cfg(feature = "hydrate")]
pub use web::*;

/// Whether the browser shows notifications of this page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    Granted,
    /// The reader or the browser has refused.
    Denied,
    /// The reader was not asked yet.
    NotAsked,
    /// The browser has no notifications, or none for pages that came over plain HTTP from another machine.
    Absent,
}
