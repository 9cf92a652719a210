//! Which kinds of confinement of commands the system supports, probed once at startup.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::engine::cgroup::Groups;
use crate::engine::confinement::Confinement;
use crate::engine::run_as::RunAs;
use crate::engine::sandbox::SandboxOptions;

/// Prepares the confinement of commands, and logs which limits cannot be enforced.
pub fn prepare(data_dir: &Path, program: &Path, run_as: Option<RunAs>) -> Confinement {
    let digest = Sha256::digest(data_dir.as_os_str().as_encoded_bytes());
    let name: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let groups = Groups::prepare(&name).map_err(|error| error.to_string());
    match &groups {
        Err(reason) => {
            tracing::info!(reason, "cannot create control groups, so `memory` and `processes` of [limits] do not hold")
        }
        Ok(groups) => {
            if let Some(reason) = groups.lacks_any() {
                tracing::info!(reason, "`memory` and `processes` of [limits] do not hold");
            }
        }
    }
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from).filter(|folder| folder.is_dir());
    let hidden = std::iter::once(data_dir.to_owned()).chain(credentials).collect();
    Confinement::new(groups, SandboxOptions { hidden, program: program.to_owned() }, run_as)
}
