//! What a phase's command reports that affects its attempt: its last error, and the values it outputs for later phases.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::model::kinds::{Failure, Output};

/// The most bytes of outputs that an attempt passes to later phases. A command's environment has to hold them
/// (execve(2)).
const MAX_OUTPUT_BYTES: usize = 1 << 20;

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct PhaseReport {
    /// How many bytes of outputs earlier phases have passed on.
    #[serde(skip)]
    pub inherited_bytes: usize,
    /// The message of the last error that the command reported.
    #[serde(default)]
    pub error: Option<String>,
    /// Values for later phases, by name.
    #[serde(default)]
    pub outputs: BTreeMap<String, String>,
}

/// A report that is filled in while the command's output is read.
pub type SharedReport = Mutex<PhaseReport>;

impl PhaseReport {
    /// The report as it is stored with the frames that it comes from.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Adds an output for later phases.
    ///
    /// # Errors
    /// All outputs of the attempt together would exceed their limit.
    pub fn accept_output(&mut self, output: &Output) -> Result<(), Failure> {
        let others = self.outputs.iter().filter(|(name, _)| **name != output.name);
        let size = others.map(|(name, value)| Output::variable(name).len() + value.len()).sum::<usize>();
        let added = Output::variable(&output.name).len() + output.value.len();
        if self.inherited_bytes + size + added > MAX_OUTPUT_BYTES {
            let name = &output.name;
            let message = format!(
                "the output {name} is not passed on: all outputs of a run together take {MAX_OUTPUT_BYTES} bytes at most"
            );
            return Err(Failure { code: "output_too_large".to_owned(), message, retryable: false });
        }
        self.outputs.insert(output.name.clone(), output.value.clone());
        Ok(())
    }
}
