//! What valid pipeline files mean, and that any bytes are read or refused.

use proptest::prelude::*;

use super::super::test_pipelines::{built_in, extended, parse, read, sandboxed, with};
use super::*;
use crate::model::hook::SecretLocation;
use crate::model::notify::{NotifyEvent, ReceiverAddress};
use crate::model::phase_condition::PhaseCondition;
use crate::model::queue::{BusyPolicy, Concurrency};
use crate::model::retry_policy::RetryPolicy;
use crate::model::sandbox::Sandbox;
use crate::model::{ApprovalRule, OutputMode, ParamKind, ParamValue, Params, PhaseSpec, PhaseState, Retention};

const FULL: &str = r#"name = "nightly-2"
title = "Nightly checks"
description = "All of them."
on_interrupt = "resume"

[[params]]
name = "project"
type = "path"
required = true
title = "Project"
help = "A git checkout."

[[params]]
name = "depth"
type = "integer"
default = 3

[[params]]
name = "color"
type = "choice"
choices = ["red", "green"]
default = "green"

[[phases]]
name = "lint_1"
run = "cargo clippy"
timeout = "1h 30m"
retries = 0
approval = false

[[phases]]
name = "test"
run = """
set -e
make test
"""
"#;

#[test]
fn file_with_all_keys_is_read() {
    let pipeline = read(FULL).unwrap();
    assert_eq!((pipeline.name.as_str(), pipeline.title.as_str()), ("nightly-2", "Nightly checks"));
    assert_eq!(pipeline.description, "All of them.");
    assert_eq!(pipeline.on_interrupt, OnInterrupt::Resume);
    let kinds: Vec<_> = pipeline.params.iter().map(|param| (param.name.as_str(), param.kind, param.required)).collect();
    let expected =
        [("project", ParamKind::Path, true), ("depth", ParamKind::Integer, false), ("color", ParamKind::Choice, false)];
    assert_eq!(kinds, expected);
    assert_eq!(pipeline.params[0].label(), "Project");
    assert_eq!(pipeline.params[1].default, Some(ParamValue::Integer(3)));
    assert_eq!(pipeline.params[2].default, Some(ParamValue::Text("green".into())));
    let phases: Vec<_> = pipeline.phases.iter().map(|phase| (phase.name.as_str(), phase.timeout_ms)).collect();
    assert_eq!(phases, [("lint_1", Some(5_400_000)), ("test", None)]);
    assert_eq!(pipeline.phases[1].run, "set -e\nmake test\n");
}

#[test]
fn retention_is_read() {
    let rule = |lines: &str| read(&format!("{FULL}\n{lines}")).unwrap().retention;
    assert_eq!(rule(""), None);
    let both = Retention { age_ms: Some(30 * 24 * 60 * 60 * 1000), count: Some(100) };
    assert_eq!(rule("[retention]\nage = '30d'\ncount = 100\n"), Some(both));
    assert_eq!(rule("[retention]\nage = '2s'\n"), Some(Retention { age_ms: Some(2000), count: None }));
    assert_eq!(rule("[retention]\ncount = 1\n"), Some(Retention { age_ms: None, count: Some(1) }));
    let extending = read(&extended("[retention]\ncount = 5\n")).unwrap();
    assert_eq!(extending.retention, Some(Retention { age_ms: None, count: Some(5) }));
}

#[test]
fn approval_is_read() {
    let phase_with = |lines: &str| read(&with(lines)).unwrap().phases[0].clone();
    assert_eq!(phase_with("").approval, ApprovalRule::Fixed(false));
    let always = phase_with("approval = true\n");
    assert_eq!(
        (always.approval.clone(), always.approval_question().as_str()),
        (ApprovalRule::Fixed(true), "Continue with phase a?")
    );
    assert!(always.approval.is_required(&Params::new(), 0));
    assert_eq!(phase_with("approval = true\nquestion = 'Deploy?'\n").approval_question(), "Deploy?");

    let ticked = "approval = { param = 'ask', patches = true }\n[[params]]\nname = 'ask'\ntype = 'boolean'\n";
    let gate = phase_with(ticked).approval;
    for (value, patches, closed) in
        [(None, 1, false), (Some(false), 1, false), (Some(true), 0, false), (Some(true), 1, true)]
    {
        let params = value.map(|value| ("ask".to_owned(), ParamValue::Boolean(value))).into_iter().collect();
        assert_eq!(gate.is_required(&params, patches), closed, "{value:?}, {patches} patches");
    }
}

#[test]
fn receivers_are_read() {
    let text = "[[notify]]\nurl = 'https://u:p@chat.example/hook?key=s'\nsecret_env = 'SECRET'\n\
                [[notify]]\nurl_env = 'HOOK'\non = ['failed', 'waiting']\n";
    for text in [with(text), format!("{}{text}", extended(""))] {
        let pipeline = read(&text).unwrap();
        let [first, second] = pipeline.notify.as_slice() else { panic!("{:?}", pipeline.notify) };
        assert_eq!(first.to, ReceiverAddress::Url("https://u:p@chat.example/hook?key=s".into()));
        assert_eq!((first.secret.clone(), first.on.as_slice()), (Some(SecretLocation::Env("SECRET".into())), &[][..]));
        assert_eq!(second.to, ReceiverAddress::UrlEnv("HOOK".into()));
        assert_eq!(second.on, [NotifyEvent::Failed, NotifyEvent::Waiting]);
        let shown = serde_json::to_string(&pipeline.redacted()).unwrap();
        assert!(shown.contains("https://chat.example/…\"") && !shown.contains("u:p"), "{shown}");
    }
}

#[test]
fn receiver_has_one_address_and_at_most_one_secret() {
    let receiver =
        |lines: &str| read(&with(&format!("[[notify]]\n{lines}\n"))).map(|pipeline| pipeline.notify[0].clone());
    let of_files = receiver("url_file = '/run/url'\nsecret_file = '/run/secret'").unwrap();
    assert_eq!(of_files.to, ReceiverAddress::UrlFile("/run/url".into()));
    assert_eq!(of_files.secret, Some(SecretLocation::File("/run/secret".into())));
    let of_credentials = receiver("url_credential = 'url'\nsecret_credential = 'secret'").unwrap();
    assert_eq!(of_credentials.to, ReceiverAddress::UrlCredential("url".into()));
    assert_eq!(of_credentials.secret, Some(SecretLocation::Credential("secret".into())));
    for (lines, reason) in [
        ("url = 'http://a/'\nurl_file = '/x'", "one of `url`"),
        ("url = 'http://a/'\nsecret_env = 'A'\nsecret_credential = 'a'", "one of `secret_env`"),
        ("url_file = 'x'", "absolute path"),
        ("url_credential = '../x'", "no path"),
        ("url = 'http://a/'\nsecret_file = 'hunter-2'", "absolute path"),
    ] {
        let fault = receiver(lines).unwrap_err();
        assert!(fault.reason.contains(reason) && !fault.reason.contains("hunter"), "{lines}: {fault}");
    }
}

#[test]
fn optional_keys_have_defaults() {
    let text = "\u{feff}name = 'p'\r\n[[phases]]\r\nname = 'a'\r\nrun = 'true'\r\n";
    let pipeline = read(text).unwrap();
    assert_eq!((pipeline.title.as_str(), pipeline.on_interrupt), ("p", OnInterrupt::Fail));
    assert!(pipeline.params.is_empty());
}

#[test]
fn sandbox_and_limits_are_read() {
    let plain = read(&with("")).unwrap();
    assert_eq!((plain.sandbox, plain.network, plain.phases[0].gain_privileges), (Sandbox::Off, false, false));
    let text = serde_json::to_string(&plain).unwrap();
    assert!(!text.contains("sandbox") && !text.contains("network") && !text.contains("gain_privileges"), "{text}");
    let limited =
        format!("network = true\n{}", sandboxed("'if-available'", "[limits]\nmemory = '2G'\nprocesses = 512\n"));
    let confined = read(&limited).unwrap();
    assert_eq!((confined.sandbox, confined.network), (Sandbox::IfAvailable, true));
    assert_eq!((confined.limits.memory, confined.limits.processes), (Some(2 << 30), Some(512)));
    let extended = read(&format!("sandbox = 'required'\n{}", extended(""))).unwrap();
    assert_eq!((extended.sandbox, extended.network), (Sandbox::Required, false));
    let kept = serde_json::to_string(&confined).unwrap();
    assert_eq!(serde_json::from_str::<Pipeline>(&kept).unwrap(), confined);
    assert!(read(&with("gain_privileges = true\n")).unwrap().phases[0].gain_privileges);
    assert_eq!(read(&sandboxed("'off'", "background = true\n")).unwrap().sandbox, Sandbox::Off);
}

#[test]
fn phase_output_and_background_are_read() {
    let phase = |lines: &str| read(&with(lines)).unwrap().phases.remove(0);
    let usual = phase("");
    assert_eq!((usual.output, usual.background), (OutputMode::Merged, false));
    for (text, output) in [("merged", OutputMode::Merged), ("separate", OutputMode::Separate), ("tty", OutputMode::Tty)]
    {
        let phase = phase(&format!("output = '{text}'\nbackground = true\n"));
        assert_eq!((phase.output, phase.background), (output, true));
        let read_back: PhaseSpec = serde_json::from_str(&serde_json::to_string(&phase).unwrap()).unwrap();
        assert_eq!(read_back, phase);
    }
}

#[test]
fn phase_conditions_and_retries_are_read() {
    let text = with(
        "retries = 3\nretry_delay = '5s'\nretry_on = [75, 111]\ncontinue_on_error = true\ndir = 'web'\nenv = { LEVEL = 'high' }\n",
    );
    let pipeline = read(&format!("{text}[[phases]]\nname = 'b'\nrun = 'x'\nif = ['a.failed', 'success']\n")).unwrap();
    let [a, b] = pipeline.phases.as_slice() else { panic!("two phases") };
    assert_eq!(a.retries, RetryPolicy { times: 3, delay_ms: 5000, on: vec![75, 111] });
    assert!(a.continue_on_error && a.dir == "web" && a.env["LEVEL"] == "high");
    assert_eq!(b.conditions, [PhaseCondition::Phase("a".into(), PhaseState::Failed), PhaseCondition::Success]);
    let read_back: Pipeline = serde_json::from_str(&serde_json::to_string(&pipeline).unwrap()).unwrap();
    assert_eq!(read_back, pipeline);
}

#[test]
fn extension_passes_linters_to_the_built_in_pipeline() {
    let [autofix, _] = built_in().try_into().unwrap();
    let base = autofix.pipeline;
    let text = extended("timeout = '90s'\n").replace("'p'\n", "'p'\ntitle = 'Python'\n");
    let pipeline = read(&text).unwrap();
    assert_eq!((pipeline.name.as_str(), pipeline.title.as_str()), ("p", "Python"));
    assert_eq!((&pipeline.description, &pipeline.params), (&base.description, &base.params));
    let names = |pipeline: &Pipeline| pipeline.phases.iter().map(|phase| phase.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&pipeline), names(&base));
    let linter = r#"[{"name":"ruff","run":"ruff check","timeout_ms":90000}]"#;
    assert!(pipeline.phases[1].run.contains(linter), "{}", pipeline.phases[1].run);
    let reviewed = read(&extended("fixes = 'review'\n")).unwrap();
    assert!(reviewed.phases[1].run.contains(r#""fixes":"review""#), "{}", reviewed.phases[1].run);
}

#[test]
fn labels_are_read() {
    let labels = |labels: &[crate::model::placement::Label]| {
        labels.iter().map(|label| label.as_str().to_owned()).collect::<Vec<_>>()
    };
    let pipeline = read(&format!("runs_on = ['linux', 'x86_64']\n{}", with("runs_on = ['gpu']\n"))).unwrap();
    assert_eq!(labels(&pipeline.runs_on), ["linux", "x86_64"]);
    assert_eq!(labels(&pipeline.phases[0].runs_on), ["gpu"]);
    let stored = serde_json::to_string(&pipeline).unwrap();
    assert_eq!(serde_json::from_str::<Pipeline>(&stored).unwrap(), pipeline);
    assert!(read(&with("")).unwrap().runs_on.is_empty());
    let extension = read(&format!("runs_on = ['big']\n{}", extended(""))).unwrap();
    assert_eq!(labels(&extension.runs_on), ["big"]);
}

#[test]
fn concurrency_and_priority_are_read() {
    let read_with =
        |lines: &str| read(&format!("{lines}\n{}", with("[[params]]\nname = 'project'\ntype = 'path'\n"))).unwrap();
    let none = read_with("");
    assert_eq!((none.concurrency, none.priority), (None, 0));
    let text = read_with("concurrency = 'per project'\npriority = -5");
    assert_eq!(
        (text.priority, text.concurrency),
        (-5, Some(Concurrency { per: "project".into(), when_busy: BusyPolicy::Queue }))
    );
    for (word, when_busy) in
        [("queue", BusyPolicy::Queue), ("cancel-previous", BusyPolicy::CancelPrevious), ("refuse", BusyPolicy::Refuse)]
    {
        let table = read_with(&format!("concurrency = {{ per = 'pipeline', when_busy = '{word}' }}"));
        assert_eq!(table.concurrency, Some(Concurrency { per: "pipeline".into(), when_busy }));
    }
    let base = read(&format!("concurrency = 'per project'\n{}", extended(""))).unwrap();
    assert!(base.concurrency.is_some());
}

#[test]
fn file_that_is_not_utf8_is_refused_with_its_line() {
    let fault = parse(b"name = 'p'\n# \xff\n").unwrap_err();
    assert_eq!(fault.line, 2);
    assert!(fault.reason.contains("UTF-8"), "{fault}");
}

/// Lines that a pipeline file is likely to have, in any order, so that the checks behind the TOML parser are reached.
fn lines() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        3 => prop::sample::select(FULL.lines().map(str::to_owned).collect::<Vec<_>>()),
        1 => prop::sample::select(vec!["phases = [{}]", "default = {a = 1}", "timeout = '0.5s'", "params.name = 1", "[", "é"])
            .prop_map(str::to_owned),
        1 => ".{0,20}",
    ];
    prop::collection::vec(line, 0..30).prop_map(|lines| lines.join("\n"))
}

fn check_parse(bytes: &[u8]) -> Result<(), TestCaseError> {
    let last = String::from_utf8_lossy(bytes).lines().count().max(1);
    match parse(bytes) {
        Ok(parsed) => prop_assert!(!parsed.pipeline.phases.is_empty() && parsed.name_line <= last),
        Err(fault) => prop_assert!((1..=last).contains(&fault.line) && !fault.reason.is_empty(), "{}", fault),
    }
    Ok(())
}

proptest! {
    #[test]
    fn parse_takes_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check_parse(&bytes)?;
    }

    #[test]
    fn parse_takes_any_lines(text in lines()) {
        check_parse(text.as_bytes())?;
    }

    #[test]
    fn parse_takes_any_truncated_file(end in 0..FULL.len()) {
        check_parse(&FULL.as_bytes()[..end])?;
    }
}
