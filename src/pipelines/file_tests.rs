//! What a pipeline file may say, and on which line it is refused otherwise.

use proptest::prelude::*;

use super::*;
use crate::model::hook::SecretLocation;
use crate::model::notify::{NotifyEvent, ReceiverAddress};
use crate::model::plan::{PhaseCondition, RetryPolicy};
use crate::model::queue::{BusyPolicy, Concurrency};
use crate::model::sandbox::Sandbox;
use crate::model::{ApprovalRule, OutputMode, Params, PhaseSpec, PhaseState, Retention};

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

fn read(text: &str) -> Result<Pipeline, PipelineFileError> {
    parse("x.toml", text.as_bytes()).map(|parsed| parsed.pipeline)
}

#[test]
fn a_full_file_says_all_of_it() {
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
fn a_pipeline_may_say_how_long_its_runs_are_kept() {
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
fn a_phase_may_wait_for_a_person() {
    let asked = |lines: &str| read(&with(lines)).unwrap().phases[0].clone();
    assert_eq!(asked("").approval, ApprovalRule::Fixed(false));
    let always = asked("approval = true\n");
    assert_eq!(
        (always.approval.clone(), always.approval_question().as_str()),
        (ApprovalRule::Fixed(true), "Go on with phase a?")
    );
    assert!(always.approval.is_required(&Params::new(), 0));
    assert_eq!(asked("approval = true\nquestion = 'Deploy?'\n").approval_question(), "Deploy?");

    let ticked = "approval = { param = 'ask', patches = true }\n[[params]]\nname = 'ask'\ntype = 'boolean'\n";
    let gate = asked(ticked).approval;
    for (value, patches, closed) in
        [(None, 1, false), (Some(false), 1, false), (Some(true), 0, false), (Some(true), 1, true)]
    {
        let params = value.map(|value| ("ask".to_owned(), ParamValue::Boolean(value))).into_iter().collect();
        assert_eq!(gate.is_required(&params, patches), closed, "{value:?}, {patches} patches");
    }
}

#[test]
fn a_pipeline_names_who_is_told_of_its_runs() {
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
fn a_receiver_has_its_address_and_its_secret_in_one_place_each() {
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
fn what_may_be_left_out_has_its_default() {
    let text = "\u{feff}name = 'p'\r\n[[phases]]\r\nname = 'a'\r\nrun = 'true'\r\n";
    let pipeline = read(text).unwrap();
    assert_eq!((pipeline.title.as_str(), pipeline.on_interrupt), ("p", OnInterrupt::Fail));
    assert!(pipeline.params.is_empty());
}

/// A file that is good but for these lines, which begin at line 5.
fn with(lines: &str) -> String {
    format!("name = 'p'\n[[phases]]\nname = 'a'\nrun = 'true'\n{lines}")
}

fn sandboxed(sandbox: &str, lines: &str) -> String {
    format!("sandbox = {sandbox}\n{}", with(lines))
}

#[test]
fn a_pipeline_may_be_confined() {
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
fn a_phase_may_say_how_it_prints_and_whether_it_keeps_processes() {
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
fn a_phase_may_say_when_and_how_it_runs() {
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

/// A file that extends AutoFix; these lines, which begin at line 6, are the linter's.
fn extended(lines: &str) -> String {
    format!("name = 'p'\nextends = 'autofix'\n[[linters]]\nname = 'ruff'\nrun = 'ruff check'\n{lines}")
}

#[test]
fn a_file_may_give_autofix_linters() {
    let base = codemod::autofix_with(&[], &[]);
    let text = extended("timeout = '90s'\n").replace("'p'\n", "'p'\ntitle = 'Python'\n");
    let pipeline = read(&text).unwrap();
    assert_eq!((pipeline.name.as_str(), pipeline.title.as_str()), ("p", "Python"));
    assert_eq!(pipeline.description, base.description);
    let names = |pipeline: &Pipeline| pipeline.phases.iter().map(|phase| phase.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&pipeline), names(&base));
    let given = r#"'[{"name":"ruff","run":"ruff check","timeout_ms":90000}]'"#;
    assert!(pipeline.phases[1].run.contains(given), "{}", pipeline.phases[1].run);
    let reviewed = read(&extended("fixes = 'review'\n")).unwrap();
    assert!(reviewed.phases[1].run.contains(r#""fixes":"review""#), "{}", reviewed.phases[1].run);
    let rules =
        |pipeline: &Pipeline| pipeline.params.iter().find(|param| param.name == "rules").unwrap().choices.clone();
    assert!(rules(&pipeline).contains(&"none".to_owned()) && !rules(&base).contains(&"none".to_owned()));
}

#[test]
fn a_file_may_say_which_runs_wait_for_which() {
    let said =
        |lines: &str| read(&format!("{lines}\n{}", with("[[params]]\nname = 'project'\ntype = 'path'\n"))).unwrap();
    let none = said("");
    assert_eq!((none.concurrency, none.priority), (None, 0));
    let text = said("concurrency = 'per project'\npriority = -5");
    assert_eq!(
        (text.priority, text.concurrency),
        (-5, Some(Concurrency { per: "project".into(), when_busy: BusyPolicy::Queue }))
    );
    for (word, when_busy) in
        [("queue", BusyPolicy::Queue), ("cancel-previous", BusyPolicy::CancelPrevious), ("refuse", BusyPolicy::Refuse)]
    {
        let table = said(&format!("concurrency = {{ per = 'pipeline', when_busy = '{word}' }}"));
        assert_eq!(table.concurrency, Some(Concurrency { per: "pipeline".into(), when_busy }));
    }
    let base = read(&format!("concurrency = 'per project'\n{}", extended(""))).unwrap();
    assert!(base.concurrency.is_some());
}

#[test]
fn each_bad_file_is_refused_with_its_line_and_reason() {
    let param = |lines: &str| with(&format!("[[params]]\nname = 'x'\n{lines}"));
    let cases: &[(&str, String, usize, &str)] = &[
        ("empty", String::new(), 1, "Missing field `name`."),
        ("no phases", "\nname = 'p'\n".into(), 1, "Missing field `phases`."),
        ("empty phases", "name = 'p'\nphases = []\n".into(), 2, "at least one phase"),
        ("no run", "name = 'p'\n[[phases]]\nname = 'a'\n".into(), 2, "Missing field `run`."),
        ("syntax", "name = 'p'\ntitle = \n".into(), 2, "not valid TOML"),
        ("unclosed", "name = 'p'\ntitle = \"\"\"\nabc\n\n\n".into(), 3, "not valid TOML"),
        ("twice", "name = 'p'\nname = 'q'\n".into(), 2, "duplicate key"),
        ("unknown key", "name = 'p'\nversion = 2\n".into(), 2, "Unknown field `version`, expected one of"),
        ("unknown table", with("\n[phase]\nrun = 'x'\n"), 6, "Unknown field `phase`"),
        ("unknown phase key", with("timeuot = '1m'\n"), 5, "Unknown field `timeuot`"),
        ("unknown param key", param("type = 'string'\nchoice = ['a']\n"), 8, "Unknown field `choice`"),
        ("name type", "name = 5\n".into(), 1, "expected a string"),
        ("bad name", with("").replace("'p'", "'My Pipeline'"), 1, "a to z, 0 to 9 and `-`"),
        ("empty name", with("").replace("'p'", "''"), 1, "is not empty"),
        ("reserved", with("").replace("'p'", "'autofix'"), 1, "built-in"),
        ("on_interrupt", format!("on_interrupt = 'retry'\n{}", with("")), 1, "`fail` or `resume`"),
        ("group", format!("concurrency = 'project'\n{}", with("")), 1, "`project` is no group of runs"),
        ("group by nothing", format!("\nconcurrency = 'per x'\n{}", with("")), 2, "no parameter `x`"),
        (
            "group key",
            format!("concurrency = {{ per = 'pipeline', limit = 2 }}\n{}", with("")),
            1,
            "`concurrency` is text such as",
        ),
        (
            "group of both",
            format!("concurrency = 'per pipeline'\n{}[[params]]\nname = 'pipeline'\ntype = 'string'\n", with("")),
            1,
            "Rename",
        ),
        (
            "when busy",
            format!("concurrency = {{ per = 'pipeline', when_busy = 'wait' }}\n{}", with("")),
            1,
            "`concurrency` is text such as",
        ),
        ("priority", format!("priority = 101\n{}", with("")), 1, "from -100 to 100"),
        ("param type", param("type = 'float'\n"), 7, "Unknown variant `float`"),
        ("no param type", param("required = true\n"), 5, "Missing field `type`."),
        ("param name", with("[[params]]\nname = 'x1'\ntype = 'string'\n"), 6, "a to z and `_`"),
        ("param twice", param("type = 'path'\n[[params]]\ntype = 'path'\nname = 'x'\n"), 10, "`x` is there twice"),
        ("required", param("type = 'path'\nrequired = 'yes'\n"), 8, "expected a boolean"),
        ("integer default", param("type = 'integer'\ndefault = '3'\n"), 8, "whole number, without quotes"),
        ("boolean default", param("type = 'boolean'\ndefault = 1\n"), 8, "true or false"),
        ("string default", param("type = 'string'\ndefault = 2020-01-01\n"), 8, "text, in quotes"),
        ("NUL default", param("type = 'string'\ndefault = \"a\\u0000\"\n"), 8, "NUL"),
        ("path default", param("type = 'path'\ndefault = 'here'\n"), 8, "absolute path"),
        ("no choices", param("type = 'choice'\n"), 5, "needs `choices`"),
        ("empty choices", param("type = 'choice'\nchoices = []\n"), 8, "nothing to choose"),
        ("blank choice", param("type = 'choice'\nchoices = [\n'a',\n' ']\n"), 10, "neither blank"),
        ("choice twice", param("type = 'choice'\nchoices = [\n'a',\n'a']\n"), 10, "\"a\" is there twice"),
        ("choice default", param("type = 'choice'\nchoices = ['a', 'b']\ndefault = 'c'\n"), 9, "choices: a, b."),
        ("choices of a string", param("type = 'string'\nchoices = ['a']\n"), 8, "Only a parameter of type \"choice\""),
        ("output", with("output = 'both'\n"), 5, "\"merged\" (the default), \"separate\" or \"tty\""),
        ("output's type", with("output = true\n"), 5, "string"),
        ("phase name", with("[[phases]]\nname = 'A'\nrun = 'x'\n"), 6, "`-` and `_`"),
        ("phase twice", with("[[phases]]\nrun = 'x'\nname = 'a'\n"), 7, "`a` is there twice"),
        ("blank run", with("[[phases]]\nname = 'b'\nrun = ' \\n'\n").replace('\'', "\""), 7, "blank"),
        (
            "long run",
            with("[[phases]]\nname = 'b'\nrun = 'x'\n").replace("'x'", &format!("'{}'", "x".repeat(131_072))),
            7,
            "script",
        ),
        ("timeout number", with("timeout = 600\n"), 5, "in quotes, such as \"10m\""),
        ("timeout text", with("timeout = 'soon'\n"), 5, "duration such as"),
        ("timeout without unit", with("timeout = '10'\n"), 5, "unit"),
        ("timeout zero", with("timeout = '0s'\n"), 5, "at least 1ms"),
        ("timeout below 1ms", with("timeout = '10us'\n"), 5, "at least 1ms"),
        ("timeout too long", with("timeout = '584542047y'\n"), 5, "too long"),
        ("many retries", with("retries = 101\n"), 5, "at most 100"),
        ("retry_delay alone", with("retry_delay = '5s'\n"), 5, "`retry_delay` is for a phase with `retries`"),
        ("retry_on alone", with("\nretry_on = [1]\n"), 6, "`retry_on` is for a phase with `retries`"),
        ("retry_delay text", with("retries = 1\nretry_delay = 'soon'\n"), 6, "duration such as"),
        ("retry_on nothing", with("retries = 1\nretry_on = []\n"), 6, "exit codes from 1 to 255"),
        ("retry_on success", with("retries = 1\nretry_on = [0]\n"), 6, "exit codes from 1 to 255"),
        ("condition", with("if = 'maybe'\n"), 5, "`maybe` is no condition"),
        ("condition type", with("if = 3\n"), 5, "`if` is a condition such as"),
        ("condition on itself", with("if = 'a.failed'\n"), 5, "no phase `a` before this one"),
        ("env name", with("env = { '1A' = 'x' }\n"), 5, "begins with no digit"),
        ("env own", with("env = { RUNTRAIL_TOKEN = 'x' }\n"), 5, "the server's own"),
        ("env type", with("env = { A = 1 }\n"), 5, "expected a string"),
        ("dir outside", with("dir = '../other'\n"), 5, "below that of the run"),
        ("dir absolute", with("dir = '/etc'\n"), 5, "below that of the run"),
        ("negative retries", with("retries = -1\n"), 5, "less than 0"),
        ("linters alone", with("[[linters]]\nname = 'a'\nrun = 'x'\n"), 5, "Only a pipeline with `extends"),
        ("extends unknown", extended("").replace("autofix", "refactor"), 2, "`refactor` cannot be extended"),
        ("extends without linters", "name = 'p'\nextends = 'autofix'\n".into(), 2, "names `[[linters]]`"),
        (
            "extends with phases",
            format!("{}[[phases]]\nname = 'a'\nrun = 'x'\n", extended("")),
            6,
            "The phases are those",
        ),
        (
            "extends with params",
            format!("{}[[params]]\nname = 'x'\ntype = 'string'\n", extended("")),
            6,
            "The parameters are",
        ),
        ("linter's fixes", extended("fixes = 'unsafe'\n"), 6, "expected `safe` or `review`"),
        ("linter twice", format!("{}[[linters]]\nname = 'ruff'\nrun = 'x'\n", extended("")), 7, "is there twice"),
        ("linter name", extended("").replace("'ruff'", "'Ruff'"), 4, "A linter's name"),
        ("linter blank", extended("").replace("'ruff check'", "' '"), 5, "neither blank"),
        ("linter timeout", extended("timeout = 5\n"), 6, "in quotes, such as"),
        ("linter unknown", extended("format = 'json'\n"), 6, "Unknown field `format`"),
        ("notify of nobody", with("[[notify]]\n"), 5, "needs `url`, or `url_env`"),
        ("notify of two", with("[[notify]]\nurl = 'http://a/'\nurl_env = 'A'\n"), 7, "one of `url`"),
        ("notify by mail", with("[[notify]]\nurl = 'mailto:secret@a'\n"), 6, "neither http:// nor https://"),
        ("notify no host", with("[[notify]]\nurl = 'https:///secret'\n"), 6, "names no host"),
        ("notify no port", with("[[notify]]\nurl = 'https://a:secret/'\n"), 6, "invalid port"),
        (
            "notify secret",
            with("[[notify]]\nurl = 'http://a/'\nsecret_env = 'whsec_a+b='\n"),
            7,
            "never the secret itself",
        ),
        ("notify own variable", with("[[notify]]\nurl_env = 'RUNTRAIL_TOKEN'\n"), 6, "the server's own"),
        ("notify on nothing", with("[[notify]]\nurl = 'http://a/'\non = []\n"), 7, "told of nothing"),
        (
            "notify on what",
            with("[[notify]]\nurl = 'http://a/'\non = ['failed',\n'done']\n"),
            8,
            "completed, failed, cancelled",
        ),
        ("notify on twice", with("[[notify]]\nurl = 'http://a/'\non = ['failed', 'failed']\n"), 7, "is there twice"),
        ("notify unknown", with("[[notify]]\nurl = 'http://a/'\nsecret = 'x'\n"), 7, "Unknown field `secret`"),
        ("notify many", with(&"[[notify]]\nurl = 'http://a/'\n".repeat(11)), 25, "at most 10 receivers"),
        ("approval word", with("\napproval = 'yes'\n"), 6, "`approval` is true, false, or a table"),
        ("approval unknown", with("approval = { params = 'ask' }\n"), 5, "`approval` is true, false, or a table"),
        ("approval of nothing", with("approval = { param = 'ask' }\n"), 5, "no parameter `ask` of type \"boolean\""),
        ("question for nobody", with("question = 'Sure?'\n"), 5, "Only a phase with `approval`"),
        ("no retention", with("[retention]\n"), 5, "`retention` says how long"),
        ("age bare", with("[retention]\nage = 30\n"), 6, "`age` is a duration in quotes, such as \"30d\""),
        ("age unknown", with("[retention]\nage = 'soon'\n"), 6, "`age` is a duration such as"),
        ("age zero", with("[retention]\nage = '0s'\n"), 6, "at least 1ms"),
        ("age too long", with("[retention]\nage = '900000000000y'\n"), 6, "`age` is"),
        ("count zero", with("[retention]\ncount = 0\n"), 6, "`count` is how many"),
        ("count less", with("[retention]\ncount = -1\n"), 6, "`count` is how many"),
        ("count text", with("[retention]\ncount = '5'\n"), 6, "nvalid type"),
        ("retention unknown", with("[retention]\nsize = '1g'\n"), 6, "nknown field `size`"),
        ("blank question", with("approval = true\nquestion = ' '\n"), 6, "`question` is blank"),
        ("memory", with("[limits]\nmemory = 'much'\n"), 6, "`memory` is a size"),
        ("processes", with("[limits]\nprocesses = 0\n"), 6, "`processes` is how many"),
        ("sandbox", sandboxed("'always'", ""), 1, "nknown variant `always`"),
        ("network without sandbox", format!("network = true\n{}", with("")), 1, "Without a `sandbox`"),
        ("background in a sandbox", sandboxed("'required'", "background = true\n"), 1, "`a` has `background`"),
        ("privileges in a sandbox", sandboxed("'if-available'", "gain_privileges = true\n"), 1, "`gain_privileges`"),
    ];
    for (what, text, line, reason) in cases {
        let fault = read(text).expect_err(what);
        assert!(fault.reason.contains(reason), "{what}: {fault}");
        assert_eq!((fault.file.as_str(), fault.line), ("x.toml", *line), "{what}: {fault}");
        assert!(fault.reason.ends_with('.') && !fault.reason.contains('\n'), "{what}: {fault}");
    }
}

#[test]
fn bytes_that_are_not_text_are_refused_on_their_line() {
    let fault = parse("x.toml", b"name = 'p'\n# \xff\n").unwrap_err();
    assert_eq!(fault.line, 2);
    assert!(fault.reason.contains("UTF-8"), "{fault}");
}

/// Lines that a pipeline file is likely to have, in any order, so that the rules behind the grammar are reached too.
fn lines() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        3 => prop::sample::select(FULL.lines().map(str::to_owned).collect::<Vec<_>>()),
        1 => prop::sample::select(vec!["phases = [{}]", "default = {a = 1}", "timeout = '0.5s'", "params.name = 1", "[", "é"])
            .prop_map(str::to_owned),
        1 => ".{0,20}",
    ];
    prop::collection::vec(line, 0..30).prop_map(|lines| lines.join("\n"))
}

fn holds(bytes: &[u8]) -> Result<(), TestCaseError> {
    let last = String::from_utf8_lossy(bytes).lines().count().max(1);
    match parse("x.toml", bytes) {
        Ok(parsed) => prop_assert!(!parsed.pipeline.phases.is_empty() && parsed.name_line <= last),
        Err(fault) => prop_assert!((1..=last).contains(&fault.line) && !fault.reason.is_empty(), "{}", fault),
    }
    Ok(())
}

proptest! {
    #[test]
    fn arbitrary_bytes_give_a_pipeline_or_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        holds(&bytes)?;
    }

    #[test]
    fn arbitrary_lines_give_a_pipeline_or_a_fault(text in lines()) {
        holds(text.as_bytes())?;
    }

    #[test]
    fn a_file_cut_anywhere_gives_a_pipeline_or_a_fault(end in 0..FULL.len()) {
        holds(&FULL.as_bytes()[..end])?;
    }
}
