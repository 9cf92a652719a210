//! What the journal locks, waits on and tells the time by.
//!
//! In the library's own tests these are stand-ins that a checker may interrupt at every step, so that the real journal
//! runs under every order of steps: see `interleavings`.

#[cfg(test)]
mod stepped;

#[cfg(not(test))]
pub use std::sync::{Mutex, MutexGuard};
#[cfg(not(test))]
pub use tokio::{sync::watch, time};

#[cfg(test)]
pub use {
    shuttle::sync::{Mutex, MutexGuard},
    stepped::{time, watch},
};
