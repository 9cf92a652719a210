//! Whether the commands of a pipeline run in a sandbox (`sandbox` in its file).

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sandbox {
    #[default]
    Off,
    /// Where the system supports it; elsewhere without one, which a `notice` frame reports.
    IfAvailable,
    /// Always: where the system does not support it, the run fails.
    Required,
}

impl Sandbox {
    pub fn is_off(&self) -> bool {
        *self == Self::Off
    }
}
