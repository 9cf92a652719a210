//! Paths of a linter's report: relative to the project or to the repository's top, and odd names.

use super::*;

/// Reports these paths, each with a fix of its first word.
fn report(world: &World, paths: &[&str]) {
    let region = json!({ "startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 4 });
    let result = |path: &&str| {
        let place = json!({ "uri": path });
        json!({
            "ruleId": "R1", "level": "error", "message": { "text": "found" },
            "locations": [{ "physicalLocation": { "artifactLocation": place, "region": region } }],
            "fixes": [{ "artifactChanges": [{ "artifactLocation": place,
                "replacements": [{ "deletedRegion": region, "insertedContent": { "text": "new" } }] }] }],
        })
    };
    let results: Vec<Value> = paths.iter().map(result).collect();
    let log = json!({ "version": "2.1.0", "runs": [{ "tool": { "driver": { "name": "own" } }, "results": results }] });
    let sarif = world.file("log.sarif");
    std::fs::write(&sarif, log.to_string()).unwrap();
    linter(world, "lint", &format!("cat '{}'", sarif.display()), "");
}

/// The paths that are fixed, below the project.
async fn fixed(server: &Server, project: &std::path::Path) -> (Vec<String>, Vec<String>) {
    let id = start_with(server, "lint", json!({ "project": project, "rules": "none" }), json!({})).await;
    let run = finished(server, &id).await;
    assert_eq!(run["status"], "completed", "{run}");
    let patches = told(server, &id, "patch").await;
    let paths = patches.iter().map(|patch| patch["path"].as_str().unwrap().to_owned()).collect();
    (paths, server.lines(&id).await)
}

fn monorepo(world: &World) -> Repository {
    let repository = Repository::new(world, "app");
    let text = "old = 1\n";
    repository.commit(&[
        ("a.py", text),
        ("svc/a.py", text),
        ("svc/svc/a.py", text),
        ("svc/b.py", text),
        ("svc/c/d.py", text),
    ]);
    repository
}

#[tokio::test]
async fn sarif_path_is_relative_to_where_it_exists() {
    let world = World::new();
    let repository = monorepo(&world);
    report(&world, &["svc/b.py", "svc/c/d.py"]);
    let server = world.serve();
    let (paths, lines) = fixed(&server, &repository.path().join("svc")).await;
    assert_eq!(paths, ["b.py", "c/d.py"], "{lines:#?}");
}

/// `svc/a.py` and `a.py` exist both ways. The tool's other reports decide which one it means.
#[tokio::test]
async fn sarif_path_ambiguity_is_resolved_by_tool() {
    let world = World::new();
    let repository = monorepo(&world);
    let svc = repository.path().join("svc");
    report(&world, &["svc/a.py", "a.py", "svc/b.py"]);
    let server = world.serve();
    let (paths, lines) = fixed(&server, &svc).await;
    assert_eq!(paths, ["a.py", "b.py"], "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("a.py is outside the project")), "{lines:#?}");
    drop(server);
    report(&world, &["svc/a.py", "c/d.py"]);
    let server = world.serve();
    let (paths, lines) = fixed(&server, &svc).await;
    assert_eq!(paths, ["c/d.py", "svc/a.py"], "{lines:#?}");
}

#[tokio::test]
async fn sarif_path_missing_names_the_places() {
    let world = World::new();
    let repository = monorepo(&world);
    report(&world, &["lib/x.py"]);
    let server = world.serve();
    let (paths, lines) = fixed(&server, &repository.path().join("svc")).await;
    assert!(paths.is_empty());
    let says = "lib/x.py is no file that is looked at, relative to the project or to the repository's top";
    assert!(lines.iter().any(|line| line.contains(says)), "{lines:#?}");
}

#[tokio::test]
async fn sarif_path_may_look_like_a_uri() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    let text = "old = 1\n";
    let names = ["a#b.py", "100% done.py", "already%20named.py", "mod:x.py", "a b.py", "ü.py"];
    repository.commit(&names.map(|name| (name, text)));
    report(
        &world,
        &["a#b.py", "100% done.py", "already%20named.py", "mod:x.py", ".\\a b.py", "%C3%BC.py", "https://x/y.py"],
    );
    let server = world.serve();
    let (mut paths, lines) = fixed(&server, repository.path()).await;
    let mut expected: Vec<String> = names.map(str::to_owned).to_vec();
    paths.sort();
    expected.sort();
    assert_eq!(paths, expected, "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("https://x/y.py is no file")), "{lines:#?}");
}
