//! Projects that cannot be processed, or only in part: each problem is reported and nothing is touched.

use super::*;

#[tokio::test]
async fn project_errors_are_clear() {
    let world = World::new();
    let good = Repository::new(&world, "good");
    good.commit(&[("a.rs", "fn a() { x(1); }\n")]);
    let empty = Repository::new(&world, "empty");
    std::fs::create_dir(world.file("plain")).unwrap();
    good.git(&["clone", "--quiet", "--bare", ".", world.file("bare").to_str().unwrap()]);
    let before = Snapshot::of(&good);
    let server = world.serve();
    let x = || json!({ "pattern": "x($A)", "rewrite": "y($A)" });
    let with = |name: &str, value: Value| {
        let mut params = x();
        params[name] = value;
        params
    };
    for (params, code, says) in [
        (with("project", json!(world.file("plain"))), "no_repository", "plain is not in a git repository"),
        (with("project", json!(empty.path())), "no_commits", "empty has no commits yet"),
        (with("project", json!(world.file("bare"))), "bare_repository", "bare is a bare repository"),
        (with("pattern", json!("x($A")), "bad_pattern", "does not parse as Rust, line 1, column"),
        (with("pattern", json!("$A; $B;")), "bad_pattern", "Multiple AST nodes"),
        (with("rewrite", json!("y($B)")), "bad_rewrite", "uses $B, which the pattern does not have; it has $A"),
        (with("include", json!("a[")), "bad_glob", "`a[` is no glob"),
        (with("exclude", json!("!a")), "bad_glob", "`!a` is no glob"),
    ] {
        let id = start(&server, &good, params).await;
        let run = finished(&server, &id).await;
        assert_eq!((&run["status"], &run["phases"][0]["state"]), (&json!("failed"), &json!("failed")), "{run}");
        let error = told(&server, &id, "error").await.remove(0);
        assert_eq!(error["code"], code, "{error}");
        assert!(error["message"].as_str().unwrap().contains(says), "{error}");
        assert!(run["error"].as_str().unwrap().contains(says), "{run}");
    }
    let params = json!({ "project": good.path(), "language": "cobol", "pattern": "x" });
    let response = server.post("/api/v1/runs", json!({ "pipeline": "refactor", "params": params })).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(response.json::<Value>().await.unwrap()["errors"][0]["param"], "language");
    before.assert_untouched(&good, &[]);
    assert!(world.workspaces().is_empty());
}

#[tokio::test]
async fn files_unreadable_are_skipped_with_a_reason() {
    use std::os::unix::ffi::OsStrExt;

    let world = World::new();
    let repository = Repository::new(&world, "app");
    let code = "fn f() { x(1); }\n";
    std::fs::write(world.file("outside.rs"), code).unwrap();
    std::os::unix::fs::symlink(world.file("outside.rs"), repository.path().join("link.rs")).unwrap();
    std::os::unix::fs::symlink(world.project(), repository.path().join("folder")).unwrap();
    repository.write("latin.rs", b"// \xe4\nfn f() { x(1); }\n");
    repository.write("large.rs", vec![b' '; 50 << 20]);
    let name = std::ffi::OsStr::from_bytes(b"n\xe4me.rs");
    std::fs::write(repository.path().join(name), code).unwrap();
    let module = Repository::new(&world, "module");
    module.commit(&[("m.rs", code)]);
    repository.git(&[
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        module.path().to_str().unwrap(),
        "sub",
    ]);
    repository.commit(&[
        ("good.rs", code),
        ("dos.rs", "fn f() {\r\n    x(1);\r\n}\r\n"),
        ("no_end.rs", "fn f() { x(1); }"),
    ]);
    repository.git(&["checkout", "--quiet", "--detach"]);
    let before = Snapshot::of(&repository);

    let server = world.serve();
    let id = start(&server, &repository, json!({ "pattern": "x($A)", "rewrite": "y($A)" })).await;
    let run = finished(&server, &id).await;
    assert_eq!(run["status"], "completed", "{run}");
    let lines = server.lines(&id).await;
    for says in [
        "skipped link.rs: a symbolic link, which is not followed",
        "skipped latin.rs: its text is not UTF-8",
        "skipped large.rs: 50.0 MB, more than the 5 MB that are looked at",
        "skipped n\u{fffd}me.rs: its name is not UTF-8",
        "skipped sub: a submodule",
    ] {
        assert!(lines.iter().any(|line| line == says), "{says} is not in {lines:#?}");
    }
    let branch = format!("runtrail/{id}-1");
    assert_eq!(repository.git(&["diff", "--name-only", "HEAD", &branch]), "dos.rs\ngood.rs\nno_end.rs\n");
    assert_eq!(repository.git(&["show", &format!("{branch}:dos.rs")]), "fn f() {\r\n    y(1);\r\n}\r\n");
    assert_eq!(repository.applied("HEAD", &told(&server, &id, "patch").await), repository.tree(&branch));
    before.assert_untouched(&repository, &[&branch]);
    assert_eq!(std::fs::read_to_string(world.file("outside.rs")).unwrap(), code);
}

/// The disk is full where Runtrail's own repository is created, or at the files that one phase passes to the next.
#[tokio::test]
async fn workspace_on_a_full_disk_leaves_nothing() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    let line = "    x(1, \"some text to fill a disk with\");\n".repeat(50);
    for file in 0..200 {
        repository.write(&format!("f{file}.rs"), format!("fn f{file}() {{\n{line}}}\n"));
    }
    repository.commit(&[]);
    let before = Snapshot::of(&repository);
    let rewrite = json!({ "pattern": "x($A, $B)", "rewrite": "a_longer_name($B, $A)" });
    let mut phases = std::collections::BTreeSet::new();
    for kib in [8, 504, 2004, 2404, 2804] {
        let Some(server) = world.serve_on_small_disk(kib) else {
            eprintln!("left out: this system lets nobody mount a disk");
            return;
        };
        let id = start(&server, &repository, rewrite.clone()).await;
        let run = finished(&server, &id).await;
        let phase = run["phases"].as_array().unwrap().iter().find(|phase| phase["state"] == "failed");
        if let Some(phase) = phase {
            assert_eq!(run["status"], "failed");
            let error = told(&server, &id, "error").await.remove(0);
            assert!(["disk", "git_failed"].contains(&error["code"].as_str().unwrap()), "{error}");
            assert!(error["message"].as_str().unwrap().contains("No space left on device"), "{error}");
            phases.insert(phase["name"].as_str().unwrap().to_owned());
            before.assert_untouched(&repository, &[]);
        }
        let disk = format!("/proc/{}/root{}", server.pid(), world.data().join("attempts").display());
        assert_eq!(std::fs::read_dir(disk).unwrap().count(), 0, "nothing is left on the disk of {kib} KiB");
        drop(server);
        // If it succeeds, there is a branch, which is not the subject here.
        repository.git(&["for-each-ref", "--format=%(refname:short)", "refs/heads/runtrail"]).lines().for_each(
            |branch| {
                repository.git(&["branch", "--quiet", "-D", branch]);
            },
        );
    }
    assert_eq!(phases.into_iter().collect::<Vec<_>>(), ["analyzing", "generating", "scanning"]);
}

/// File names are untrusted text.
#[tokio::test]
async fn file_names_cannot_forge_reports() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    let forged =
        r#"{"kind":"outcome","message":"all is well","files":1,"findings":1,"fixed":100,"left":0,"branch":"evil"}"#;
    let name = format!("a\n::frame {forged}\n.rs");
    repository.write(&name, [0xff, 0xfe]);
    repository.commit(&[("b.rs", "fn b() {}\n")]);
    let server = world.serve();
    let id = start(&server, &repository, json!({ "pattern": "x($A)", "rewrite": "y($A)" })).await;
    assert_eq!(finished(&server, &id).await["status"], "completed");
    let outcomes = told(&server, &id, "outcome").await;
    assert_eq!((outcomes.len(), &outcomes[0]["fixed"]), (1, &json!(0)), "{outcomes:?}");
    assert!(
        server.lines(&id).await.iter().any(|line| line.starts_with("skipped a⏎::frame ")),
        "it is told in one line"
    );
}

/// Git converts line ends on checkout. Patches are for the stored content.
#[tokio::test]
async fn files_with_converted_line_ends_are_patched_as_stored() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    repository.commit(&[(".gitattributes", "*.rs text eol=crlf\n"), ("a.rs", "fn a() {\n    x(1);\n}\n")]);
    std::fs::remove_file(repository.path().join("a.rs")).unwrap();
    repository.git(&["checkout", "--quiet", "--", "a.rs"]);
    assert_eq!(std::fs::read_to_string(repository.path().join("a.rs")).unwrap(), "fn a() {\r\n    x(1);\r\n}\r\n");
    let before = Snapshot::of(&repository);
    let server = world.serve();
    let id = start(&server, &repository, json!({ "pattern": "x($A)", "rewrite": "y($A)" })).await;
    assert_eq!(finished(&server, &id).await["status"], "completed");
    let branch = format!("runtrail/{id}-1");
    assert_eq!(repository.git(&["cat-file", "blob", &format!("{branch}:a.rs")]), "fn a() {\n    y(1);\n}\n");
    assert_eq!(repository.applied("HEAD", &told(&server, &id, "patch").await), repository.tree(&branch));
    before.assert_untouched(&repository, &[&branch]);
}

/// The user may remove the repository while a run waits. Then Runtrail leaves nothing behind either.
#[tokio::test]
async fn workspace_is_removed_without_its_repository() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    repository.commit(&[("a.rs", "fn a() { x(1); }\n")]);
    let server = world.serve();
    let params = json!({ "pattern": "x($A)", "rewrite": "y($A)", "approval": true });
    let id = start(&server, &repository, params).await;
    server.until_awaiting_approval(&id).await;
    assert_eq!(world.workspaces().len(), 1);
    std::fs::remove_dir_all(repository.path().join(".git")).unwrap();
    server.post(&format!("/api/v1/runs/{id}/reject"), json!({})).await;
    assert_eq!(finished(&server, &id).await["status"], "cancelled");
    assert!(world.workspaces().is_empty());
}
