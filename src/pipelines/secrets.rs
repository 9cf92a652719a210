//! `[secrets]` in a pipeline file: where the server finds the secrets that it passes to commands.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::refusal::{MAX_RUN_BYTES, Refusal, SERVER_PREFIX, is_made_of, is_variable_name, refuse};
use crate::model::PhaseSpec;
use crate::model::pipeline::{PipelineSecret, SecretSource};
use crate::secrets::files::is_credential;

pub(super) type RawSecrets = BTreeMap<Spanned<String>, Spanned<RawSource>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSourceFields {
    env: Option<Spanned<String>>,
    file: Option<Spanned<String>>,
    credential: Option<Spanned<String>>,
    command: Option<Spanned<String>>,
}

/// Where a secret is. Deserialized by hand: serde's own error would quote a secret that stands in place of the table.
pub(super) struct RawSource(RawSourceFields);

impl<'de> Deserialize<'de> for RawSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("RawSourceFields", &["env", "file", "credential", "command"], RawSourceVisitor)
    }
}

struct RawSourceVisitor;

impl RawSourceVisitor {
    fn refuse<E: de::Error>() -> Result<RawSource, E> {
        Err(E::custom(
            "A secret does not stand in the file: expected { env = … }, { file = … }, { credential = … } or { command = … }",
        ))
    }
}

impl<'de> Visitor<'de> for RawSourceVisitor {
    type Value = RawSource;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("{ env = … }, { file = … }, { credential = … } or { command = … }")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawSource, A::Error> {
        RawSourceFields::deserialize(MapAccessDeserializer::new(map)).map(RawSource)
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<RawSource, E> {
        Self::refuse()
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<RawSource, E> {
        Self::refuse()
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<RawSource, E> {
        Self::refuse()
    }
}

pub(super) fn check(raw: RawSecrets) -> Result<Vec<PipelineSecret>, Refusal> {
    let mut secrets = Vec::new();
    for (name, source) in raw {
        if !is_variable_name(name.get_ref()) {
            let reason = "A secret's name is that of its variable: letters, digits and `_`, and no digit first.";
            return refuse(&name, reason);
        }
        if name.get_ref().starts_with(SERVER_PREFIX) {
            return refuse(&name, format!("Variables that begin with `{SERVER_PREFIX}` are the server's own."));
        }
        secrets.push(PipelineSecret { name: name.into_inner(), source: Some(check_source(source)?) });
    }
    Ok(secrets)
}

fn check_source(raw: Spanned<RawSource>) -> Result<SecretSource, Refusal> {
    let header = Spanned::new(raw.span(), ());
    match raw.into_inner().0 {
        RawSourceFields { env: Some(name), file: None, credential: None, command: None } => {
            if !is_made_of(name.get_ref(), |c| c.is_ascii_alphanumeric() || c == '_') {
                let reason =
                    "`env` is the name of a variable of the server, such as \"NPM_TOKEN\": not the secret itself.";
                return refuse(&name, reason);
            }
            Ok(SecretSource::Env(name.into_inner()))
        }
        RawSourceFields { env: None, file: Some(file), credential: None, command: None } => {
            if !file.get_ref().starts_with('/') || file.get_ref().contains('\0') {
                return refuse(&file, "`file` is the absolute path of a file that has the secret.");
            }
            Ok(SecretSource::File(PathBuf::from(file.into_inner())))
        }
        RawSourceFields { env: None, file: None, credential: Some(name), command: None } => {
            Ok(SecretSource::Credential(check_credential(name)?))
        }
        RawSourceFields { env: None, file: None, credential: None, command: Some(command) } => {
            let text = command.get_ref();
            if text.trim().is_empty() || text.contains('\0') || text.len() > MAX_RUN_BYTES {
                let reason = "`command` prints the secret: it is not blank, has no NUL character and at most 128 KiB.";
                return refuse(&command, reason);
            }
            Ok(SecretSource::Command(command.into_inner()))
        }
        _ => {
            let reason = "A secret is in one place: { env = \"VARIABLE\" }, { file = \"/path\" }, { credential = \"name\" } or { command = \"…\" }.";
            refuse(&header, reason)
        }
    }
}

/// Checks the name of a systemd credential.
pub(super) fn check_credential(name: Spanned<String>) -> Result<String, Refusal> {
    if is_credential(name.get_ref()) {
        return Ok(name.into_inner());
    }
    refuse(
        &name,
        "This is the name of a credential, as `LoadCredential=` in the service's unit has it, such as \"npm-token\": no path.",
    )
}

/// Checks the path of a file with a secret.
pub(super) fn check_secret_file(file: Spanned<String>) -> Result<PathBuf, Refusal> {
    if !file.get_ref().starts_with('/') || file.get_ref().contains('\0') {
        return refuse(&file, "This is the absolute path of a file that has the secret.");
    }
    Ok(PathBuf::from(file.into_inner()))
}

/// Sets which secrets a phase receives: those that it names, or all.
pub(super) fn check_phase(
    phase: &mut PhaseSpec,
    named: Option<Spanned<Vec<Spanned<String>>>>,
    secrets: &[PipelineSecret],
) -> Result<(), Refusal> {
    let is_known = |name: &str| secrets.iter().any(|secret| secret.name == name);
    let Some(named) = named else { return Ok(()) };
    let mut names = Vec::new();
    for name in named.into_inner() {
        if !is_known(name.get_ref()) {
            return refuse(&name, format!("There is no secret `{}` in [secrets].", name.get_ref()));
        }
        names.push(name.into_inner());
    }
    phase.secrets = Some(names);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &str) -> Result<crate::model::Pipeline, crate::model::PipelineFileError> {
        let text = format!("name = 'p'\n[[phases]]\nname = 'a'\nrun = 'true'\n{lines}");
        super::super::file::parse("x.toml", text.as_bytes(), &[]).map(|parsed| parsed.pipeline)
    }

    #[test]
    fn secret_sources_are_read_and_never_shown() {
        let pipeline = read(
            "secrets = ['B']\n[secrets]\nA = { env = 'CI_A' }\nB = { file = '/run/b' }\nC_1 = { command = 'pass show c' }\nD = { credential = 'npm-token' }\n",
        )
        .unwrap();
        let sources: Vec<_> = pipeline.secrets.iter().map(|secret| secret.source.clone().unwrap()).collect();
        let command = SecretSource::Command("pass show c".into());
        assert_eq!(
            sources,
            [
                SecretSource::Env("CI_A".into()),
                SecretSource::File("/run/b".into()),
                command,
                SecretSource::Credential("npm-token".into())
            ]
        );
        assert_eq!(pipeline.phases[0].secrets, Some(vec!["B".to_owned()]));
        let shown = serde_json::to_string(&pipeline.redacted()).unwrap();
        assert!(
            shown.contains("C_1") && !shown.contains("CI_A") && !shown.contains("/run") && !shown.contains("pass"),
            "{shown}"
        );
        // The copy that an attempt stores has the sources.
        let stored = serde_json::to_string(&pipeline).unwrap();
        assert_eq!(serde_json::from_str::<crate::model::Pipeline>(&stored).unwrap(), pipeline);
    }

    #[test]
    fn bad_secrets_are_refused_with_line_and_reason() {
        let param = |lines: &str| format!("[[params]]\nname = 'key'\ntype = 'secret'\n{lines}");
        let cases = [
            ("[secrets]\n1A = { env = 'X' }\n".to_owned(), 6, "no digit first"),
            ("[secrets]\nRUNTRAIL_X = { env = 'X' }\n".to_owned(), 6, "the server's own"),
            ("[secrets]\nA = { env = 'X', file = '/x' }\n".to_owned(), 6, "in one place"),
            ("[secrets]\nA = {}\n".to_owned(), 6, "in one place"),
            ("[secrets]\nA = 'hunter-2'\n".to_owned(), 6, "expected"),
            ("[secrets]\nA = { value = 'hunter-2' }\n".to_owned(), 6, "Unknown key `value`"),
            ("[secrets]\nA = { env = 'hunter-2!' }\n".to_owned(), 6, "not the secret itself"),
            ("[secrets]\nA = { file = 'x' }\n".to_owned(), 6, "absolute path"),
            ("[secrets]\nA = { command = ' ' }\n".to_owned(), 6, "not blank"),
            ("[secrets]\nA = { credential = '../x' }\n".to_owned(), 6, "no path"),
            ("[secrets]\nA = { credential = 'a', env = 'X' }\n".to_owned(), 6, "in one place"),
            ("secrets = ['A']\n".to_owned(), 5, "no secret `A` in [secrets]"),
            (param("default = 'hunter-2'\n"), 8, "no default"),
            ("[[params]]\nname = 'project'\ntype = 'secret'\n".to_owned(), 6, "cannot be a secret"),
            (param("required = true\n[[schedules]]\ncron = '@daily'\n"), 9, "[secrets]"),
            (param("[[schedules]]\ncron = '@daily'\nparams = { key = 'hunter-2' }\n"), 10, "[secrets]"),
            (param("required = true\n[hook]\nsecret_env = 'A'\n"), 9, "[secrets]"),
            (param("[hook]\nsecret_env = 'A'\nparams = { key = 'hunter-2' }\n"), 10, "[secrets]"),
            (param("[hook]\nsecret_env = 'A'\nparams = { key = { from = '/x' } }\n"), 10, "[secrets]"),
        ];
        for (lines, line, reason) in cases {
            let fault = read(&lines).expect_err(&lines);
            assert!(fault.reason.contains(reason), "{lines}: {fault}");
            assert_eq!(fault.line, line, "{lines}: {fault}");
            assert!(!fault.reason.contains("hunter"), "{fault}");
        }
        let group = "name = 'p'\nconcurrency = 'per key'\n[[params]]\nname = 'key'\ntype = 'secret'\n[[phases]]\nname = 'a'\nrun = 'true'\n";
        let fault = super::super::file::parse("x.toml", group.as_bytes(), &[]).unwrap_err();
        assert!(fault.line == 2 && fault.reason.contains("is a secret"), "{fault}");
    }
}
