//! Runtrail: a dashboard for long, multi-phase runs. The journal is the only source: see ARCHITECTURE.md.
//!
//! This library is what server and browser share, and the browser's entry point. Its rooms, in the order a click passes
//! them: [`ui`], [`calls`], then on the server `service`, `engine`, `journal`, `store`; [`model`] is the words of all.

// The type of a whole page is deep: every element is in it.
#![recursion_limit = "512"]

pub mod activity;
pub mod browser;
pub mod calls;
#[cfg(feature = "ssr")]
pub mod codemod;
#[cfg(feature = "ssr")]
pub mod cron;
#[cfg(feature = "ssr")]
pub mod diffview;
#[cfg(feature = "ssr")]
pub mod engine;
#[cfg(feature = "ssr")]
mod file_lock;
#[cfg(feature = "ssr")]
pub mod hooks;
#[cfg(feature = "ssr")]
pub mod journal;
pub mod model;
#[cfg(feature = "ssr")]
pub mod notify;
#[cfg(feature = "ssr")]
pub mod pipelines;
#[cfg(feature = "ssr")]
pub mod retention;
#[cfg(feature = "ssr")]
pub mod server;
#[cfg(feature = "ssr")]
pub mod service;
#[cfg(feature = "ssr")]
pub mod store;
pub mod trigger_calls;
pub mod ui;

/// The browser's entry point: brings the page that the server rendered to life.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_body(ui::App);
}
