//! AutoFix with linters of the operator's own, whose output is SARIF.

use super::*;

/// A pipeline with one linter.
fn pipeline(world: &World, run: &str, more: &str) {
    let text =
        format!("name = \"lint\"\nextends = \"autofix\"\n[[linters]]\nname = \"own\"\nrun = '''\n{run}\n'''\n{more}");
    world.toml("lint", &text);
}

fn result(rule: &str, level: &str, path: &str, line: u64, fix: Value) -> Value {
    json!({
        "ruleId": rule,
        "level": level,
        "message": { "text": format!("{rule} is found") },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": path },
            "region": { "startLine": line, "startColumn": 1 },
        } }],
        "fixes": fix,
    })
}

/// A fix that replaces these places: line, from and to column, text.
fn fix(path: &str, places: &[(u64, u64, u64, &str)]) -> Value {
    let replacements = places.iter().map(|(line, from, to, text)| {
        let region = json!({ "startLine": line, "startColumn": from, "endLine": line, "endColumn": to });
        json!({ "deletedRegion": region, "insertedContent": { "text": text } })
    });
    let replacements: Vec<Value> = replacements.collect();
    json!([{ "artifactChanges": [{ "artifactLocation": { "uri": path }, "replacements": replacements }] }])
}

async fn lint(server: &Server, repository: &Repository, params: Value) -> (String, Value) {
    let project = json!({ "project": repository.path(), "rules": "none" });
    let id = start_with(server, "lint", project, params).await;
    let run = finished(server, &id).await;
    (id, run)
}

#[tokio::test]
async fn linter_findings_are_fixed() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    let code = "import os\nprint(getcwd())\nprint(getcwd())\n";
    repository.commit(&[("a.py", code), ("b.yml", "on: yes\n"), ("c.py", "x = 1\n"), ("d.py", "y = 1\n")]);
    std::os::unix::fs::symlink("a.py", repository.path().join("link.py")).unwrap();
    repository.git(&["add", "."]);
    repository.git(&["commit", "-q", "-m", "link"]);
    let before = Snapshot::of(&repository);
    let log = json!({ "version": "2.1.0", "runs": [{ "tool": { "driver": { "name": "own" } }, "results": [
        // Two places that only make sense together.
        result("alias", "warning", "a.py", 2, fix("a.py", &[(1, 1, 10, "import os as o"), (2, 7, 13, "o.getcwd")])),
        // Shares the first of them, which is made once.
        result("alias", "warning", "a.py", 3, fix("a.py", &[(1, 1, 10, "import os as o"), (3, 7, 13, "o.getcwd")])),
        // In a language that is not known.
        result("truthy", "error", "b.yml", 1, fix("b.yml", &[(1, 5, 8, "true")])),
        // The first would not parse any more; the second is applied alone.
        result("broken", "error", "c.py", 1, fix("c.py", &[(1, 1, 2, "((")])),
        result("good", "error", "c.py", 1, fix("c.py", &[(1, 5, 6, "2")])),
        // A file that the linter has made itself: it is in no commit.
        result("made", "error", "made.py", 1, fix("made.py", &[(1, 1, 5, "x = 1")])),
        // Below the minimum severity, outside the project, behind a link, and without a fix.
        result("style", "note", "d.py", 1, fix("d.py", &[(1, 1, 2, "z")])),
        result("outside", "error", "../secret.py", 1, Value::Null),
        result("behind", "error", "link.py", 1, fix("link.py", &[(1, 1, 10, "import sys")])),
        result("told", "error", "d.py", 1, json!([])),
    ] }] });
    let sarif = world.file("log.sarif");
    std::fs::write(&sarif, log.to_string()).unwrap();
    // It leaves something behind, changes a file, talks, and ends as linters do that find something.
    pipeline(
        &world,
        &format!("echo made > made.py; echo z >> d.py; echo busy >&2; cat '{}'; exit 1", sarif.display()),
        "",
    );
    let server = world.serve();
    let (id, run) = lint(&server, &repository, json!({ "severity": "warning" })).await;
    assert_eq!(run["status"], "completed", "{run}");

    let findings = told(&server, &id, "finding").await;
    let found: Vec<(&str, &str, bool)> = findings
        .iter()
        .map(|found| (found["rule"].as_str().unwrap(), found["path"].as_str().unwrap(), found["fixable"] == true))
        .collect();
    let expected = [
        ("own/truthy", "b.yml", true),
        ("own/broken", "c.py", true),
        ("own/good", "c.py", true),
        ("own/told", "d.py", false),
        ("own/alias", "a.py", true),
        ("own/alias", "a.py", true),
    ];
    let sorted = |mut all: Vec<(&str, &str, bool)>| {
        all.sort_unstable();
        all.into_iter().map(|(a, b, c)| (a.to_owned(), b.to_owned(), c)).collect::<Vec<_>>()
    };
    assert_eq!(sorted(found), sorted(expected.to_vec()));
    let branch = format!("runtrail/{id}-1");
    let at = |path: &str| repository.git(&["show", &format!("{branch}:{path}")]);
    assert_eq!(at("a.py"), "import os as o\nprint(o.getcwd())\nprint(o.getcwd())\n");
    assert_eq!(at("b.yml"), "on: true\n");
    assert_eq!(at("c.py"), "x = 2\n");
    assert_eq!(repository.git(&["diff", "--name-only", "HEAD", &branch]), "a.py\nb.yml\nc.py\n");
    assert_eq!(repository.applied("HEAD", &told(&server, &id, "patch").await), repository.tree(&branch));
    let lines = server.lines(&id).await;
    for says in ["busy", "own: it changed 1 file, which was undone: only its report counts", "own: 6 findings"] {
        assert!(lines.iter().any(|line| line == says), "{says:?} is not in {lines:#?}");
    }
    let skipped = |what: &str| lines.iter().any(|line| line.starts_with("own: ") && line.contains(what));
    assert!(skipped("secret.py") && skipped("link.py") && skipped("made.py"), "{lines:#?}");
    assert!(
        lines.iter().any(|line| line == "left a match in c.py as it is: line 1, column 1 would not parse any more"),
        "{lines:#?}"
    );
    let outcome = told(&server, &id, "outcome").await.remove(0);
    assert_eq!((&outcome["findings"], &outcome["fixed"], &outcome["left"]), (&json!(6), &json!(4), &json!(2)));
    before.assert_untouched(&repository, &[&branch]);
}

#[tokio::test]
async fn linter_failure_fails_the_run() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    repository.commit(&[("a.py", "x = 1\n")]);
    let before = Snapshot::of(&repository);
    let server = world.serve();
    for (run, more, says) in [
        ("absent-linter --sarif", "", "the linter own (exit status: 127): the linter printed nothing"),
        ("echo 'Traceback: no'", "", "printed no SARIF"),
        ("echo '{\"version\": \"2.0.0\", \"runs\": []}'", "", "is of version 2.0.0"),
        ("sleep 100", "timeout = \"200ms\"\n", "the linter own took longer than 200ms"),
    ] {
        pipeline(&world, run, more);
        until("the pipeline is as it is now", async || {
            let all = server.get_json("/api/v1/pipelines").await;
            let phase = all.as_array()?.iter().find(|one| one["name"] == "lint")?["phases"][1]["run"].clone();
            let told = serde_json::to_string(&format!("{run}\n")).unwrap();
            (phase.as_str()?.replace("'\\''", "'").contains(&told[1..told.len() - 1])).then_some(())
        })
        .await;
        let (id, run) = lint(&server, &repository, json!({})).await;
        assert_eq!(run["status"], "failed", "{run}");
        let error = told(&server, &id, "error").await.remove(0);
        assert_eq!(error["code"], "linter_failed");
        assert!(error["message"].as_str().unwrap().contains(says), "{error}");
        assert!(run["error"].as_str().unwrap().contains(says), "{run}");
    }
    before.assert_untouched(&repository, &[]);
    assert!(world.workspaces().is_empty());
}

/// Positions refer to the files as they were before the linter changed them.
#[tokio::test]
async fn linter_changes_are_undone() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    repository.commit(&[("a.py", "one = 1\ntwo = 2\n")]);
    let log = json!({ "version": "2.1.0", "runs": [{ "tool": { "driver": { "name": "own" } }, "results": [
        result("name", "error", "a.py", 2, fix("a.py", &[(2, 1, 4, "TWO")])),
    ] }] });
    let sarif = world.file("log.sarif");
    std::fs::write(&sarif, log.to_string()).unwrap();
    pipeline(&world, &format!("sed -i '1i #' a.py; cat '{}'", sarif.display()), "");
    let server = world.serve();
    let (id, run) = lint(&server, &repository, json!({})).await;
    assert_eq!(run["status"], "completed", "{run}");
    assert_eq!(repository.git(&["show", &format!("runtrail/{id}-1:a.py")]), "one = 1\nTWO = 2\n");
}

/// A linter is a command like any other.
#[tokio::test]
async fn linter_gets_no_server_variables() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    repository.commit(&[("a.py", "x = 1\n")]);
    let log = json!({ "version": "2.1.0", "runs": [{ "tool": { "driver": { "name": "own" } }, "results": [] }] });
    let seen = world.file("seen");
    pipeline(&world, &format!("env > '{}'; echo '{log}'", seen.display()), "");
    let server = world.serve_logged(&[("A_PASSWORD", "hunter-2")], &[]);
    let (_, run) = lint(&server, &repository, json!({})).await;
    assert_eq!(run["status"], "completed", "{run}");
    let seen = std::fs::read_to_string(seen).unwrap();
    assert!(seen.contains("PATH=") && !seen.contains("A_PASSWORD") && !seen.contains("RUNTRAIL_ADDR"), "{seen}");
}
