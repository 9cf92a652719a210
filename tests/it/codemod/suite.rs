//! The test suite of a project: how it is run, and the result of each test by name.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// How often a test of each name passed and failed: names may be used twice.
#[derive(Debug, Default, PartialEq)]
pub struct Results(BTreeMap<String, [usize; 2]>);

impl Results {
    /// Runs the suite in this folder, for half an hour at most. It may fail as a whole: only its tests count.
    ///
    /// # Errors
    /// No test passed: the command and the end of what it printed.
    pub fn of(command: &str, folder: &Path) -> Result<Self, String> {
        let mut shell = Command::new("timeout");
        shell.args(["--kill-after=10", "1800", "bash", "-c"]).arg(format!("exec 2>&1\n{command}"));
        let done = shell.current_dir(folder).output().unwrap();
        let results = Self::read(&String::from_utf8_lossy(&done.stdout));
        if results.passed() > 0 {
            return Ok(results);
        }
        let end: Vec<_> = done.stdout.split(|byte| *byte == b'\n').rev().take(30).collect();
        let end = end.iter().rev().map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>().join("\n");
        Err(format!("no test passed: {}\n{end}", command.trim()))
    }

    /// Output of a runner: cargo test, go test -json, pytest -rA, or any that prints TAP.
    pub fn read(output: &str) -> Self {
        let (mut results, mut binary) = (Self::default(), "");
        for line in output.lines().map(str::trim) {
            if let Some(rest) = line.strip_prefix("Running ").or_else(|| line.strip_prefix("Doc-tests ")) {
                binary = rest.split(" (").next().unwrap_or_default();
            }
            if let Some((name, passed)) = by_cargo(line).or_else(|| by_go(line)).or_else(|| by_pytest(line)) {
                results.count(format!("{binary} {name}").trim().to_owned(), passed);
            } else if let Some((name, passed)) = by_tap(line) {
                results.count(name.to_owned(), passed);
            }
        }
        results
    }

    fn count(&mut self, name: String, passed: bool) {
        self.0.entry(name).or_default()[usize::from(!passed)] += 1;
    }

    pub fn passed(&self) -> usize {
        self.0.values().map(|[passed, _]| passed).sum()
    }

    pub fn failed(&self) -> usize {
        self.0.values().map(|[_, failed]| failed).sum()
    }

    /// The tests that pass less often afterwards: they fail, or do not run any more.
    pub fn broken(&self, after: &Self) -> Vec<&str> {
        let passed = |name: &str| after.0.get(name).map_or(0, |[passed, _]| *passed);
        let broken = self.0.iter().filter(|(name, [before, _])| passed(name) < *before);
        broken.map(|(name, _)| name.as_str()).collect()
    }
}

/// `test NAME ... ok`. Tests in documentation are named by their line, which a fix may move.
fn by_cargo(line: &str) -> Option<(String, bool)> {
    let (name, outcome) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let passed = match outcome {
        "ok" => true,
        "FAILED" => false,
        _ => return None,
    };
    Some((name.split(" (line ").next()?.to_owned(), passed))
}

fn by_go(line: &str) -> Option<(String, bool)> {
    let event: Value = serde_json::from_str(line).ok()?;
    let passed = match event["Action"].as_str()? {
        "pass" => true,
        "fail" => false,
        _ => return None,
    };
    Some((format!("{}.{}", event["Package"].as_str()?, event["Test"].as_str()?), passed))
}

/// `PASSED file::name`, `FAILED file::name - why`.
fn by_pytest(line: &str) -> Option<(String, bool)> {
    let (outcome, name) = line.split_once(' ')?;
    let passed = match outcome {
        "PASSED" => true,
        "FAILED" | "ERROR" => false,
        _ => return None,
    };
    Some((name.split(" - ").next()?.to_owned(), passed))
}

/// `ok 3 - name # time=5ms`, `not ok 4 name`.
fn by_tap(line: &str) -> Option<(&str, bool)> {
    let passed = !line.starts_with("not ");
    let rest = line.strip_prefix("not ").unwrap_or(line).strip_prefix("ok ")?;
    let name = rest.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start().trim_start_matches("- ");
    let name = name.split(" # ").next()?;
    (name.len() < rest.len()).then_some((name, passed))
}

#[test]
fn suite_reads_outputs_of_test_runners() {
    let results = Results::read(
        "     Running tests/a.rs (target/debug/deps/a-1)\ntest one ... ok\ntest two ... FAILED\ntest three ... ignored\n\
         {\"Action\":\"pass\",\"Package\":\"p\",\"Test\":\"T\"}\n{\"Action\":\"pass\",\"Package\":\"p\"}\n\
         PASSED t.py::a[1 - 2]\nERROR t.py - no\nok 1 - same # time=1ms\nok 2 same\nnot ok 3 other\nok then\n",
    );
    let expected = [
        ("tests/a.rs one", [1, 0]),
        ("tests/a.rs two", [0, 1]),
        ("tests/a.rs p.T", [1, 0]),
        ("tests/a.rs t.py::a[1", [1, 0]),
        ("tests/a.rs t.py", [0, 1]),
        ("same", [2, 0]),
        ("other", [0, 1]),
    ];
    assert_eq!(results, Results(expected.map(|(name, count)| (name.to_owned(), count)).into()));
    let after =
        Results::read("     Running tests/a.rs (target/debug/deps/a-2)\ntest one ... ok\nok 1 same\nnot ok 2 same\n");
    assert_eq!(results.broken(&after), ["same", "tests/a.rs p.T", "tests/a.rs t.py::a[1"]);
}

#[test]
fn suite_without_passing_tests_is_an_error() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(Results::of("echo ok 1 one", folder).is_ok());
    let error = Results::of("echo not ok 1 one; echo broken >&2; exit 1", folder).unwrap_err();
    assert!(error.starts_with("no test passed: echo") && error.contains("not ok 1 one\nbroken"), "{error}");
}
