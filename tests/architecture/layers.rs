//! What each top-level folder of `src` may import. A folder that is not named here has no place in the picture of
//! ARCHITECTURE.md.

/// Each folder with the folders that it may import.
pub const LAYERS: &[(&str, &[&str])] = &[];

/// Libraries that only some folders may name.
pub const LIBRARIES: &[(&str, &[&str])] = &[
    ("sqlx", &["store"]),
    ("rusqlite", &["store"]),
    ("axum", &["http"]),
    ("leptos_axum", &["http"]),
    ("hyper", &["http"]),
    ("web_sys", &["browser"]),
];

pub fn may_import(folder: &str) -> Option<&'static [&'static str]> {
    LAYERS.iter().find(|(name, _)| *name == folder).map(|(_, allowed)| *allowed)
}
