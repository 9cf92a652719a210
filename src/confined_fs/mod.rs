//! Access to folders that other programs can write to: projects, workspaces, scratch folders, checkouts, repositories.
//!
//! Such a folder may contain links, named pipes, devices and trees of any depth, and may change at any moment. So a
//! [`Folder`] is opened once and all operations are relative to its handle: [`Folder::folder`] follows no link and
//! never leaves the folder (openat2(2), `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS`), [`Folder::read`] only reads regular
//! files up to a limit, [`Folder::write`] writes a new file and renames it, and [`Folder::remove_tree`] enters neither
//! links nor mounts.
//!
//! All operations block; the server calls them in `spawn_blocking`. Clippy's `disallowed_methods` keeps `std::fs` and
//! `tokio::fs` out of the modules that handle such folders.

mod folder;
mod remove;
mod resolve;

pub use folder::{FileIdentity, Folder, Owner};
