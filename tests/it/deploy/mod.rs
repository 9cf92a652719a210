//! The files of `deploy/`: real nginx and caddy with those configurations in front of two real instances, the unit
//! under a real systemd, what manifests and units name, and packages that are really installed.

mod manifests;
mod packages;
mod proxies;
mod systemd;

use std::path::{Path, PathBuf};

/// A file of the repository.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
