//! Runtrail: a dashboard for long, multi-phase runs. See ARCHITECTURE.md.
//!
//! The library has two entry points: [`cli::run`] for the program, and [`hydrate`] for the browser. Modules are public
//! only where integration tests, benchmarks or fuzz targets use them, so that rustc reports dead code in the others.

// The type of a whole page contains the types of all its elements.
#![recursion_limit = "512"]

// Used by server and browser. `browser` and `feed` are public because the server, the browser and the tests each use a
// different part of them.
mod base;
pub mod browser;
mod calls;
pub mod feed;
pub mod model;
mod ui;

// The server.
#[cfg(feature = "ssr")]
mod access;
#[cfg(feature = "ssr")]
pub mod approvals;
#[cfg(feature = "ssr")]
pub mod cli;
#[cfg(feature = "ssr")]
mod codemod;
#[cfg(feature = "ssr")]
mod config;
#[cfg(feature = "ssr")]
mod confined_fs;
#[cfg(feature = "ssr")]
pub mod engine;
#[cfg(feature = "ssr")]
mod file_lock;
#[cfg(feature = "ssr")]
mod forms;
#[cfg(feature = "ssr")]
mod hooks;
#[cfg(feature = "ssr")]
mod http;
#[cfg(feature = "ssr")]
pub mod instances;
#[cfg(feature = "ssr")]
pub mod journal;
#[cfg(feature = "ssr")]
mod notifications;
#[cfg(feature = "ssr")]
mod patch;
#[cfg(feature = "ssr")]
pub mod pipelines;
#[cfg(feature = "ssr")]
mod retention;
#[cfg(feature = "ssr")]
pub mod runs;
#[cfg(feature = "ssr")]
mod schedules;
#[cfg(feature = "ssr")]
mod secrets;
#[cfg(feature = "ssr")]
mod startup;
#[cfg(feature = "ssr")]
pub mod store;
#[cfg(feature = "ssr")]
pub mod terminal;
#[cfg(feature = "ssr")]
pub mod workspaces;

/// What integration tests use besides the public modules.
#[cfg(feature = "ssr")]
pub mod testing {
    pub use crate::access::Actor;
    pub use crate::http::route_paths;
}

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
