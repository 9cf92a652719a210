//! The base path below which the server is mounted, on the server and in the browser. Every URL of the server is made
//! here, so that it also works behind a proxy that serves it below a path of its host.

use std::sync::OnceLock;

use crate::model::BasePath;

static BASE: OnceLock<BasePath> = OnceLock::new();

/// Sets the base path. Called once, when the server starts or the page is hydrated; later calls have no effect.
pub fn set(base: BasePath) {
    let _ = BASE.set(base);
}

pub fn current() -> &'static BasePath {
    BASE.get().unwrap_or(const { &BasePath::ROOT })
}

/// Adds the base path to `path`, which begins with a slash.
pub fn path(path: &str) -> String {
    current().join(path)
}

/// See [`BasePath::name`].
pub fn name(name: &str) -> String {
    current().name(name)
}
