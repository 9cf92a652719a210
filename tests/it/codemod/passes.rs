//! AutoFix repeats until nothing is left to fix.

use super::*;

const RULES: &str = "
id: old
language: Rust
rule: { pattern: old($A) }
fix: mid($A)
---
id: mid
language: Rust
rule: { pattern: mid($A) }
fix: new($A)
---
id: wrap
language: Rust
rule: { pattern: wrap($A) }
fix: wrap(inner($A))
---
id: ping
language: Rust
rule: { pattern: ping($A) }
fix: pong($A)
---
id: pong
language: Rust
rule: { pattern: pong($A) }
fix: ping($A)
---
id: grow
language: Rust
rule: { pattern: grow(1) }
fix: '[grow(1), 2]'
";

#[tokio::test]
async fn passes_apply_nested_and_follow_up_fixes() {
    let world = World::new();
    let repository = with_rules(
        &world,
        RULES,
        &[
            ("a.rs", "fn a() {\n    old(old(mid(old(1))));\n    mid(2);\n}\n"),
            ("b.rs", "fn b() { wrap(wrap(1)); old(wrap(2)); }\n"),
            ("c.rs", "fn c() { grow(1); old(3); }\n"),
        ],
    );
    let server = world.serve();
    for check in ["", "! grep -q broken *.rs"] {
        let (id, run) = autofix(&server, &repository, json!({ "check": check })).await;
        assert_eq!(run["status"], "completed", "{run}");
        let lines = server.lines(&id).await;
        assert_eq!(
            on_branch(&repository, &id, "a.rs"),
            "fn a() {\n    new(new(new(new(1))));\n    new(2);\n}\n",
            "{lines:#?}"
        );
        // Each call is wrapped once, and not again since it is found again.
        assert_eq!(
            on_branch(&repository, &id, "b.rs"),
            "fn b() { wrap(inner(wrap(inner(1)))); new(wrap(inner(2))); }\n"
        );
        assert_eq!(on_branch(&repository, &id, "c.rs"), "fn c() { [grow(1), 2]; new(3); }\n");
        // One patch a file, from the commit.
        let patches = told(&server, &id, "patch").await;
        assert_eq!(patches.len(), 3);
        assert_eq!(repository.applied("HEAD", &patches), repository.tree(&format!("runtrail/{id}-1")));
        let outcome = told(&server, &id, "outcome").await.remove(0);
        let findings = told(&server, &id, "finding").await.len();
        assert_eq!(
            (outcome["findings"].as_u64().unwrap(), &outcome["left"]),
            (findings as u64, &json!(0)),
            "{outcome}"
        );
        assert!(!lines.iter().any(|line| line.starts_with("left ")), "{lines:#?}");
    }
}

#[tokio::test]
async fn passes_end_if_fixes_undo_each_other() {
    let world = World::new();
    let repository = with_rules(&world, RULES, &[("a.rs", "fn a() { ping(1); old(2); }\n")]);
    let server = world.serve();
    let (id, run) = autofix(&server, &repository, json!({})).await;
    assert_eq!(run["status"], "completed", "{run}");
    let text = on_branch(&repository, &id, "a.rs");
    assert!(text.contains("new(2)"), "{text}");
    let passes = server.lines(&id).await.iter().filter(|line| line.starts_with("pass ")).count();
    assert!(passes < 10, "{passes}");
}

/// A pass that the check is against is left out, and those before stay.
#[tokio::test]
async fn passes_are_checked_one_by_one() {
    let world = World::new();
    let repository = with_rules(&world, RULES, &[("a.rs", "fn a() { old(1); }\n"), ("b.rs", "fn b() { old(2); }\n")]);
    let server = world.serve();
    let (id, run) = autofix(&server, &repository, json!({ "check": "! grep -q 'new(1)' a.rs" })).await;
    assert_eq!(run["status"], "completed", "{run}");
    assert_eq!(on_branch(&repository, &id, "a.rs"), "fn a() { mid(1); }\n");
    assert_eq!(on_branch(&repository, &id, "b.rs"), "fn b() { new(2); }\n");
}

/// The linter runs again on the fixed files.
#[tokio::test]
async fn passes_rerun_linters_until_nothing_is_found() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    repository.commit(&[("a.txt", "aaab\n"), ("b.txt", "b\n")]);
    // Reports the first `a` of a line, with a fix that removes it.
    let script = r#"
results=
if grep -q a a.txt; then
  column=$(awk '{ print index($0, "a") }' a.txt)
  region="{\"startLine\":1,\"startColumn\":$column,\"endLine\":1,\"endColumn\":$((column + 1))}"
  at='"artifactLocation":{"uri":"a.txt"}'
  n=$(grep -o a a.txt | wc -l)
  results="{\"ruleId\":\"a$n\",\"level\":\"error\",\"message\":{\"text\":\"$n a\"},\"locations\":[{\"physicalLocation\":{$at,\"region\":$region}}],\"fixes\":[{\"artifactChanges\":[{$at,\"replacements\":[{\"deletedRegion\":$region}]}]}]}"
fi
echo "{\"version\":\"2.1.0\",\"runs\":[{\"tool\":{\"driver\":{\"name\":\"own\"}},\"results\":[$results]}]}"
"#;
    linter(&world, "lint", script, "");
    let server = world.serve();
    let id = start_with(&server, "lint", json!({ "project": repository.path(), "rules": "none" }), json!({})).await;
    let run = finished(&server, &id).await;
    assert_eq!(run["status"], "completed", "{run} {:#?}", server.lines(&id).await);
    assert_eq!(on_branch(&repository, &id, "a.txt"), "b\n");
    let patches = told(&server, &id, "patch").await;
    assert_eq!((patches.len(), &patches[0]["added"], &patches[0]["removed"]), (1, &json!(1), &json!(1)));
}
