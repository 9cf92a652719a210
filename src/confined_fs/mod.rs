//! Files in folders that other programs can write to: projects, workspaces, scratch folders, checkouts, repositories.
//!
//! What a command leaves in such a folder is data. It may be a link, a named pipe, a device or a tree of any depth, and it may be
//! exchanged at any moment. So a [`Folder`] is opened once and held, and everything is done relative to its descriptor:
//! [`Folder::folder`] follows no link and never leaves it (openat2(2), `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS`),
//! [`Folder::read`] reads regular files only, up to a limit and without waiting, [`Folder::write`] writes a new file and renames
//! it, and [`Folder::remove_tree`] enters neither links nor mounted file systems.
//!
//! All of it may block, so the server calls it in `spawn_blocking`. Clippy's `disallowed_methods` keeps `std::fs` and `tokio::fs`
//! out of the modules that handle such folders.

mod folder;
mod read;
mod remove;
mod resolve;
mod write;

pub use folder::{Folder, Identity, Owner};
