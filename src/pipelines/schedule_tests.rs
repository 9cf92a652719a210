//! `[[schedules]]` and `[hook]` in pipeline files.

use std::collections::BTreeMap;

use serde_json::json;

use super::test_pipelines::{assert_refused, read};
use crate::model::hook::{HookParam, PayloadField, SecretLocation};
use crate::model::{MissedPolicy, OverlapPolicy};

/// A file that is valid apart from these lines, which begin at line 11.
fn with(lines: &str) -> String {
    let params = "[[params]]\nname = 'project'\ntype = 'path'\n[[params]]\nname = 'level'\ntype = 'integer'\n";
    format!("name = 'p'\n[[phases]]\nname = 'a'\nrun = 'true'\n{params}{lines}")
}

fn schedule(lines: &str) -> String {
    with(&format!("[[schedules]]\n{lines}"))
}

fn hook(lines: &str) -> String {
    with(&format!("[hook]\n{lines}"))
}

#[test]
fn schedules_are_read() {
    let pipeline = read(&schedule(
        "cron = ' 30  2 * * 1-5'\n[[schedules]]\nname = 'late'\ncron = '*/10 * * * * *'\ntimezone = 'Europe/Berlin'\n\
         missed = 'once'\noverlap = 'one'\nparams = { project = '/srv/app', level = 3 }\n",
    ))
    .unwrap();
    let [plain, full] = pipeline.schedules.as_slice() else { panic!("two schedules") };
    assert_eq!(
        (plain.cron.as_str(), plain.timezone.as_str(), plain.missed),
        ("30 2 * * 1-5", "UTC", MissedPolicy::Skip)
    );
    assert_eq!((plain.line, full.line, full.name.as_str()), (11, 13, "late"));
    assert_eq!((full.timezone.as_str(), full.missed), ("Europe/Berlin", MissedPolicy::Once));
    assert_eq!((plain.overlap, full.overlap), (OverlapPolicy::Skip, OverlapPolicy::One));
    assert_eq!(json!(full.params), json!({"project": "/srv/app", "level": 3}));
    assert_eq!(serde_json::to_value(plain).unwrap().get("next"), None, "nothing of now is kept with an attempt");
}

#[test]
fn hooks_are_read() {
    let pipeline = read(&hook(
        "secret_env = 'NIGHTLY'\nevents = ['push']\nif = { '/ref' = 'refs/heads/main', '/n' = [1, true] }\n\
         params = { project = '/srv/app', level = { from = '/a~1b', strip_prefix = 'v', default = 2 } }\n",
    ))
    .unwrap();
    let hook = pipeline.hook.clone().unwrap();
    assert_eq!((hook.secret.clone(), hook.line), (SecretLocation::Env("NIGHTLY".into()), 11));
    assert_eq!(hook.events, ["push"]);
    let place = PayloadField { from: "/a~1b".into(), strip_prefix: "v".into(), default: Some(json!(2)) };
    let params = BTreeMap::from([
        ("project".to_owned(), HookParam::Fixed(json!("/srv/app"))),
        ("level".to_owned(), HookParam::Payload(place)),
    ]);
    assert_eq!(hook.params, params);
    assert_eq!(json!(hook.conditions), json!({"/ref": ["refs/heads/main"], "/n": [1, true]}));
    let file = read(&self::hook("secret_file = '/run/secrets/nightly'\n")).unwrap().hook.unwrap();
    assert_eq!(file.secret, SecretLocation::File("/run/secrets/nightly".into()));
    let credential = read(&self::hook("secret_credential = 'nightly'\n")).unwrap().hook.unwrap();
    assert_eq!(credential.secret, SecretLocation::Credential("nightly".into()));
    // The JSON of the API, and the copy that an attempt stores.
    let shown = serde_json::to_string(&pipeline).unwrap();
    assert!(!shown.contains("NIGHTLY") && shown.contains("/a~1b"), "{shown}");
}

#[test]
fn hook_conditions_combine() {
    let text = "secret_env = 'A'\n[hook.if]\n'/ref' = { pattern = 'refs/heads/.*', not = 'refs/heads/wip' }\n\
                '/deleted' = { not = true }\n[[hook.if.any]]\n'/n' = [1, 2]\n[[hook.if.any]]\n'/push/changes/0/new'.exists = true\n";
    let conditions = read(&hook(text)).unwrap().hook.unwrap().conditions;
    let expected = json!({
        "/ref": {"pattern": "refs/heads/.*", "not": ["refs/heads/wip"]},
        "/deleted": {"not": [true]},
        "any": [{"/n": [1, 2]}, {"/push/changes/0/new": {"exists": true}}],
    });
    assert_eq!(json!(conditions), expected);
}

#[test]
fn extension_can_have_schedules_and_a_hook() {
    let text = "name = 'p'\nextends = 'autofix'\n[[linters]]\nname = 'ruff'\nrun = 'x'\n[[schedules]]\ncron = '@daily'\n\
                params = { project = '/srv/app' }\n[hook]\nsecret_env = 'A'\nparams = { project = { from = '/x' } }\n";
    let pipeline = read(text).unwrap();
    assert!(pipeline.schedules.len() == 1 && pipeline.hook.is_some());
    let fault = read(&text.replace("params = { project = '/srv/app' }\n", "")).unwrap_err();
    assert!(fault.line == 6 && fault.reason.contains("required"), "{fault}");
}

/// A file whose parameter `level` is required.
fn required(lines: &str) -> String {
    with(lines).replace("'integer'\n", "'integer'\nrequired = true\n")
}

#[test]
fn schedule_faults_have_line_and_reason() {
    let daily = |lines: &str| schedule(&format!("cron = '@daily'\n{lines}"));
    assert_refused(&[
        ("no cron", schedule("name = 'x'\n"), 11, "Missing field `cron`."),
        ("unknown key", daily("cronn = 1\n"), 13, "Unknown key `cronn`. Did you mean `cron`?"),
        ("four fields", schedule("cron = '* * * *'\n"), 12, "five fields, minute hour day month weekday"),
        ("out of range", schedule("\ncron = '61 * * * *'\n"), 13, "The minute 61 is out of range"),
        ("no expression", schedule("cron = ''\n"), 12, "`cron` is empty"),
        ("a year", schedule("\n\ncron = '0 0 12 * * ? *'\n"), 14, "the year"),
        ("backward", schedule("cron = '0 3 * * FRI-MON'\n"), 12, "Write `FRI-SUN,MON`."),
        ("reboot", schedule("cron = '@reboot'\n"), 12, "`@reboot` is no time"),
        ("zone before", schedule("cron = 'TZ=UTC 0 3 * * *'\n"), 12, "`timezone = \"UTC\"`"),
        ("question mark", schedule("cron = '0 3 ? * 1'\n"), 12, "day of month field has `?`"),
        ("never", schedule("cron = '0 0 30 2 *'\n"), 12, "never comes"),
        ("zone", daily("timezone = 'Mars/Olympus'\n"), 13, "IANA name of a time zone"),
        ("missed", daily("missed = 'all'\n"), 13, "`skip` or `once`"),
        ("overlap", daily("overlap = 'all'\n"), 13, "`skip`, `one`"),
        ("blank name", daily("name = ' '\n"), 13, "A schedule's name"),
        ("name over lines", daily("name = \"a\\nb\"\n"), 13, "A schedule's name"),
        ("twice", daily("[[schedules]]\ntimezone = 'UTC'\ncron = '@daily'\n"), 15, "a `name` of its own"),
        ("unknown param", daily("params = { more = 1 }\n"), 13, "no parameter `more`"),
        ("wrong type", daily("params = { level = 'high' }\n"), 13, "must be a whole number"),
        ("a list", daily("[schedules.params]\n\nlevel = [1]\n"), 15, "text, a whole number"),
        ("relative path", daily("params = { project = 'app' }\n"), 13, "absolute path"),
        ("missing param", required("[[schedules]]\ncron = '@daily'\n"), 12, "level is required"),
    ]);
}

#[test]
fn hook_faults_have_line_and_reason() {
    let signed = |lines: &str| hook(&format!("secret_env = 'A'\n{lines}"));
    assert_refused(&[
        ("no secret", hook("events = ['push']\n"), 11, "needs `secret_env` or `secret_file`"),
        ("two secrets", signed("secret_file = '/a'\n"), 13, "one secret"),
        ("the secret itself", hook("secret_env = 'hunter-2!'\n"), 12, "not the secret itself"),
        ("secret in the file", hook("secret = 'x'\n"), 12, "Unknown key `secret`"),
        ("relative secret", hook("secret_file = 'a'\n"), 12, "absolute path of a file"),
        ("no events", signed("events = []\n"), 13, "Leave it out"),
        ("blank event", signed("events = ['']\n"), 13, "names such as"),
        ("pointer", signed("params = { level = { from = 'ref' } }\n"), 13, "no JSON Pointer"),
        ("unknown from", signed("params = { level = { form = '/ref' } }\n"), 13, "a table such as { from"),
        ("unknown hook param", signed("params = { more = { from = '/ref' } }\n"), 13, "no parameter `more`"),
        ("fixed type", signed("params = { level = 'x' }\n"), 13, "must be a whole number"),
        ("default type", signed("params = { level = { from = '/x', default = 'x' } }\n"), 13, "must be a whole number"),
        ("missing hook param", required("[hook]\nsecret_env = 'A'\n"), 12, "do not say `level`"),
        ("condition place", signed("if = { ref = 'x' }\n"), 13, "no JSON Pointer"),
        ("condition value", signed("if = { '/ref' = [] }\n"), 13, "a list of them"),
        ("no table", signed("if = ['/ref']\n"), 13, "A condition is a table"),
        ("unknown test", signed("[hook.if]\n'/a' = 1\n'/ref' = { equal = 1 }\n"), 15, "`equal` is not known"),
        ("bad pattern", signed("[hook.if]\n\n'/ref' = { pattern = '(' }\n"), 15, "unclosed group"),
        ("glob", signed("if = { '/ref' = { pattern = 'refs/heads/*' } }\n"), 13, "write `/.*`"),
        (
            "nested pointer",
            signed("[hook.if]\nany = [\n  { '/a' = 1 },\n  { not = { ref = 'x' } },\n]\n"),
            16,
            "`ref` is no JSON Pointer",
        ),
        ("exists", signed("[[hook.if.all]]\n'/a' = 1\n[[hook.if.all]]\n'/b'.exists = 'no'\n"), 16, "without quotes"),
        ("fraction", signed("if = { '/n' = 1.5 }\n"), 13, "a list of them"),
        ("date", signed("if = { '/n' = 2026-01-01 }\n"), 13, ""),
    ]);
}
