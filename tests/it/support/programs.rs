//! Programs of other projects that tests run, which `scripts/setup.sh test` gets.

use std::path::{Path, PathBuf};

pub fn nginx() -> PathBuf {
    find("RUNTRAIL_TEST_NGINX", "nginx", "usr/sbin")
}

pub fn caddy() -> PathBuf {
    find("RUNTRAIL_TEST_CADDY", "caddy", "usr/bin")
}

/// The program that the variable names, or the one on PATH, or the one that set-up has unpacked.
fn find(variable: &str, name: &str, folder: &str) -> PathBuf {
    if let Some(named) = std::env::var_os(variable) {
        return named.into();
    }
    let path = std::env::var_os("PATH").unwrap();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(name));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| Path::new(&std::env::var_os("HOME").unwrap()).join(".cache"));
    let tools = std::env::var_os("RUNTRAIL_TOOLS").map_or_else(|| cache.join("runtrail/tools"), PathBuf::from);
    let unpacked = tools.join("proxies").join(folder).join(name);
    let found = on_path.chain([unpacked]).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not here: run `scripts/setup.sh test`"))
}
