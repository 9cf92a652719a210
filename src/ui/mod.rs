//! The web UI: pages that the server renders and the browser hydrates.
//!
//! Hydration needs the same output on both sides, so nothing rendered depends on time, randomness or locale; such
//! values are set in effects after mounting. The Content-Security-Policy forbids inline styles, so lengths are set
//! through the DOM.

mod alerts;
mod app;
mod clock;
mod components;
#[cfg(feature = "hydrate")]
mod connect;
mod current_user;
mod follow;
mod format;
mod pages;
mod refresh;
mod scoped_handle;
#[cfg(feature = "ssr")]
mod shell;
mod triggers;

pub use app::App;
#[cfg(feature = "ssr")]
pub use shell::{PageSettings, shell};
