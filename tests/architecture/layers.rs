//! What each top-level folder of `src` may import. A folder that is not named here has no place in the picture of
//! ARCHITECTURE.md.

/// Each folder, from the top down, with the folders that it may import.
pub const LAYERS: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("lib", &["access", "base", "browser", "http", "model", "ui"]),
    ("cli", &["access", "codemod", "config", "engine", "model", "startup", "store"]),
    (
        "startup",
        &[
            "access",
            "base",
            "codemod",
            "config",
            "engine",
            "file_lock",
            "hooks",
            "http",
            "instances",
            "journal",
            "model",
            "notifications",
            "pipelines",
            "retention",
            "runs",
            "schedules",
            "store",
            "workspaces",
        ],
    ),
    ("config", &["engine", "http", "model", "notifications", "store"]),
    (
        "http",
        &[
            "access",
            "approvals",
            "base",
            "calls",
            "hooks",
            "instances",
            "journal",
            "model",
            "notifications",
            "retention",
            "runs",
            "schedules",
            "store",
            "ui",
        ],
    ),
    ("ui", &["base", "browser", "calls", "feed", "model"]),
    (
        "calls",
        &["access", "approvals", "browser", "forms", "hooks", "instances", "model", "retention", "runs", "schedules"],
    ),
    ("forms", &["access", "hooks", "model", "runs", "schedules"]),
    ("approvals", &["access", "journal", "model", "runs", "store"]),
    ("hooks", &["journal", "model", "pipelines", "runs", "secrets", "store"]),
    ("instances", &["access", "journal", "model", "pipelines", "runs", "store"]),
    ("schedules", &["access", "journal", "model", "pipelines", "runs", "store"]),
    ("retention", &["access", "journal", "model", "pipelines", "runs", "store", "workspaces"]),
    ("notifications", &["journal", "model", "secrets", "store"]),
    ("runs", &["access", "engine", "journal", "model", "patch", "pipelines", "store"]),
    ("access", &["journal", "model", "store"]),
    ("engine", &["confined_fs", "journal", "model", "pipelines", "secrets", "store", "terminal", "workspaces"]),
    ("pipelines", &["confined_fs", "model", "secrets"]),
    ("journal", &["model", "secrets", "store"]),
    ("store", &["file_lock", "model"]),
    ("workspaces", &["confined_fs", "model"]),
    ("codemod", &["confined_fs", "model"]),
    ("browser", &["base", "feed", "model"]),
    ("feed", &["model"]),
    ("patch", &["model"]),
    ("terminal", &["model"]),
    ("secrets", &[]),
    ("confined_fs", &[]),
    ("base", &["model"]),
    ("file_lock", &[]),
    ("model", &[]),
];

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
