//! The locks, channels and clock of the journal.
//!
//! In the library's own tests they are replaced by versions that a model checker can interrupt at every step, so that
//! it runs the real journal under every order of steps (see `interleavings`).

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
