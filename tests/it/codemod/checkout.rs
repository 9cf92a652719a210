//! The checkout for checks and linters: complete, whatever the state of the user's repository, and made without running
//! anything that its configuration names.

use super::*;

/// Renames calls of `foo`.
const RULES: &str = "
id: foo
language: JavaScript
rule: { pattern: foo($A) }
fix: bar($A)
";

async fn checked(server: &Server, repository: &Repository, check: &str) -> (String, Value) {
    autofix(server, repository, json!({ "check": check })).await
}

/// A superproject with a submodule that has one itself; its clone, whose submodules are there.
fn with_submodules(world: &World) -> Repository {
    let inner = Repository::new(world, "inner");
    inner.commit(&[("deep.txt", "deep\n")]);
    let lib = Repository::new(world, "lib-source");
    lib.commit(&[("ok", "ok\n")]);
    let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add"];
    lib.git(&[&add[..], &[inner.path().to_str().unwrap(), "inner"]].concat());
    lib.commit(&[]);
    let repository = with_rules(world, RULES, &[("a.js", "foo(1);\n")]);
    repository.git(&[&add[..], &["--name", "the lib", lib.path().to_str().unwrap(), "lib"]].concat());
    repository.commit(&[]);
    repository.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init", "--recursive"]);
    repository
}

#[tokio::test]
async fn checkout_has_submodules_at_their_commits() {
    let world = World::new();
    let repository = with_submodules(&world);
    // The submodule has another commit checked out and its files are deleted; neither matters.
    let lib = repository.path().join("lib");
    std::fs::remove_file(lib.join("ok")).unwrap();
    let before = Snapshot::of(&repository);
    let server = world.serve();
    let (id, run) = checked(&server, &repository, "test -f lib/ok && test -f lib/inner/deep.txt").await;
    assert_eq!(run["status"], "completed", "{run} {:#?}", server.lines(&id).await);
    assert_eq!(on_branch(&repository, &id, "a.js"), "bar(1);\n");
    before.assert_untouched(&repository, &[&format!("runtrail/{id}-1")]);
}

#[tokio::test]
async fn checkout_names_missing_submodules() {
    let world = World::new();
    let repository = with_submodules(&world);
    let clone = world.file("clone");
    repository.git(&["clone", "--quiet", ".", clone.to_str().unwrap()]);
    let clone = Repository::at(clone);
    let server = world.serve();
    let (id, run) = checked(&server, &clone, "test -f lib/ok").await;
    assert_eq!(run["status"], "failed", "{run}");
    let says = "lib: a submodule that is not in the local clone; run `git submodule update --init --recursive`";
    let lines = server.lines(&id).await;
    assert!(lines.contains(&format!("the checkout lacks {says}")), "{lines:#?}");
    let error = told(&server, &id, "error").await.remove(0);
    assert!(error["message"].as_str().unwrap().contains(says), "{error}");
}

#[tokio::test]
async fn checkout_has_local_lfs_files() {
    use sha2::Digest;

    let world = World::new();
    let content = "large\n".repeat(1000);
    let oid: String = sha2::Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    let pointer =
        |oid: &str, size: usize| format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n");
    let absent = pointer(&"0".repeat(64), 5);
    let repository = with_rules(
        &world,
        RULES,
        &[
            ("a.js", "foo(1);\n"),
            (".gitattributes", "*.bin filter=lfs -text\n"),
            ("d/big.bin", &pointer(&oid, content.len())),
            ("absent.bin", &absent),
        ],
    );
    let store = repository.path().join(".git/lfs/objects").join(&oid[..2]).join(&oid[2..4]);
    std::fs::create_dir_all(&store).unwrap();
    std::fs::write(store.join(&oid), &content).unwrap();
    repository.git(&["config", "filter.lfs.process", "git-lfs-that-is-not-there filter-process"]);
    repository.git(&["config", "filter.lfs.smudge", "git-lfs-that-is-not-there smudge"]);
    repository.git(&["config", "filter.lfs.required", "true"]);
    let server = world.serve();
    // Twice, and the first try spoils it.
    let check = "test $(wc -c < d/big.bin) -eq 6000 && test -z \"$(git status --porcelain -- d absent.bin)\" && echo > d/big.bin";
    let (id, run) = checked(&server, &repository, check).await;
    assert_eq!(run["status"], "completed", "{run} {:#?}", server.lines(&id).await);
    assert_eq!(on_branch(&repository, &id, "a.js"), "bar(1);\n");
    assert_eq!(repository.git(&["diff", "--name-only", "HEAD", &format!("runtrail/{id}-1")]), "a.js\n");

    let (id, run) = checked(&server, &repository, "grep -q large absent.bin").await;
    assert_eq!(run["status"], "failed", "{run}");
    let says = "absent.bin: a Git LFS pointer whose content is not in the local clone; run `git lfs fetch`";
    assert!(server.lines(&id).await.contains(&format!("the checkout lacks {says}")));
    assert!(told(&server, &id, "error").await[0]["message"].as_str().unwrap().contains(says));
}

#[tokio::test]
async fn checkout_ignores_sparse_patterns() {
    let world = World::new();
    let repository =
        with_rules(&world, RULES, &[("in/a.js", "foo(1);\n"), ("out/b.txt", "b\n"), ("out/c.js", "foo(2);\n")]);
    for index in ["--no-sparse-index", "--sparse-index"] {
        repository.git(&["sparse-checkout", "set", "--cone", index, "in", "rules"]);
        assert!(!repository.path().join("out").exists());
        let before = Snapshot::of(&repository);
        let server = world.serve();
        let (id, run) = checked(&server, &repository, "test -f out/b.txt").await;
        assert_eq!(run["status"], "completed", "{run} {:#?}", server.lines(&id).await);
        assert_eq!(on_branch(&repository, &id, "out/c.js"), "bar(2);\n");
        before.assert_untouched(&repository, &[&format!("runtrail/{id}-1")]);
        repository.git(&["branch", "-q", "-D", &format!("runtrail/{id}-1")]);
    }
}

/// Checks read what git writes to the working tree, also after a patch; patches apply to the stored content.
#[tokio::test]
async fn checkout_has_encodings_and_line_ends() {
    let world = World::new();
    let attributes =
        "u.js working-tree-encoding=UTF-16LE-BOM\nw.js text eol=crlf\nx.js working-tree-encoding=NO-SUCH-ENCODING\n";
    let repository = with_rules(&world, RULES, &[]);
    repository.write(".gitattributes", "w.js text eol=crlf\n");
    repository.commit(&[("u.js", "foo(1)\n"), ("v.js", "foo(2)\n"), ("w.js", "foo(3)\n"), ("x.js", "foo(4)\n")]);
    // The files are committed as UTF-8, as they would be by a git that converts them.
    repository.write(".gitattributes", attributes);
    let utf16: Vec<u8> = "\u{feff}foo(1)\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    repository.write("u.js", &utf16);
    repository.git(&["add", ".gitattributes", "u.js"]);
    repository.git(&["commit", "--quiet", "--message", "attributes"]);
    assert_eq!(repository.git(&["cat-file", "blob", "HEAD:u.js"]), "foo(1)\n");
    let server = world.serve();
    let check =
        "cat u.js w.js | od -An -c | tr -d ' \\n' > seen; grep -q '^377376[fb]' seen && grep -q '(3)\\\\r\\\\n' seen";
    let (id, run) = checked(&server, &repository, check).await;
    assert_eq!(run["status"], "completed", "{run} {:#?}", server.lines(&id).await);
    for (path, text) in [("u.js", "bar(1)\n"), ("v.js", "bar(2)\n"), ("w.js", "bar(3)\n"), ("x.js", "bar(4)\n")] {
        assert_eq!(on_branch(&repository, &id, path), text, "{path}");
    }
    let lines = server.lines(&id).await;
    assert!(lines.iter().any(|line| line.starts_with("the checkout lacks x.js: ")), "{lines:#?}");
}

/// A linter's positions refer to the checked-out files, whose line ends differ from the stored ones.
#[tokio::test]
async fn checkout_with_crlf_is_fixed_in_the_repository() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    repository.commit(&[(".gitattributes", "*.py text eol=crlf\n"), ("a.py", "one = 1\ntwo = 2\n")]);
    let region = json!({ "startLine": 2, "startColumn": 1, "endLine": 2, "endColumn": 4 });
    let place = json!({ "artifactLocation": { "uri": "a.py" }, "region": region });
    let change = json!({ "artifactLocation": { "uri": "a.py" },
        "replacements": [{ "deletedRegion": region, "insertedContent": { "text": "three = 3\r\nTWO" } }] });
    let log = json!({ "version": "2.1.0", "runs": [{ "tool": { "driver": { "name": "own" } }, "results": [{
        "ruleId": "r", "level": "error", "message": { "text": "m" }, "locations": [{ "physicalLocation": place }],
        "fixes": [{ "artifactChanges": [change] }],
    }] }] });
    let sarif = world.file("log.sarif");
    std::fs::write(&sarif, log.to_string()).unwrap();
    // Once it is fixed, there is nothing to report.
    let none = r#"echo '{"version": "2.1.0", "runs": []}'"#;
    linter(&world, "lint", &format!("if grep -q two a.py; then cat '{}'; else {none}; fi", sarif.display()), "");
    let server = world.serve();
    let id = start_with(&server, "lint", json!({ "project": repository.path(), "rules": "none" }), json!({})).await;
    finished(&server, &id).await;
    assert_eq!(on_branch(&repository, &id, "a.py"), "one = 1\nthree = 3\nTWO = 2\n");
}

/// Every setting of git that names a command, hooks, and an environment that points elsewhere.
#[tokio::test]
async fn checkout_runs_nothing_from_git_configuration() {
    use std::os::unix::fs::PermissionsExt;

    let world = World::new();
    let repository =
        with_rules(&world, RULES, &[("a.js", "foo(1);\n"), (".gitattributes", "* filter=evil diff=evil merge=evil\n")]);
    let ran = world.file("ran");
    let evil = world.file("evil.sh");
    std::fs::write(&evil, format!("#!/bin/sh\necho \"$0 $*\" >> '{}'\ncat\n", ran.display())).unwrap();
    std::fs::set_permissions(&evil, PermissionsExt::from_mode(0o755)).unwrap();
    let evil = evil.to_str().unwrap();
    for key in [
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "diff.evil.command",
        "diff.evil.textconv",
        "diff.external",
        "merge.evil.driver",
        "core.fsmonitor",
        "core.sshCommand",
        "core.gitProxy",
        "core.editor",
        "core.pager",
        "core.askPass",
        "credential.helper",
        "gpg.program",
        "gpg.ssh.program",
        "sequence.editor",
        "remote.origin.uploadpack",
        "uploadpack.packObjectsHook",
        "core.alternateRefsCommand",
        "trailer.x.command",
        "pager.diff",
        "pager.status",
    ] {
        repository.git(&["config", key, evil]);
    }
    repository.git(&["config", "commit.gpgSign", "true"]);
    repository.git(&["config", "extensions.partialClone", "origin"]);
    repository.git(&["config", "remote.origin.promisor", "true"]);
    repository.git(&["config", "remote.origin.url", world.file("nowhere").to_str().unwrap()]);
    for hook in
        ["reference-transaction", "post-checkout", "pre-commit", "post-index-change", "pre-auto-gc", "post-commit"]
    {
        let path = repository.path().join(".git/hooks").join(hook);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::copy(evil, &path).unwrap();
    }
    // So young that git compares contents, which filters make.
    repository.write("a.js", "foo(9);\n");
    let server = world.serve();
    let (id, run) = checked(&server, &repository, "grep -q '(1)' a.js").await;
    assert_eq!(run["status"], "completed", "{run} {:#?}", server.lines(&id).await);
    let params =
        json!({ "project": repository.path(), "language": "javascript", "pattern": "foo($A)", "rewrite": "x($A)" });
    let id = start_with(&server, "refactor", params, json!({})).await;
    assert_eq!(finished(&server, &id).await["status"], "completed");
    assert_eq!(std::fs::read_to_string(&ran).unwrap_or_default(), "");
}

/// The data folder may lie in a repository of the user's. Git is never asked which one it is in.
#[tokio::test]
async fn checkout_leaves_outer_repository_alone() {
    let world = World::new();
    let around = Repository::at(world.data());
    around.git(&["init", "--quiet"]);
    around.git(&["config", "user.name", "x"]);
    around.git(&["config", "user.email", "x@example.org"]);
    around.write(".gitignore", "*\n!thesis.txt\n");
    around.commit(&[("thesis.txt", "draft 1\n")]);
    around.write("thesis.txt", "draft 2, a day of work\n");
    let repository = with_rules(&world, RULES, &[("a.js", "foo(1);\n")]);
    let log = r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"x"}},"results":[]}]}"#;
    linter(&world, "lint", &format!("rm -rf .git; echo > a.js; git status >&2; echo '{log}'"), "");
    let server = world.serve();
    let params = json!({ "project": repository.path(), "rules": "project", "severity": "hint", "check": "rm -rf .git; test -s a.js; rm -f a.js" });
    let id = start_with(&server, "lint", params, json!({})).await;
    let run = finished(&server, &id).await;
    assert_eq!(run["status"], "completed", "{run} {:#?}", server.lines(&id).await);
    assert_eq!(on_branch(&repository, &id, "a.js"), "bar(1);\n");
    assert_eq!(around.git(&["status", "--porcelain", "--", "thesis.txt"]), " M thesis.txt\n");
    assert_eq!(std::fs::read_to_string(world.data().join("thesis.txt")).unwrap(), "draft 2, a day of work\n");
}

/// A check that puts a link in the place of a file, or of the checkout, has nothing written through it.
#[tokio::test]
async fn checkout_patches_follow_no_links() {
    let world = World::new();
    let repository = with_rules(&world, RULES, &[("d/a.js", "foo(1);\n"), ("b.js", "foo(2);\n")]);
    let outside = world.file("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("a.js"), "mine\n").unwrap();
    std::fs::write(outside.join("b.js"), "mine\n").unwrap();
    let out = outside.display();
    let check = format!("rm -rf d && ln -s '{out}' d && ln -sf '{out}/b.js' b.js");
    let server = world.serve();
    let (id, run) = checked(&server, &repository, &check).await;
    assert_eq!(run["status"], "completed", "{run} {:#?}", server.lines(&id).await);
    assert_eq!(on_branch(&repository, &id, "d/a.js"), "bar(1);\n");
    for file in ["a.js", "b.js"] {
        assert_eq!(std::fs::read_to_string(outside.join(file)).unwrap(), "mine\n");
    }
}
