//! The pipeline `autofix` with rules of the project's own, so that the findings are known.

use super::*;

const RULES: &str = r#"
id: old-call
language: Rust
severity: warning
message: $A is called in the old way
rule: { pattern: old($A) }
fix: new($A)
---
id: gone
language: Rust
severity: error
message: gone is gone
rule: { pattern: gone() }
---
id: small
language: Rust
severity: hint
message: small
rule: { pattern: small() }
fix: tiny()
"#;

fn repository(world: &World, files: &[(&str, &str)]) -> Repository {
    let repository = Repository::new(world, "app");
    repository.write("sgconfig.yml", "ruleDirs: [rules, nowhere]\n");
    repository.write("rules/own.yml", RULES);
    repository.write("rules/bad.yml", "id: bad\nlanguage: Cobol\nrule: { pattern: x }\n");
    repository.write("rules/ruby.yml", "id: other\nlanguage: Ruby\nrule: { pattern: x }\n");
    repository.commit(files);
    repository
}

async fn fix(server: &Server, repository: &Repository, params: Value) -> (String, Value) {
    let project = json!({ "project": repository.path(), "rules": "project" });
    let id = start_with(server, "autofix", project, params).await;
    let run = finished(server, &id).await;
    (id, run)
}

#[tokio::test]
async fn autofix_orders_findings_and_fixes_them() {
    let world = World::new();
    let files = [
        ("a.rs", "fn a() {\n    small();\n    old(1);\n    // ast-grep-ignore\n    old(2);\n}\n"),
        ("b.rs", "fn b() {\n    gone();\n    old(old(3));\n}\n"),
        ("c.py", "old(1)\n"),
    ];
    let repository = repository(&world, &files);
    let before = Snapshot::of(&repository);
    let server = world.serve();
    let (id, run) = fix(&server, &repository, json!({})).await;
    assert_eq!(run["status"], "completed", "{run}");
    let findings = told(&server, &id, "finding").await;
    let short = |finding: &Value| {
        let text = |name: &str| finding[name].as_str().unwrap().to_owned();
        (text("path"), finding["line"].as_u64().unwrap(), text("rule"), text("severity"), finding["fixable"] == true)
    };
    let old = |path: &str, line| (path.to_owned(), line, "old-call".to_owned(), "warning".to_owned(), true);
    assert_eq!(
        findings.iter().map(short).collect::<Vec<_>>(),
        [
            ("b.rs".to_owned(), 2, "gone".to_owned(), "error".to_owned(), false),
            old("a.rs", 3),
            old("b.rs", 3),
            old("b.rs", 3),
        ]
    );
    assert_eq!(findings[1]["message"], "1 is called in the old way");
    let branch = format!("runtrail/{id}-1");
    assert_eq!(repository.git(&["show", &format!("{branch}:b.rs")]), "fn b() {\n    gone();\n    new(new(3));\n}\n");
    assert_eq!(repository.applied("HEAD", &told(&server, &id, "patch").await), repository.tree(&branch));
    let outcome = told(&server, &id, "outcome").await.remove(0);
    assert_eq!((&outcome["findings"], &outcome["fixed"], &outcome["left"]), (&json!(4), &json!(3), &json!(1)));
    let lines = server.lines(&id).await;
    for says in
        ["skipped rules/bad.yml: ", "skipped rules/ruby.yml: the rule other: The language `Ruby` is unknown. Known are"]
    {
        assert!(lines.iter().any(|line| line.starts_with(says)), "{says} is not in {lines:#?}");
    }

    // A floor, and all rules together.
    let (id, _) = fix(&server, &repository, json!({ "severity": "error" })).await;
    assert_eq!(told(&server, &id, "finding").await.len(), 1);
    assert_eq!(told(&server, &id, "outcome").await[0]["message"], "Nothing to do: none of 1 finding can be fixed.");
    let (id, run) = fix(&server, &repository, json!({ "rules": "all", "severity": "hint", "dry_run": true })).await;
    assert_eq!(run["status"], "completed", "{run}");
    assert!(told(&server, &id, "finding").await.iter().any(|finding| finding["rule"] == "small"));
    let outcome = told(&server, &id, "outcome").await.remove(0);
    assert!(outcome["message"].as_str().unwrap().starts_with("A dry run: "), "{outcome}");
    assert_eq!((&outcome["branch"], &outcome["fixed"]), (&Value::Null, &json!(0)));
    before.assert_untouched(&repository, &[&branch]);
    assert!(world.workspaces().is_empty());
}

#[tokio::test]
async fn autofix_leaves_out_patches_that_break_the_check() {
    let world = World::new();
    let code = |n: usize| (format!("f{n}.rs"), format!("fn f() {{\n    old({n});\n}}\n"));
    let files: Vec<(String, String)> = (0..20).map(code).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let repository = repository(&world, &files);
    let before = Snapshot::of(&repository);
    let server = world.serve();
    // Leaves something behind, as compilers do, and changes a file, as formatters do.
    let check = "echo made > made.txt; echo >> f3.rs; if grep -l 'new(7)\\|new(13)' *.rs; then echo no; exit 3; fi";
    let (id, run) = fix(&server, &repository, json!({ "check": check })).await;
    assert_eq!(run["status"], "completed", "{run}");
    let outcome = told(&server, &id, "outcome").await.remove(0);
    assert_eq!((&outcome["fixed"], &outcome["left"]), (&json!(18), &json!(2)), "{outcome}");
    let branch = format!("runtrail/{id}-1");
    let changed = repository.git(&["diff", "--name-only", "HEAD", &branch]);
    assert_eq!(changed.lines().count(), 18);
    assert!(!changed.contains("f7.rs") && !changed.contains("f13.rs") && !changed.contains("made.txt"));
    assert_eq!(repository.applied("HEAD", &told(&server, &id, "patch").await), repository.tree(&branch));
    let lines = server.lines(&id).await;
    for path in ["f7.rs", "f13.rs"] {
        let says = format!("left {path} as it is: with its patch the check fails (exit status: 3):");
        let at = lines.iter().position(|line| *line == says).unwrap_or_else(|| panic!("{says} is not in {lines:#?}"));
        assert_eq!(lines[at + 1..at + 3], [format!("  {path}"), "  no".to_owned()]);
    }
    before.assert_untouched(&repository, &[&branch]);

    let (id, run) = fix(&server, &repository, json!({ "check": "echo broken anyway; false" })).await;
    assert_eq!(run["status"], "failed");
    let error = told(&server, &id, "error").await.remove(0);
    assert_eq!(error["code"], "check_failed");
    assert!(error["message"].as_str().unwrap().ends_with("broken anyway"), "{error}");
    before.assert_untouched(&repository, &[&branch]);
}

/// The rest was never checked without the deselected patches.
#[tokio::test]
async fn autofix_proves_the_rest_after_deselection() {
    let world = World::new();
    let repository = repository(&world, &[("a.rs", "fn a() { old(1); }\n"), ("b.rs", "fn b() { old(2); }\n")]);
    let before = Snapshot::of(&repository);
    let server = world.serve();
    // Both or none.
    let check = "test $(grep -l new *.rs | wc -l) -ne 1";
    let project = json!({ "project": repository.path(), "rules": "project", "check": check, "approval": true });
    let id = start_with(&server, "autofix", project, json!({})).await;
    server.until_awaiting_approval(&id).await;
    assert_eq!(told(&server, &id, "patch").await.len(), 2);
    server.post(&format!("/api/v1/runs/{id}/approve"), json!({ "exclude": ["a.rs"] })).await;
    assert_eq!(finished(&server, &id).await["status"], "completed");
    let outcome = told(&server, &id, "outcome").await.remove(0);
    assert_eq!((&outcome["fixed"], &outcome["branch"]), (&json!(0), &Value::Null), "{outcome}");
    let says = "left b.rs as it is: with its patch the check fails (exit status: 1):";
    assert!(server.lines(&id).await.contains(&says.to_owned()));
    before.assert_untouched(&repository, &[]);
}
