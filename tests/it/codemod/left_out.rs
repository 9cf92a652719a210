//! What AutoFix leaves out and says so.

use super::*;

/// Runs AutoFix with these rules from this severity on, to its end.
async fn fixed(server: &Server, repository: &Repository, rules: &str, severity: &str) -> String {
    let params = json!({ "project": repository.path(), "rules": rules, "severity": severity });
    let id = start_with(server, "autofix", params, json!({})).await;
    let run = finished(server, &id).await;
    assert_eq!(run["status"], "completed", "{run}");
    id
}

/// Each finding: its path, its rule, and whether something fixes it.
async fn findings(server: &Server, id: &str) -> Vec<(String, String, bool)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let found = told(server, id, "finding").await.into_iter();
    let mut found: Vec<_> =
        found.map(|found| (text(&found["path"]), text(&found["rule"]), found["fixable"].as_bool().unwrap())).collect();
    found.sort();
    found
}

async fn said(server: &Server, id: &str, what: &str) -> bool {
    server.lines(id).await.iter().any(|line| line.contains(what))
}

#[tokio::test]
async fn rule_without_a_severity_is_named_when_it_is_left_out() {
    let world = World::new();
    let rules = "id: no-foo\nlanguage: JavaScript\nrule: {pattern: foo($A)}\nfix: bar($A)\n---\n\
                 id: no-baz\nlanguage: JavaScript\nseverity: hint\nrule: {pattern: baz($A)}\n";
    let repository = with_rules(&world, rules, &[("a.js", "foo(1);\nbaz(1);\n")]);
    let server = world.serve();
    let id = fixed(&server, &repository, "project", "info").await;
    assert_eq!(findings(&server, &id).await, []);
    let lines = server.lines(&id).await;
    let left_out: Vec<_> = lines.iter().filter(|line| line.contains("severity")).collect();
    assert!(
        left_out.len() == 1 && left_out[0].contains("rules/own.yml: the rule no-foo: without a severity"),
        "{lines:?}"
    );
    let id = fixed(&server, &repository, "project", "hint").await;
    assert_eq!(findings(&server, &id).await.len(), 2);
    assert!(!said(&server, &id, "severity").await);
}

#[tokio::test]
async fn every_line_of_a_file_whose_lines_end_with_cr_is_looked_at() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    let python = "def f(a, b):\r    x = not a in b\r    if not a is b:\r        return x\r";
    let javascript = "// first\rlet a = b ? true : false;\r// last\rlet c = d ? true : false;\r";
    repository.commit(&[("a.py", python), ("a.js", javascript)]);
    let server = world.serve();
    let id = fixed(&server, &repository, "all", "info").await;
    let lines: Vec<_> = told(&server, &id, "finding").await.iter().map(|found| found["line"].clone()).collect();
    assert_eq!(lines, [2, 4, 2, 3]);
    let python = "def f(a, b):\r    x = a not in b\r    if a is not b:\r        return x\r";
    assert_eq!(on_branch(&repository, &id, "a.py"), python);
    assert_eq!(on_branch(&repository, &id, "a.js"), "// first\rlet a = !!b;\r// last\rlet c = !!d;\r");
}
