//! What the system can do to keep commands apart, asked when the server starts.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::engine::cgroup::AttemptCgroups;
use crate::engine::confinement::Confinement;
use crate::engine::run_as::RunAs;
use crate::engine::sandbox::SandboxOptions;

/// What keeps commands apart. That there are no control groups is said once, here.
pub(super) fn prepare(data_dir: &Path, program: &Path, run_as: Option<RunAs>) -> Confinement {
    let digest = Sha256::digest(data_dir.as_os_str().as_encoded_bytes());
    let name: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let groups = AttemptCgroups::prepare(&name).map_err(|error| error.to_string());
    match &groups {
        Err(reason) => tracing::info!(reason, "no control groups: `memory` and `processes` of [limits] do not hold"),
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
