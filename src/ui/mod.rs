//! The pages: rendered by the server, hydrated by the browser.
//!
//! Both must render the same, so nothing rendered depends on time, randomness or locale: effects set that after
//! hydration. The page's policy forbids inline styles, so lengths are set through the object model.

mod account;
mod alerts;
mod app;
mod clock;
mod components;
#[cfg(feature = "hydrate")]
mod connect;
mod follow;
mod format;
mod pages;
#[cfg(feature = "ssr")]
mod shell;
mod slot;
mod triggers;

pub use app::App;
#[cfg(feature = "ssr")]
pub use shell::{PageSettings, shell};
