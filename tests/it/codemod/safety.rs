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
async fn review_fixes_need_a_check_or_approval() {
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
    let id = branch.trim_start_matches("runtrail/").trim_end_matches("-1");
    assert_eq!(told(&server, id, "patch").await[0]["fix"], Value::Null);

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
async fn review_fixes_are_marked_in_patches() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    let safe = "def f(a, b):\n    return not a in b\n";
    repository.commit(&[("mixed.py", MIXED), ("safe.py", safe)]);
    let server = world.serve();
    let params = json!({ "project": repository.path(), "rules": "python", "approval": true });
    let id = start_with(&server, "autofix", params, json!({})).await;
    server.until_awaiting_approval(&id).await;
    let patches = told(&server, &id, "patch").await;
    let stated: Vec<_> = patches.iter().map(|patch| (&patch["path"], &patch["fix"])).collect();
    assert_eq!(stated, [(&json!("mixed.py"), &json!("review")), (&json!("safe.py"), &Value::Null)]);
    let listed = server.get_json(&format!("/fn/patches?id={id}&attempt=1")).await;
    let listed: Vec<_> = listed.as_array().unwrap().iter().map(|patch| (&patch["path"], &patch["fix"])).collect();
    assert_eq!(listed, stated);
}

#[tokio::test]
async fn review_fixes_of_linters_need_a_check_or_approval() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    repository.commit(&[("a.txt", "old\n")]);
    let place = json!({ "startLine": 1, "startColumn": 1, "endColumn": 4 });
    let change = json!({ "artifactLocation": { "uri": "a.txt" }, "replacements": [
        { "deletedRegion": place, "insertedContent": { "text": "new" } }
    ] });
    let result = json!({ "ruleId": "r", "message": { "text": "old" }, "fixes": [{ "artifactChanges": [change] }],
        "locations": [{ "physicalLocation": { "artifactLocation": { "uri": "a.txt" }, "region": place } }] });
    let sarif =
        json!({ "version": "2.1.0", "runs": [{ "tool": { "driver": { "name": "own" } }, "results": [result] }] });
    linter(
        &world,
        "lint",
        &format!("grep -q old a.txt && echo '{sarif}' || echo '{{\"version\":\"2.1.0\",\"runs\":[]}}'"),
        "fixes = \"review\"\n",
    );
    let server = world.serve();
    for (more, fixed) in [(json!({}), 0), (json!({ "check": "true" }), 1)] {
        let params = json!({ "project": repository.path(), "rules": "none" });
        let id = start_with(&server, "lint", params, more).await;
        let run = finished(&server, &id).await;
        assert_eq!(run["status"], "completed", "{run}");
        let (outcome, findings) = (told(&server, &id, "outcome").await.remove(0), told(&server, &id, "finding").await);
        assert_eq!((&outcome["fixed"], &findings[0]["fix"]), (&json!(fixed), &json!("review")), "{outcome}");
        assert_eq!(message(&outcome).contains("1 fix left out"), fixed == 0, "{outcome}");
    }
}

#[tokio::test]
async fn rule_unittest_alias_skips_other_base_classes() {
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
