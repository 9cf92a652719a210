//! Runtrail: a dashboard for long, multi-phase runs. See ARCHITECTURE.md.
//!
//! The library has two entry points: [`cli::run`] for the program, and [`hydrate`] for the browser.

// The type of a whole page contains the types of all its elements.
#![recursion_limit = "512"]

// Used by server and browser.
pub mod base;
pub mod browser;
pub mod calls;
pub mod feed;
pub mod model;
pub mod ui;

// The server.
#[cfg(feature = "ssr")]
pub mod access;
#[cfg(feature = "ssr")]
pub mod cli;
#[cfg(feature = "ssr")]
pub mod codemod;
#[cfg(feature = "ssr")]
mod config;
#[cfg(feature = "ssr")]
pub mod confined_fs;
#[cfg(feature = "ssr")]
pub mod engine;
#[cfg(feature = "ssr")]
mod file_lock;
#[cfg(feature = "ssr")]
pub mod hooks;
#[cfg(feature = "ssr")]
pub mod http;
#[cfg(feature = "ssr")]
pub mod journal;
#[cfg(feature = "ssr")]
pub mod notifications;
#[cfg(feature = "ssr")]
pub mod patch;
#[cfg(feature = "ssr")]
pub mod pipelines;
#[cfg(feature = "ssr")]
pub mod retention;
#[cfg(feature = "ssr")]
pub mod runs;
#[cfg(feature = "ssr")]
pub mod schedules;
#[cfg(feature = "ssr")]
pub mod secrets;
#[cfg(feature = "ssr")]
mod startup;
#[cfg(feature = "ssr")]
pub mod store;
#[cfg(feature = "ssr")]
pub mod terminal;

/// The browser's entry point: hydrates the page that the server rendered.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    let base = browser::root_data("data-base").and_then(|base| model::BasePath::parse(&base).ok()).unwrap_or_default();
    base::set(base);
    let base = base::current().as_str();
    // Fails only if the URL was set before.
    let _ = leptos::server_fn::client::try_set_server_url(base);
    leptos::mount::hydrate_body(move || leptos::view! { <ui::App base=base/> });
}
