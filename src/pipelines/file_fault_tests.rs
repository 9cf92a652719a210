//! Faults of pipeline files: each is reported with its line and reason.

use super::test_pipelines::{assert_refused, extended, sandboxed, with};

/// A file with a parameter `x`; the lines begin at line 7.
fn param(lines: &str) -> String {
    with(&format!("[[params]]\nname = 'x'\n{lines}"))
}

#[test]
fn file_faults_have_line_and_reason() {
    assert_refused(&[
        ("empty", String::new(), 1, "Missing field `name`."),
        ("no phases", "\nname = 'p'\n".into(), 1, "Missing field `phases`."),
        ("empty phases", "name = 'p'\nphases = []\n".into(), 2, "at least one phase"),
        ("no run", "name = 'p'\n[[phases]]\nname = 'a'\n".into(), 2, "Missing field `run`."),
        ("syntax", "name = 'p'\ntitle = \n".into(), 2, "not valid TOML"),
        ("unclosed", "name = 'p'\ntitle = \"\"\"\nabc\n\n\n".into(), 3, "not valid TOML"),
        ("twice", "name = 'p'\nname = 'q'\n".into(), 2, "duplicate key"),
        ("unknown key", "name = 'p'\nversion = 2\n".into(), 2, "Unknown key `version`. The keys are `name`, `title`"),
        ("unknown table", with("\n[phase]\nrun = 'x'\n"), 6, "Unknown key `phase`. Did you mean `phases`?"),
        ("unknown phase key", with("timeuot = '1m'\n"), 5, "Unknown key `timeuot`. Did you mean `timeout`?"),
        (
            "unknown param key",
            param("type = 'string'\nchoice = ['a']\n"),
            8,
            "Unknown key `choice`. Did you mean `choices`?",
        ),
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
        ("label", format!("runs_on = ['linux', 'GPU']\n{}", with("")), 1, "`GPU` is not a label"),
        ("label twice", format!("runs_on = [\n'a',\n'a']\n{}", with("")), 3, "`a` is there twice"),
        ("labels", format!("runs_on = 'gpu'\n{}", with("")), 1, "expected a sequence"),
    ]);
}

#[test]
fn param_faults_have_line_and_reason() {
    assert_refused(&[
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
    ]);
}

#[test]
fn phase_faults_have_line_and_reason() {
    assert_refused(&[
        ("phase label", with("runs_on = ['']\n"), 5, "`` is not a label"),
        (
            "many labels",
            with(&format!("runs_on = [{}]\n", (0..17).map(|number| format!("'l{number}',")).collect::<String>())),
            5,
            "at most 16 labels",
        ),
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
        ("approval word", with("\napproval = 'yes'\n"), 6, "`approval` is true, false, or a table"),
        ("approval unknown", with("approval = { params = 'ask' }\n"), 5, "`approval` is true, false, or a table"),
        ("approval of nothing", with("approval = { param = 'ask' }\n"), 5, "no parameter `ask` of type \"boolean\""),
        ("question for nobody", with("question = 'Sure?'\n"), 5, "Only a phase with `approval`"),
        ("blank question", with("approval = true\nquestion = ' '\n"), 6, "`question` is blank"),
    ]);
}

#[test]
fn extension_faults_have_line_and_reason() {
    assert_refused(&[
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
        ("linter unknown", extended("format = 'json'\n"), 6, "Unknown key `format`. The keys are `"),
    ]);
}

#[test]
fn receiver_faults_have_line_and_reason() {
    assert_refused(&[
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
        (
            "notify unknown",
            with("[[notify]]\nurl = 'http://a/'\nsecret = 'x'\n"),
            7,
            "Unknown key `secret`. The keys are `",
        ),
        ("notify many", with(&"[[notify]]\nurl = 'http://a/'\n".repeat(11)), 25, "at most 10 receivers"),
    ]);
}

#[test]
fn retention_faults_have_line_and_reason() {
    assert_refused(&[
        ("no retention", with("[retention]\n"), 5, "`retention` says how long"),
        ("age bare", with("[retention]\nage = 30\n"), 6, "`age` is a duration in quotes, such as \"30d\""),
        ("age unknown", with("[retention]\nage = 'soon'\n"), 6, "`age` is a duration such as"),
        ("age zero", with("[retention]\nage = '0s'\n"), 6, "at least 1ms"),
        ("age too long", with("[retention]\nage = '900000000000y'\n"), 6, "`age` is"),
        ("count zero", with("[retention]\ncount = 0\n"), 6, "`count` is how many"),
        ("count less", with("[retention]\ncount = -1\n"), 6, "`count` is how many"),
        ("count text", with("[retention]\ncount = '5'\n"), 6, "nvalid type"),
        ("retention unknown", with("[retention]\nsize = '1g'\n"), 6, "Unknown key `size`. The keys are `age`, `count`"),
    ]);
}

#[test]
fn limit_and_sandbox_faults_have_line_and_reason() {
    assert_refused(&[
        ("memory", with("[limits]\nmemory = 'much'\n"), 6, "`memory` is a size"),
        ("processes", with("[limits]\nprocesses = 0\n"), 6, "`processes` is how many"),
        ("sandbox", sandboxed("'always'", ""), 1, "nknown variant `always`"),
        ("network without sandbox", format!("network = true\n{}", with("")), 1, "Without a `sandbox`"),
        ("background in a sandbox", sandboxed("'required'", "background = true\n"), 1, "`a` has `background`"),
        ("privileges in a sandbox", sandboxed("'if-available'", "gain_privileges = true\n"), 1, "`gain_privileges`"),
    ]);
}
