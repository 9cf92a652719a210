//! Which fixes AutoFix applies when nothing verifies them.

use super::*;

/// One fault with a safe fix, one whose fix needs a review.
const MIXED: &str = "import re\n\n\ndef f(a, b):\n    if not a in b:\n        return re.sub(\"x\", \"y\", a, re.I)\n";

async fn fix(server: &Server, repository: &Repository, params: Value) -> (Value, Vec<Value>) {
    let project = json!({ "project": repository.path(), "rules": "python" });
    let id = start_with(server, "autofix", project, params).await;
    let run = finished(server, &id).await;
    assert_eq!(run["status"], "completed", "{run}");
    (told(server, &id, "outcome").await.remove(0), told(server, &id, "finding").await)
}

fn message(outcome: &Value) -> &str {
    outcome["message"].as_str().unwrap()
}

#[tokio::test]
async fn autofix_leaves_out_fixes_to_review_that_nothing_verifies() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    repository.commit(&[("a.py", MIXED)]);
    let server = world.serve();

    let (outcome, findings) = fix(&server, &repository, json!({})).await;
    let stated: Vec<_> = findings.iter().map(|found| (&found["rule"], &found["fixable"], &found["fix"])).collect();
    assert_eq!(
        stated,
        [
            (&json!("regex-flags-as-count"), &json!(true), &json!("review")),
            (&json!("negated-comparison"), &json!(true), &json!("safe")),
        ]
    );
    assert_eq!((&outcome["fixed"], &outcome["left"]), (&json!(1), &json!(1)), "{outcome}");
    assert!(message(&outcome).contains("1 fix left out"), "{outcome}");
    let branch = outcome["branch"].as_str().unwrap();
    let fixed = repository.git(&["show", &format!("{branch}:a.py")]);
    assert_eq!(fixed, MIXED.replace("not a in b", "a not in b"));

    for verified in [json!({ "check": "true" }), json!({ "dry_run": true })] {
        let (outcome, _) = fix(&server, &repository, verified.clone()).await;
        assert!(!message(&outcome).contains("left out"), "{verified}: {outcome}");
        let both = "fixed in 1 file, on branch";
        assert!(
            message(&outcome).contains("2 of 2") && (message(&outcome).contains(both) || verified["dry_run"] == true)
        );
    }
}

#[tokio::test]
async fn unittest_alias_leaves_classes_with_other_bases_alone() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    let own = "class TestBase:\n    def assert_(self, value, note=None):\n        assert value, note\n";
    let other = "from lib import fixtures\n\n\nclass QueryTest(fixtures.TestBase):\n    def test_query(self):\n        self.assert_(1)\n";
    let plain =
        "import unittest\n\n\nclass BoxTest(unittest.TestCase):\n    def test_box(self):\n        self.assert_(1)\n";
    repository.commit(&[("lib/fixtures.py", own), ("test_query.py", other), ("test_box.py", plain)]);
    let server = world.serve();
    let (outcome, findings) = fix(&server, &repository, json!({ "check": "true" })).await;
    let paths: Vec<_> = findings.iter().map(|found| found["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["test_box.py"], "{findings:?}");
    assert_eq!(outcome["fixed"], 1);
}
