//! The pages: what the server renders and the browser brings to life.
//!
//! Rules that keep the two alike: nothing rendered depends on time, chance or language; what does is set after mounting,
//! in effects. The page's policy forbids styles in the markup, so lengths are set through the object model.

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
