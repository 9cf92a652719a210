//! Runtrail: a dashboard for long, multi-phase runs. The journal is the only source: see ARCHITECTURE.md.
//!
//! This library is what server and browser share, and the browser's entry point. Its rooms, in the order a click passes
//! them: [`ui`], [`calls`], then on the server `runs`, `engine`, `journal`, `store`; [`model`] is the words of all.

// The type of a whole page is deep: every element is in it.
#![recursion_limit = "512"]

#[cfg(feature = "ssr")]
pub mod access;
pub mod base;
pub mod browser;
pub mod calls;
#[cfg(feature = "ssr")]
pub mod cli;
#[cfg(feature = "ssr")]
pub mod codemod;
#[cfg(feature = "ssr")]
pub mod confined_fs;
#[cfg(feature = "ssr")]
pub mod engine;
pub mod feed;
#[cfg(feature = "ssr")]
mod file_lock;
#[cfg(feature = "ssr")]
pub mod hooks;
#[cfg(feature = "ssr")]
pub mod http;
#[cfg(feature = "ssr")]
pub mod journal;
pub mod model;
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
pub mod store;
#[cfg(feature = "ssr")]
pub mod terminal;
pub mod ui;
#[cfg(feature = "ssr")]
pub mod workspaces;

/// The browser's entry point: brings the page that the server rendered to life.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    let base = browser::root_data("data-base").and_then(|base| model::BasePath::parse(&base).ok()).unwrap_or_default();
    base::set(base);
    let base = base::current().as_str();
    // Nobody has set it before: this is the first thing that runs.
    let _ = leptos::server_fn::client::try_set_server_url(base);
    leptos::mount::hydrate_body(move || leptos::view! { <ui::App base=base/> });
}
