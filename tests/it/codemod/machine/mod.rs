//! What a repository, a check or a linter may try against the user's files, and against folders that are not allowed.

mod exchanged;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::*;

const RULES: &str = "
id: foo
language: JavaScript
rule: { pattern: foo($A) }
fix: bar($A)
";

/// A report without findings.
const NOTHING_FOUND: &str = r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"x"}},"results":[]}]}"#;

/// A folder beside that of the projects.
fn outside(world: &World) -> PathBuf {
    let folder = world.data().with_file_name("outside");
    std::fs::create_dir_all(&folder).unwrap();
    folder.canonicalize().unwrap()
}

/// Repository with uncommitted work: changed, staged and untracked.
fn with_work(path: PathBuf) -> Repository {
    std::fs::create_dir_all(&path).unwrap();
    let repository = Repository::at(path);
    repository.git(&["init", "--quiet", "--initial-branch=main"]);
    repository.git(&["config", "user.name", "x"]);
    repository.git(&["config", "user.email", "x@example.org"]);
    repository.write(".gitignore", "*\n!thesis.txt\n!new.txt\n!a.js\n!sgconfig.yml\n!rules/\n!rules/own.yml\n");
    repository.write("sgconfig.yml", "ruleDirs: [rules]\n");
    repository.write("rules/own.yml", RULES);
    repository.commit(&[("thesis.txt", "draft 1\n"), ("a.js", "foo(1);\n")]);
    repository.write("thesis.txt", "draft 2, a day of work\n");
    repository.write("new.txt", "staged\n");
    repository.git(&["add", "new.txt"]);
    repository.write("new.txt", "staged, and changed since\n");
    repository
}

/// The user's files in a repository, without what the server keeps below it.
fn work(repository: &Repository) -> Vec<Vec<u8>> {
    let files = ["thesis.txt", "new.txt", "a.js", ".git/index", ".git/HEAD", ".git/refs/heads/main"];
    files.iter().map(|file| std::fs::read(repository.path().join(file)).unwrap()).collect()
}

/// What a check or a linter may do to its checkout by accident.
const ACCIDENTS: [&str; 4] =
    ["rm -rf .git", "rm -rf ../checkout", "rm -rf .git; echo 'gitdir: /' > .git", "rm -rf ../*; ln -s / ../checkout"];

#[tokio::test]
async fn checkout_removal_leaves_uncommitted_work() {
    let world = World::new();
    // The data folder is inside one repository, and inside the project itself.
    let around = with_work(world.data());
    let project = with_work(world.file("app"));
    let inside = project.path().join(".data");
    let before = [&around, &project].map(work);
    for data in [world.data().join("sub"), inside] {
        for accident in ACCIDENTS {
            linter(&world, "lint", &format!("{accident}; echo '{NOTHING_FOUND}'"), "");
            let server = world.serve_on(&data, &[]);
            let check = format!("test -s a.js && test -d .git; {accident}");
            let params = json!({ "project": project.path(), "rules": "project", "severity": "hint", "check": check });
            let id = start_with(&server, "lint", params, json!({})).await;
            let run = finished(&server, &id).await;
            assert_eq!(run["status"], "completed", "{accident}: {run} {:#?}", server.lines(&id).await);
            assert_eq!(on_branch(&project, &id, "a.js"), "bar(1);\n");
            assert!([&around, &project].map(work) == before, "{accident}");
        }
    }
    assert!(around.git(&["status", "--porcelain"]).starts_with("AM new.txt\n M thesis.txt\n"));
}

/// A command in a scratch folder finds no repository around the data folder.
#[tokio::test]
async fn scratch_folder_hides_outer_repositories() {
    let world = World::new();
    let around = with_work(world.data());
    let before = work(&around);
    world.toml("resets", "name = \"resets\"\n[[phases]]\nname = \"a\"\nrun = \"git reset --hard; git status\"\n");
    let server = world.serve_on(&world.data().join("sub"), &[]);
    let started = server.post("/api/v1/runs", json!({ "pipeline": "resets" })).await;
    let id = started.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    let run = server.until_status(&id, "failed").await;
    assert!(server.lines(&id).await.iter().any(|line| line.contains("not a git repository")), "{run}");
    assert!(work(&around) == before);
}

/// Keys of `git help -c` that may name a program, or a file with more settings.
fn names_a_program(key: &str) -> bool {
    const LAST: [&str; 35] = [
        "alternaterefscommand",
        "askpass",
        "attributesfile",
        "browser",
        "clean",
        "cmd",
        "command",
        "cccmd",
        "defaultkeycommand",
        "difffilter",
        "driver",
        "editor",
        "external",
        "fsmonitor",
        "gitproxy",
        "guitool",
        "headercmd",
        "helper",
        "hookspath",
        "packobjectshook",
        "pager",
        "path",
        "process",
        "program",
        "receivepack",
        "recentobjectshook",
        "smtpserver",
        "smudge",
        "sshcommand",
        "textconv",
        "tocmd",
        "tool",
        "update",
        "uploadpack",
        "viewer",
    ];
    let (section, last) = (key.split('.').next().unwrap(), key.rsplit('.').next().unwrap().to_lowercase());
    LAST.contains(&last.as_str()) && !["color", "column"].contains(&section)
        || ["alias.*", "pager.<cmd>", "credential.<url>.*", "remote.<name>.vcs"].contains(&key)
}

/// A program that writes down that it was run.
fn evil(world: &World) -> (PathBuf, PathBuf) {
    let (program, ran) = (world.file("evil.sh"), world.file("ran"));
    std::fs::write(&program, format!("#!/bin/sh\necho \"$0 $*\" >> '{}'\ncat\n", ran.display())).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    (program, ran)
}

/// Sets every setting that may name a program, and puts hooks there.
fn set_all(repository: &Repository, git_dir: &Path, program: &Path) -> usize {
    let evil = program.to_str().unwrap();
    let keys = repository.git(&["help", "-c"]);
    let keys = keys.lines().filter(|key| names_a_program(key)).chain([
        "filter.<driver>.process",
        "trailer.<x>.cmd",
        "trailer.<x>.command",
        "pager.rev-parse",
    ]);
    let hooks = git_dir.join("evil-hooks");
    std::fs::create_dir_all(&hooks).unwrap();
    for hook in HOOKS {
        for folder in [&hooks, &git_dir.join("hooks")] {
            std::fs::create_dir_all(folder).unwrap();
            std::fs::copy(program, folder.join(hook)).unwrap();
        }
    }
    let included = git_dir.join("evil-include");
    std::fs::write(&included, format!("[filter \"evil\"]\nclean = {evil}\nsmudge = {evil}\nrequired = true\n"))
        .unwrap();
    let attributes = git_dir.join("evil-attributes");
    std::fs::write(&attributes, "* filter=evil diff=evil merge=evil\n").unwrap();
    std::fs::create_dir_all(git_dir.join("info")).unwrap();
    std::fs::copy(&attributes, git_dir.join("info/attributes")).unwrap();
    let config = git_dir.join("config");
    let mut set = 0;
    for key in keys {
        let names = match key {
            "alias.*" => ["diff-index", "rev-parse", "update-ref"].map(|name| format!("alias.{name}")).to_vec(),
            "credential.<url>.*" => vec!["credential.https://example.org.helper".to_owned()],
            key => {
                let parts = key.split('.').map(|part| if part.starts_with('<') { "evil" } else { part });
                vec![parts.collect::<Vec<_>>().join(".").replace("remote.evil", "remote.origin")]
            }
        };
        let shell = format!("!{evil}");
        let value = match key {
            "alias.*" | "submodule.<name>.update" => shell.as_str(),
            "include.path" => included.to_str().unwrap(),
            "core.attributesFile" => attributes.to_str().unwrap(),
            "core.hooksPath" => hooks.to_str().unwrap(),
            key if key.starts_with("includeIf") => continue,
            _ => evil,
        };
        for name in names {
            repository.git(&["config", "--file", config.to_str().unwrap(), &name, value]);
            set += 1;
        }
    }
    let includes =
        ["config", "--file", config.to_str().unwrap(), "includeIf.gitdir:/.path", included.to_str().unwrap()];
    repository.git(&includes);
    set
}

/// All that git knows (githooks(5)).
const HOOKS: [&str; 28] = [
    "applypatch-msg",
    "commit-msg",
    "fsmonitor-watchman",
    "p4-changelist",
    "p4-post-changelist",
    "p4-pre-submit",
    "p4-prepare-changelist",
    "post-applypatch",
    "post-checkout",
    "post-commit",
    "post-index-change",
    "post-merge",
    "post-receive",
    "post-rewrite",
    "post-update",
    "pre-applypatch",
    "pre-auto-gc",
    "pre-commit",
    "pre-merge-commit",
    "pre-push",
    "pre-rebase",
    "pre-receive",
    "prepare-commit-msg",
    "proc-receive",
    "push-to-checkout",
    "reference-transaction",
    "sendemail-validate",
    "update",
];

#[tokio::test]
async fn git_settings_start_no_program() {
    let world = World::new();
    let (program, ran) = evil(&world);
    let attributes = "* filter=evil diff=evil merge=evil\n";
    let lib = Repository::new(&world, "lib-source");
    lib.commit(&[("ok.js", "foo(0);\n"), (".gitattributes", attributes)]);
    let repository = with_rules(&world, RULES, &[("a.js", "foo(1);\n"), (".gitattributes", attributes)]);
    let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add"];
    repository.git(&[&add[..], &["--name", "evil", lib.path().to_str().unwrap(), "lib"]].concat());
    // A folder that looks like a bare repository and is part of a plain clone.
    for (file, text) in [("HEAD", "ref: refs/heads/main\n"), ("objects/x", ""), ("refs/x", ""), ("b.js", "foo(3);\n")] {
        repository.write(&format!("bare/{file}"), text);
    }
    let config = format!(
        "[core]\nbare = false\nworktree = ..\nfsmonitor = {0}\n[filter \"evil\"]\nclean = {0}\nsmudge = {0}\n",
        program.display()
    );
    repository.commit(&[("bare/config", &config)]);
    let set = set_all(&repository, &repository.path().join(".git"), &program);
    assert!(set > 50, "{set} settings");
    set_all(&repository, &repository.path().join(".git/modules/evil"), &program);
    // A partial clone whose remote is asked for an object that is missing.
    for (key, value) in [("extensions.partialClone", "origin"), ("remote.origin.promisor", "true")] {
        repository.git(&["config", "--file", ".git/config", key, value]);
    }
    repository.git(&["config", "--file", ".git/config", "remote.origin.url", "ssh://example.org/x"]);
    // So young that git compares contents, which filters make.
    repository.write("a.js", "foo(9);\n");
    repository.write("lib/ok.js", "foo(9);\n");
    std::fs::remove_file(&ran).unwrap_or_default();

    linter(&world, "lint", &format!("git status >&2; git log >&2; echo '{NOTHING_FOUND}'"), "");
    let server = world.serve();
    let check = "grep -q '(1)' a.js && git status && git diff";
    let project = json!({ "project": repository.path(), "rules": "project", "severity": "hint", "check": check });
    let id = start_with(&server, "lint", project, json!({})).await;
    let run = finished(&server, &id).await;
    assert_eq!(run["status"], "completed", "{run} {:#?}", server.lines(&id).await);
    assert_eq!(on_branch(&repository, &id, "a.js"), "bar(1);\n");
    for folder in ["", "bare"] {
        let params = json!({ "project": repository.path().join(folder), "language": "javascript",
            "pattern": "foo($A)", "rewrite": "x($A)" });
        let id = start_with(&server, "refactor", params, json!({})).await;
        let run = finished(&server, &id).await;
        match folder {
            "" => assert_eq!(run["status"], "completed", "{run}"),
            _ => assert_eq!(told(&server, &id, "error").await[0]["code"], "bare_repository", "{run}"),
        }
    }
    // A missing object is not fetched.
    let object = repository.git(&["rev-parse", "HEAD:rules/own.yml"]);
    let object = object.trim();
    std::fs::remove_file(repository.path().join(".git/objects").join(&object[..2]).join(&object[2..])).unwrap();
    std::fs::remove_file(repository.path().join("rules/own.yml")).unwrap();
    std::fs::remove_file(&ran).unwrap_or_default();
    let id = start_with(&server, "autofix", json!({ "project": repository.path() }), json!({})).await;
    finished(&server, &id).await;
    assert_eq!(std::fs::read_to_string(&ran).unwrap_or_default(), "");
}
