//! `extends` in a pipeline file, with the `[[linters]]` and `[[checks]]` that it adds to a built-in pipeline.

use serde::Deserialize;
use toml::{Spanned, Value};

use super::params::RawParam;
use super::phase::RawPhase;
use super::refusal::{MAX_RUN_BYTES, Refusal, check_timeout, is_item_name, refuse};
use crate::model::kinds::FixSafety;
use crate::model::{BuiltInPipeline, Linter, NamedCheck, Pipeline, PipelineExtension};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLinter {
    name: Spanned<String>,
    run: Spanned<String>,
    timeout: Option<Spanned<Value>>,
    #[serde(default)]
    fixes: FixSafety,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCheck {
    name: Spanned<String>,
    run: Spanned<String>,
}

/// The keys of a file that extends a built-in pipeline.
pub(super) struct RawExtension {
    pub params: Vec<Spanned<RawParam>>,
    pub phases: Option<Spanned<Vec<Spanned<RawPhase>>>>,
    pub linters: Option<Spanned<Vec<Spanned<RawLinter>>>>,
    pub checks: Option<Spanned<Vec<Spanned<RawCheck>>>>,
}

impl RawExtension {
    /// The built-in pipeline `base` with this extension.
    pub fn extend(self, base: &Spanned<String>, built_in: &[BuiltInPipeline]) -> Result<Pipeline, Refusal> {
        let name = base.get_ref();
        let extensible = built_in.iter().filter(|known| known.is_extensible());
        let Some(known) = extensible.clone().find(|known| known.pipeline.name == *name) else {
            let others: Vec<String> = extensible.map(|known| format!("`{}`", known.pipeline.name)).collect();
            return refuse(base, format!("`{name}` cannot be extended. {} can.", others.join(" or ")));
        };
        if let Some(param) = self.params.first() {
            return refuse(param, format!("The parameters are those of `{name}`; there are no others."));
        }
        if let Some(phases) = self.phases {
            return refuse(&phases, format!("The phases are those of `{name}`; there are no others."));
        }
        let linters = self.linters.map(Spanned::into_inner).unwrap_or_default();
        let checks = self.checks.map(Spanned::into_inner).unwrap_or_default();
        if linters.is_empty() && checks.is_empty() {
            let reason =
                format!("A pipeline that extends `{name}` names `[[linters]]` or `[[checks]]`; there are none.");
            return refuse(base, reason);
        }
        let checks = check_checks(checks)?;
        let extension = PipelineExtension { linters: check_linters(linters)?, checks };
        let extended = known.extended(&extension).unwrap_or_default();
        if extended.phases.iter().any(|phase| phase.run.len() > MAX_RUN_BYTES) {
            let reason =
                "The linters and checks are longer than the 128 KiB a shell can be given. Put them into scripts.";
            return refuse(base, reason);
        }
        Ok(extended)
    }
}

fn check_checks(raw: Vec<Spanned<RawCheck>>) -> Result<Vec<NamedCheck>, Refusal> {
    let mut checks: Vec<NamedCheck> = Vec::new();
    for check in raw {
        let check = check.into_inner();
        if checks.iter().any(|other| other.name == *check.name.get_ref()) {
            return refuse(&check.name, format!("The check `{}` is there twice.", check.name.get_ref()));
        }
        checks.push(check.check()?);
    }
    Ok(checks)
}

fn check_linters(raw: Vec<Spanned<RawLinter>>) -> Result<Vec<Linter>, Refusal> {
    let mut linters: Vec<Linter> = Vec::new();
    for linter in raw {
        let linter = linter.into_inner();
        if linters.iter().any(|other| other.name == *linter.name.get_ref()) {
            return refuse(&linter.name, format!("The linter `{}` is there twice.", linter.name.get_ref()));
        }
        linters.push(linter.check()?);
    }
    Ok(linters)
}

impl RawCheck {
    fn check(self) -> Result<NamedCheck, Refusal> {
        let Self { name, run } = self;
        if !is_item_name(name.get_ref()) {
            return refuse(&name, "A check's name is made of a to z, 0 to 9, `-` and `_`, and is not empty.");
        }
        if run.get_ref().trim().is_empty() || run.get_ref().contains('\0') {
            return refuse(&run, "`run` is the check's command: it is neither blank nor has a NUL character.");
        }
        Ok(NamedCheck { name: name.into_inner(), run: run.into_inner() })
    }
}

impl RawLinter {
    fn check(self) -> Result<Linter, Refusal> {
        let Self { name, run, timeout, fixes } = self;
        if !is_item_name(name.get_ref()) {
            return refuse(&name, "A linter's name is made of a to z, 0 to 9, `-` and `_`, and is not empty.");
        }
        if run.get_ref().trim().is_empty() || run.get_ref().contains('\0') {
            return refuse(&run, "`run` is the linter's command: it is neither blank nor has a NUL character.");
        }
        let timeout_ms = timeout.as_ref().map(check_timeout).transpose()?;
        Ok(Linter { name: name.into_inner(), run: run.into_inner(), timeout_ms, fixes })
    }
}
