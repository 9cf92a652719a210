//! The base path of this server, or of the server that this page came from. Every address that leads to the server is made
//! here, so that it also leads there where a proxy serves it below a path of its host.

use std::sync::OnceLock;

use crate::model::BasePath;

static BASE: OnceLock<BasePath> = OnceLock::new();

/// Sets it. Once, when the server starts or the page comes to life.
pub fn set(base: BasePath) {
    // A second time nothing changes: what was made of the first is in use.
    let _ = BASE.set(base);
}

/// The base path.
pub fn current() -> &'static BasePath {
    BASE.get().unwrap_or(const { &BasePath::ROOT })
}

/// The address by which a browser reaches this path of the server, which begins with a slash.
pub fn path(of: &str) -> String {
    current().join(of)
}

/// See [`BasePath::name`].
pub fn name(of: &str) -> String {
    current().name(of)
}
