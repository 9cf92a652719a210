//! One pipeline file (CONTRACT.md, "Pipelines in TOML"): text in, a pipeline out, or the line and the reason why not.

use std::collections::HashSet;
use std::ops::Range;

use serde::Deserialize;
use serde_json::Value;
use toml::Spanned;

use crate::model::pipeline::OnInterrupt;
use crate::model::{Param, ParamKind, PhaseSpec, Pipeline, PipelineFault};

/// Names that the built-in pipelines have.
const RESERVED: [&str; 2] = ["autofix", "refactor"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PipelineToml {
    name: Spanned<String>,
    title: Option<String>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    on_interrupt: OnInterrupt,
    #[serde(default)]
    params: Vec<Spanned<ParamToml>>,
    #[serde(default)]
    phases: Vec<Spanned<PhaseToml>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParamToml {
    name: Spanned<String>,
    r#type: ParamKind,
    #[serde(default)]
    title: String,
    #[serde(default)]
    help: String,
    #[serde(default)]
    required: bool,
    default: Option<Spanned<Value>>,
    choices: Option<Spanned<Vec<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PhaseToml {
    name: Spanned<String>,
    run: Spanned<String>,
    timeout: Option<Spanned<String>>,
    retries: Option<Spanned<u32>>,
    approval: Option<Spanned<bool>>,
}

/// A fault somewhere in the text.
struct Fault {
    at: Range<usize>,
    reason: String,
}

fn fault<T>(at: Range<usize>, reason: impl Into<String>) -> Result<T, Fault> {
    Err(Fault { at, reason: reason.into() })
}

/// Reads one file.
///
/// # Errors
/// The text is no TOML, names something unknown, or breaks a rule; with the line.
pub fn read_pipeline(file: &str, text: &str) -> Result<Pipeline, PipelineFault> {
    let read = toml::from_str::<PipelineToml>(text)
        .map_err(|error| Fault { at: error.span().unwrap_or(0..0), reason: error.message().trim_end().to_owned() });
    read.and_then(check).map_err(|Fault { at, reason }| {
        let before = text.as_bytes().get(..at.start).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        PipelineFault { file: file.to_owned(), line, reason }
    })
}

fn check(read: PipelineToml) -> Result<Pipeline, Fault> {
    let name =
        word(&read.name, "pipeline", "a-z, 0-9 and -", |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')?;
    if RESERVED.contains(&name.as_str()) {
        return fault(read.name.span(), format!("the name `{name}` belongs to a built-in pipeline; choose another"));
    }
    let mut seen = HashSet::new();
    let mut params = Vec::with_capacity(read.params.len());
    for param in read.params {
        let param = param.into_inner();
        let at = param.name.span();
        let param = check_param(param)?;
        if !seen.insert(param.name.clone()) {
            return fault(at, format!("there are two parameters `{}`", param.name));
        }
        params.push(param);
    }
    if read.phases.is_empty() {
        return fault(read.name.span(), "the pipeline has no phases; give at least one [[phases]] with name and run");
    }
    let mut seen = HashSet::new();
    let mut phases = Vec::with_capacity(read.phases.len());
    for phase in read.phases {
        let phase = phase.into_inner();
        let at = phase.name.span();
        let phase = check_phase(phase)?;
        if !seen.insert(phase.name.clone()) {
            return fault(at, format!("there are two phases `{}`", phase.name));
        }
        phases.push(phase);
    }
    let title = read.title.filter(|title| !title.trim().is_empty()).unwrap_or_else(|| name.clone());
    Ok(Pipeline { name, title, description: read.description, on_interrupt: read.on_interrupt, params, phases })
}

/// A name of the characters that its kind allows.
fn word(name: &Spanned<String>, what: &str, allowed: &str, ok: fn(char) -> bool) -> Result<String, Fault> {
    let text = name.get_ref();
    if text.is_empty() || !text.chars().all(ok) {
        return fault(name.span(), format!("the {what} name `{text}` must be made of {allowed}"));
    }
    Ok(text.clone())
}

fn check_param(read: ParamToml) -> Result<Param, Fault> {
    let name = word(&read.name, "parameter", "a-z and _", |c| c.is_ascii_lowercase() || c == '_')?;
    let choices = match (read.r#type, read.choices) {
        (ParamKind::Choice, Some(choices)) if !choices.get_ref().is_empty() => choices.into_inner(),
        (ParamKind::Choice, _) => {
            return fault(read.name.span(), format!("the choice `{name}` needs choices = [\"…\", …]"));
        }
        (_, Some(choices)) => return fault(choices.span(), "only a parameter of type choice has choices"),
        (_, None) => Vec::new(),
    };
    let mut param = Param {
        name,
        title: read.title,
        help: read.help,
        kind: read.r#type,
        required: read.required,
        default: None,
        choices,
    };
    if let Some(default) = read.default {
        match param.read(default.get_ref()) {
            Ok(value) => param.default = value,
            Err(error) => return fault(default.span(), format!("the default does not fit: {}", error.message)),
        }
    }
    Ok(param)
}

fn check_phase(read: PhaseToml) -> Result<PhaseSpec, Fault> {
    let name = word(&read.name, "phase", "a-z, 0-9, _ and -", |c| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-'
    })?;
    if read.run.get_ref().trim().is_empty() || read.run.get_ref().contains('\0') {
        return fault(read.run.span(), format!("the phase `{name}` has no command in run"));
    }
    let timeout_ms = match &read.timeout {
        None => None,
        Some(text) => match humantime::parse_duration(text.get_ref()).map(|limit| u64::try_from(limit.as_millis())) {
            Ok(Ok(limit)) if limit > 0 => Some(limit),
            _ => {
                let reason = format!("the timeout `{}` is no duration such as 90s or 10m", text.get_ref());
                return fault(text.span(), reason);
            }
        },
    };
    // Ignoring these would be worse than refusing them: a gate that does not hold, a retry that does not come.
    if let Some(retries) = read.retries.filter(|retries| *retries.get_ref() > 0) {
        return fault(retries.span(), "this version does not retry phases; leave retries out or give 0");
    }
    if let Some(approval) = read.approval.filter(|approval| *approval.get_ref()) {
        return fault(approval.span(), "this version cannot wait for an approval; leave approval out or give false");
    }
    Ok(PhaseSpec { name, run: read.run.into_inner(), timeout_ms })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::ParamValue;

    const GOOD: &str = r#"
name = "nightly"
title = "Nightly checks"
on_interrupt = "fail"

[[params]]
name = "project"
type = "path"
required = true

[[params]]
name = "level"
type = "choice"
choices = ["low", "high"]
default = "high"

[[phases]]
name = "lint"
run = "cargo clippy --all-targets"
timeout = "10m"
retries = 0
approval = false
"#;

    #[test]
    fn the_contracts_example_reads() {
        let pipeline = read_pipeline("nightly.toml", GOOD).unwrap();
        assert_eq!((pipeline.name.as_str(), pipeline.title.as_str()), ("nightly", "Nightly checks"));
        assert_eq!(pipeline.params[1].default, Some(ParamValue::Text("high".into())));
        assert_eq!(pipeline.phases[0].timeout_ms, Some(600_000));
    }

    #[test]
    fn every_fault_names_its_line_and_reason() {
        for (from, to, line, reason) in [
            ("name = \"nightly\"", "name = \"Night ly\"", 2, "must be made of a-z, 0-9 and -"),
            ("name = \"nightly\"", "name = \"autofix\"", 2, "built-in"),
            ("name = \"nightly\"", "", 2, "missing field `name`"),
            ("name = \"nightly\"", "name = ", 2, ""),
            ("title = \"Nightly checks\"", "titel = \"x\"", 3, "unknown field `titel`"),
            ("on_interrupt = \"fail\"", "on_interrupt = \"explode\"", 4, "explode"),
            ("name = \"project\"", "name = \"Project\"", 7, "must be made of a-z and _"),
            ("type = \"path\"", "type = \"file\"", 8, "file"),
            ("name = \"level\"", "name = \"project\"", 12, "two parameters `project`"),
            ("choices = [\"low\", \"high\"]", "choices = []", 12, "needs choices"),
            ("default = \"high\"", "default = \"odd\"", 15, "one of low, high"),
            ("required = true", "choices = [\"x\"]", 9, "only a parameter of type choice"),
            ("name = \"lint\"", "name = \"li nt\"", 18, "must be made of"),
            ("run = \"cargo clippy --all-targets\"", "run = \" \"", 19, "no command"),
            ("run = \"cargo clippy --all-targets\"", "", 17, "missing field `run`"),
            ("timeout = \"10m\"", "timeout = \"soon\"", 20, "no duration"),
            ("timeout = \"10m\"", "timeout = \"0s\"", 20, "no duration"),
            ("retries = 0", "retries = 2", 21, "does not retry"),
            ("approval = false", "approval = true", 22, "approval"),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD, "{from}");
            let fault = read_pipeline("x.toml", &text).unwrap_err();
            assert!(fault.reason.contains(reason), "{to}: {fault}");
            // A missing field has no place of its own; the parser names the table's.
            if !reason.contains("missing") {
                assert_eq!(fault.line, line, "{to}: {fault}");
            }
        }
        let phases = GOOD.split_once("[[phases]]").unwrap().0;
        assert!(read_pipeline("x.toml", phases).unwrap_err().reason.contains("no phases"));
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in ".*", cut in 0usize..400) {
            let _ = read_pipeline("x.toml", &text);
            let cut = GOOD.floor_char_boundary(cut);
            let _ = read_pipeline("x.toml", &format!("{}{text}{}", &GOOD[..cut], &GOOD[cut..]));
        }
    }
}
