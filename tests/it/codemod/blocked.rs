//! What would keep the last phase from creating the branch is reported by the first one, with the remedy, before anyone
//! is asked.

use super::*;

async fn refused(server: &Server, repository: &Repository) -> (String, String) {
    let params = json!({ "pattern": "old($A)", "rewrite": "new($A)", "approval": true });
    let id = start(server, repository, params).await;
    let run = finished(server, &id).await;
    assert_eq!((&run["status"], &run["phases"][0]["state"]), (&json!("failed"), &json!("failed")), "{run}");
    let error = told(server, &id, "error").await.remove(0);
    (error["code"].as_str().unwrap().to_owned(), error["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn branch_conflict_names_the_remedy() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    repository.commit(&[("a.rs", "fn a() { old(1); }\n")]);
    repository.git(&["branch", "runtrail"]);
    let server = world.serve();
    for packed in [false, true] {
        if packed {
            repository.git(&["pack-refs", "--all"]);
        }
        let before = Snapshot::of(&repository);
        let (code, message) = refused(&server, &repository).await;
        assert_eq!(code, "branch_blocked");
        assert!(message.contains("there is a branch runtrail, and"), "{message}");
        assert!(message.contains("`git branch -m runtrail NEW-NAME`"), "{message}");
        before.assert_untouched(&repository, &[]);
    }
    // Without a rewrite nothing is committed, so it is not in the way.
    let id = start(&server, &repository, json!({ "pattern": "old($A)" })).await;
    assert_eq!(finished(&server, &id).await["status"], "completed");
    repository.git(&["branch", "-m", "runtrail", "other"]);
    let id = start(&server, &repository, json!({ "pattern": "old($A)", "rewrite": "new($A)" })).await;
    assert_eq!(finished(&server, &id).await["status"], "completed");
}

#[tokio::test]
async fn branch_conflict_is_found_in_reftables() {
    let world = World::new();
    let path = world.file("app");
    std::fs::create_dir(&path).unwrap();
    let repository = Repository::at(path);
    repository.git(&["init", "--quiet", "--ref-format=reftable", "--initial-branch=main"]);
    repository.git(&["config", "user.name", "An Operator"]);
    repository.git(&["config", "user.email", "operator@example.org"]);
    repository.commit(&[("a.rs", "fn a() { old(1); }\n")]);
    let server = world.serve();
    let id = start(&server, &repository, json!({ "pattern": "old($A)", "rewrite": "new($A)" })).await;
    assert_eq!(finished(&server, &id).await["status"], "completed");
    assert_eq!(on_branch(&repository, &id, "a.rs"), "fn a() { new(1); }\n");
    repository.git(&["branch", "-q", "-D", &format!("runtrail/{id}-1")]);
    repository.git(&["branch", "runtrail"]);
    let (code, message) = refused(&server, &repository).await;
    assert!(code == "branch_blocked" && message.contains("runtrail"), "{code} {message}");
}

#[tokio::test]
async fn branch_lock_left_behind_is_named() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    repository.commit(&[("a.rs", "fn a() { old(1); }\n")]);
    let server = world.serve();
    // The folder of this name blocks the reference, as a lock would.
    let blocked = repository.path().join(".git/refs/heads/runtrail");
    std::fs::write(&blocked, "no reference\n").unwrap();
    let (code, message) = refused(&server, &repository).await;
    assert!(code == "branch_blocked" && message.contains("refs/heads/runtrail"), "{code} {message}");
    std::fs::remove_file(&blocked).unwrap();
    // The index is the user's business.
    std::fs::write(repository.path().join(".git/index.lock"), "").unwrap();
    let id = start(&server, &repository, json!({ "pattern": "old($A)", "rewrite": "new($A)" })).await;
    assert_eq!(finished(&server, &id).await["status"], "completed");
}

/// As a user that may not write there. Root may, so this needs another one.
#[tokio::test]
async fn branch_in_a_read_only_repository_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let world = World::new();
    let repository = Repository::new(&world, "app");
    repository.commit(&[("a.rs", "fn a() { old(1); }\n")]);
    let server = world.serve();
    let objects = repository.path().join(".git/objects");
    let id = repository.git(&["rev-parse", "HEAD"]);
    let shard = objects.join(&id[..2]);
    for folder in [objects, shard, repository.path().join(".git/refs/heads")] {
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o555)).unwrap();
        if std::fs::write(folder.join("probe"), "").is_ok() {
            std::fs::remove_file(folder.join("probe")).unwrap();
            eprintln!("left out: this user may write everywhere");
            return;
        }
        let (code, message) = refused(&server, &repository).await;
        assert_eq!(code, "no_write_access");
        assert!(message.contains(folder.to_str().unwrap()) && message.contains("write access"), "{message}");
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
    }
}

#[tokio::test]
async fn commit_encoding_matches_its_message() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    repository.commit(&[("a.rs", "fn a() { f(\"ü\"); }\n")]);
    repository.git(&["config", "i18n.commitEncoding", "ISO-8859-1"]);
    let server = world.serve();
    let id = start(&server, &repository, json!({ "pattern": "f(\"ü\")", "rewrite": "g(\"ü\")" })).await;
    assert_eq!(finished(&server, &id).await["status"], "completed");
    let branch = format!("runtrail/{id}-1");
    let commit = repository.git(&["cat-file", "commit", &branch]);
    assert!(!commit.contains("\nencoding ") && commit.contains("Pattern: f(\"ü\")"), "{commit}");
    assert!(commit.contains("author An Operator <operator@example.org>"), "{commit}");
}
