//! Whether the commands of a pipeline run in a sandbox (`sandbox` in its file).

use serde::{Deserialize, Serialize};

/// When commands run in a sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sandbox {
    /// Never.
    #[default]
    Off,
    /// Where the system can; elsewhere without one, which the journal says.
    IfAvailable,
    /// Always: where the system cannot, the run fails.
    Required,
}

impl Sandbox {
    /// Whether there is none.
    pub fn is_off(&self) -> bool {
        *self == Self::Off
    }
}
