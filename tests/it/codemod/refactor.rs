//! The pipeline `refactor`.

use super::*;

const MAIN: &str = "fn main() {\n    let x = foo(1).unwrap();\n    bar(foo(2).unwrap());\n}\n";

#[tokio::test]
async fn refactor_rewrites_matches_on_a_new_branch() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    repository.commit(&[
        ("src/main.rs", MAIN),
        ("src/other.rs", "fn other() {}\n"),
        ("notes.txt", "foo(1).unwrap()\n"),
        (".gitignore", "target\n"),
    ]);
    // Uncommitted changes are not included and not touched.
    repository.write("src/other.rs", "fn other() { foo(3).unwrap(); }\n");
    repository.write("target/made.rs", "fn made() { foo(4).unwrap(); }\n");
    let before = Snapshot::of(&repository);

    let server = world.serve();
    let id = start(&server, &repository, json!({ "pattern": "$A.unwrap()", "rewrite": "$A?" })).await;
    let run = finished(&server, &id).await;
    assert_eq!(run["status"], "completed", "{run}");
    let phases: Vec<&str> = run["phases"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(phases, ["scanning", "analyzing", "generating", "applying"]);

    let findings = told(&server, &id, "finding").await;
    let place = |finding: &Value| (finding["line"].as_u64().unwrap(), finding["column"].as_u64().unwrap());
    assert_eq!(findings.iter().map(place).collect::<Vec<_>>(), [(2, 13), (3, 9)]);
    assert!(findings.iter().all(|finding| finding["path"] == "src/main.rs" && finding["fixable"] == true));
    assert_eq!(findings[0]["message"], "foo(1).unwrap()");

    let patches = told(&server, &id, "patch").await;
    assert_eq!(patches.len(), 1);
    assert_eq!(
        (&patches[0]["path"], &patches[0]["added"], &patches[0]["removed"]),
        (&json!("src/main.rs"), &json!(2), &json!(2))
    );

    let outcome = told(&server, &id, "outcome").await.remove(0);
    let branch = format!("runtrail/{id}-1");
    assert_eq!(outcome["branch"], branch);
    assert_eq!(outcome["commit"], repository.git(&["rev-parse", &branch]).trim());
    assert_eq!((&outcome["findings"], &outcome["fixed"], &outcome["left"]), (&json!(2), &json!(2), &json!(0)));

    // The branch is the commit that was checked out, and the patch.
    assert_eq!(repository.git(&["rev-parse", &format!("{branch}^")]), repository.git(&["rev-parse", "HEAD"]));
    assert_eq!(repository.git(&["diff", "--name-only", "HEAD", &branch]), "src/main.rs\n");
    assert_eq!(
        repository.git(&["show", &format!("{branch}:src/main.rs")]),
        "fn main() {\n    let x = foo(1)?;\n    bar(foo(2)?);\n}\n"
    );
    assert_eq!(repository.applied("HEAD", &patches), repository.tree(&branch));
    before.assert_untouched(&repository, &[&branch]);
    assert!(world.workspaces().is_empty(), "nothing is left of the attempt");

    // Again: another branch beside it.
    let again = server.post(&format!("/api/v1/runs/{id}/rerun"), json!({ "from": "start" })).await;
    assert_eq!(again.status(), StatusCode::ACCEPTED);
    assert_eq!(finished(&server, &id).await["status"], "completed");
    assert_eq!(repository.tree(&format!("runtrail/{id}-2")), repository.tree(&branch));
}

#[tokio::test]
async fn refactor_without_matches_completes() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    repository.commit(&[("a.rs", "fn a() {}\n"), ("b.rs", "fn b() { x(x(1)); }\n")]);
    let before = Snapshot::of(&repository);
    let server = world.serve();
    for (params, says) in [
        (json!({ "pattern": "$A.unwrap()", "rewrite": "$A?" }), "Nothing to do: the pattern is in none of 2 files."),
        (json!({ "pattern": "x($A)" }), "2 matches; no rewrite was given, so nothing changes."),
        (json!({ "pattern": "x($A)", "rewrite": "x($A)" }), "Nothing to do: none of 2 matches can be rewritten."),
        (json!({ "pattern": "x($A)", "rewrite": "x($A" }), "Nothing to do: none of 2 matches can be rewritten."),
    ] {
        let id = start(&server, &repository, params).await;
        let run = finished(&server, &id).await;
        assert_eq!(run["status"], "completed", "{run}");
        let outcome = told(&server, &id, "outcome").await.remove(0);
        assert_eq!(outcome["message"], says);
        assert_eq!(outcome["branch"], Value::Null);
    }
    before.assert_untouched(&repository, &[]);
}

#[tokio::test]
async fn refactor_reports_overlaps_and_broken_rewrites() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    repository.commit(&[("nested.rs", "fn f() { x(x(1)); x(2); }\n"), ("macro.rs", "fn g() { let a = x(3); }\n")]);
    let server = world.serve();
    let id = start(&server, &repository, json!({ "pattern": "x($A)", "rewrite": "y($A)" })).await;
    assert_eq!(finished(&server, &id).await["status"], "completed");
    assert_eq!(repository.git(&["show", &format!("runtrail/{id}-1:nested.rs")]), "fn f() { y(x(1)); y(2); }\n");
    let lines = server.lines(&id).await;
    let reason =
        "left a match in nested.rs as it is: line 1, column 12 overlaps with line 1, column 10, which is rewritten";
    assert!(lines.iter().any(|line| line == reason), "{lines:?}");
    let outcome = told(&server, &id, "outcome").await.remove(0);
    assert_eq!((&outcome["findings"], &outcome["fixed"], &outcome["left"]), (&json!(4), &json!(3), &json!(1)));

    let id = start(&server, &repository, json!({ "pattern": "x($A)", "rewrite": "while" })).await;
    assert_eq!(finished(&server, &id).await["status"], "completed");
    let lines = server.lines(&id).await;
    assert!(
        lines.iter().any(|line| line.starts_with("left macro.rs as it is: the rewrite would break it")),
        "{lines:?}"
    );
    assert_eq!(told(&server, &id, "patch").await, Vec::<Value>::new());
}

#[tokio::test]
async fn refactor_honors_globs_and_subfolders() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    let code = "fn f() { x(1); }\n";
    repository.commit(&[("in/a.rs", code), ("in/deep/b.rs", code), ("in/gen/c.rs", code), ("out/d.rs", code)]);
    let server = world.serve();
    let params = json!({ "pattern": "x($A)", "rewrite": "y($A)", "include": "in/**", "exclude": "**/gen/**, nothing" });
    let id = start(&server, &repository, params).await;
    assert_eq!(finished(&server, &id).await["status"], "completed");
    let changed = repository.git(&["diff", "--name-only", "HEAD", &format!("runtrail/{id}-1")]);
    assert_eq!(changed, "in/a.rs\nin/deep/b.rs\n");

    let part = repository.path().join("in/deep");
    let id = start(&server, &repository, json!({ "project": part, "pattern": "x($A)", "rewrite": "y($A)" })).await;
    assert_eq!(finished(&server, &id).await["status"], "completed");
    assert_eq!(told(&server, &id, "patch").await[0]["path"], "b.rs", "relative to the project");
    assert_eq!(repository.git(&["diff", "--name-only", "HEAD", &format!("runtrail/{id}-1")]), "in/deep/b.rs\n");
}

/// A person reviews the patches and deselects some. The worktree is kept however long that takes.
#[tokio::test]
async fn refactor_patches_can_be_deselected() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    repository.commit(&[
        ("a.rs", "fn a() { old(1); }\n"),
        ("b.rs", "fn b() { old(2); old(3); }\n"),
        ("c.rs", "fn c() {}\n"),
    ]);
    let before = Snapshot::of(&repository);
    let server = world.serve();
    let params = json!({ "pattern": "old($A)", "rewrite": "new($A)", "approval": true });
    let id = start(&server, &repository, params.clone()).await;
    let run = server.until_awaiting_approval(&id).await;
    assert_eq!(
        (&run["phase"], &run["approval"]["question"]),
        (&json!("applying"), &json!("Commit these patches to a new branch?"))
    );
    assert_eq!(told(&server, &id, "patch").await.len(), 2);
    assert_eq!(repository.git(&["branch", "--list", "runtrail/*"]), "");
    let unknown = server.post(&format!("/api/v1/runs/{id}/approve"), json!({ "exclude": ["c.rs"] })).await;
    assert_eq!(unknown.status(), StatusCode::BAD_REQUEST);
    server.kill();

    let server = world.serve();
    assert_eq!(server.run(&id).await["approval"], run["approval"]);
    let approved = server.post(&format!("/api/v1/runs/{id}/approve"), json!({ "exclude": ["b.rs"] })).await;
    assert_eq!(approved.status(), StatusCode::ACCEPTED);
    assert_eq!(finished(&server, &id).await["status"], "completed");
    let branch = format!("runtrail/{id}-1");
    assert_eq!(repository.git(&["diff", "--name-only", "HEAD", &branch]), "a.rs\n");
    let outcome = told(&server, &id, "outcome").await.remove(0);
    assert_eq!((&outcome["findings"], &outcome["fixed"], &outcome["left"]), (&json!(3), &json!(1), &json!(2)));
    assert!(server.lines(&id).await.contains(&"left b.rs as it is: its patch was left out".to_owned()));
    before.assert_untouched(&repository, &[&branch]);

    // Everything deselected: nothing changes, and the outcome says so. Rejected: no branch. Without patches there is no
    // question.
    let all = start(&server, &repository, params.clone()).await;
    server.until_awaiting_approval(&all).await;
    server.post(&format!("/api/v1/runs/{all}/approve"), json!({ "exclude": ["a.rs", "b.rs"] })).await;
    assert_eq!(finished(&server, &all).await["status"], "completed");
    let outcome = told(&server, &all, "outcome").await.remove(0);
    assert_eq!(
        outcome["message"],
        "Nothing changes: every patch was left out, or failed the check without the others."
    );
    let rejected = start(&server, &repository, params).await;
    server.until_awaiting_approval(&rejected).await;
    server.post(&format!("/api/v1/runs/{rejected}/reject"), json!({})).await;
    assert_eq!(finished(&server, &rejected).await["status"], "cancelled");
    let nothing = json!({ "pattern": "absent($A)", "rewrite": "new($A)", "approval": true });
    let nothing = start(&server, &repository, nothing).await;
    assert_eq!(finished(&server, &nothing).await["status"], "completed");
    before.assert_untouched(&repository, &[&branch]);
    assert!(world.workspaces().is_empty());
}
