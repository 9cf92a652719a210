//! Phases as a pipeline declares them (docs/CONTRACT.md, "Pipeline files"). [`plan`](super::plan) decides which of them
//! run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::param::{ParamValue, Params};
use super::phase_condition::PhaseCondition;
use super::placement::Label;
use super::retry_policy::RetryPolicy;

/// A phase as its pipeline declares it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PhaseSpec {
    /// Unique in the pipeline, of `[a-z0-9_-]`.
    pub name: String,
    /// The argument of `sh -c`.
    pub run: String,
    /// Milliseconds; `None` is unlimited.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    #[serde(default)]
    pub approval: ApprovalRule,
    /// The phase runs if all of these hold; if there are none, unless an earlier phase failed.
    #[serde(default, rename = "if", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<PhaseCondition>,
    #[serde(default)]
    pub retries: RetryPolicy,
    /// Whether the run continues, and may complete, if this phase fails.
    #[serde(default)]
    pub continue_on_error: bool,
    /// Additional environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Whether processes that the command leaves behind live until the attempt ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub background: bool,
    /// Whether programs may gain privileges, as with `sudo`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gain_privileges: bool,
    #[serde(default, skip_serializing_if = "OutputMode::is_default")]
    pub output: OutputMode,
    /// The working directory, relative to the run's folder.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub dir: String,
    /// The approval question; if empty, a default one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub question: String,
    #[serde(default, skip_serializing_if = "Approvers::is_default")]
    pub approvers: Approvers,
    /// Names of the pipeline's secrets for this command; `None` means all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Vec<String>>,
    /// Labels that the worker of a run must have, besides those of the pipeline and the other phases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs_on: Vec<Label>,
}

/// Who may decide an approval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approvers {
    /// Everybody with the role.
    #[default]
    Anyone,
    /// Everybody with the role, except the one who started the attempt.
    Other,
}

impl Approvers {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How the output of a phase's command is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputMode {
    /// Through one pipe, which keeps the order of both streams.
    #[default]
    Merged,
    /// Through two pipes: lines of standard error are marked, but the order of the streams is lost.
    Separate,
    /// Through a pseudo-terminal of a fixed size.
    Tty,
}

impl OutputMode {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl PhaseSpec {
    /// The question of an approval before this phase.
    pub fn approval_question(&self) -> String {
        if self.question.is_empty() { format!("Continue with phase {}?", self.name) } else { self.question.clone() }
    }
}

/// Whether a phase needs approval (`approval` in a pipeline file).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "`approval` is true, false, or a table such as { param = \"ask\", patches = true }")]
pub enum ApprovalRule {
    /// Always or never.
    Fixed(bool),
    /// If all of these hold.
    If(ApprovalConditions),
}

/// Conditions for an approval. Those that are not set need not hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApprovalConditions {
    /// This parameter, a [`ParamKind::Boolean`](super::param::ParamKind::Boolean), is true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    /// This parameter, a [`ParamKind::Boolean`](super::param::ParamKind::Boolean), is not true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unless: Option<String>,
    /// The attempt has patches to review.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub patches: bool,
}

impl Default for ApprovalRule {
    fn default() -> Self {
        Self::Fixed(false)
    }
}

impl ApprovalRule {
    /// Whether a run with these parameters and this many patches needs approval.
    pub fn is_required(&self, params: &Params, patches: u64) -> bool {
        match self {
            Self::Fixed(required) => *required,
            Self::If(ApprovalConditions { param, unless, patches: only_for_patches }) => {
                let is_true = |name: &String| params.get(name) == Some(&ParamValue::Boolean(true));
                param.as_ref().is_none_or(is_true)
                    && !unless.as_ref().is_some_and(is_true)
                    && (!only_for_patches || patches > 0)
            }
        }
    }
}
