//! Repositories outside of the allowed folders, and folders that are exchanged while a run works.

use super::*;

async fn refused(server: &Server, project: &Path) -> (String, String) {
    let params = json!({ "project": project, "language": "rust", "pattern": "old($A)", "rewrite": "new($A)" });
    let id = start_with(server, "refactor", params, json!({})).await;
    let run = finished(server, &id).await;
    assert_eq!(run["status"], "failed", "{run}");
    let error = told(server, &id, "error").await.remove(0);
    (error["code"].as_str().unwrap().to_owned(), error["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn repository_partly_outside_is_refused() {
    let world = World::new();
    let outside = outside(&world);
    let other = Repository::at(outside.join("other"));
    std::fs::create_dir(other.path()).unwrap();
    other.git(&["init", "--quiet", "--initial-branch=main"]);
    other.git(&["config", "user.name", "x"]);
    other.git(&["config", "user.email", "x@example.org"]);
    other.commit(&[("a.rs", "fn a() { old(1); }\n"), ("in/a.rs", "fn a() { old(1); }\n")]);
    let project = |name: &str| {
        let path = world.file(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    };
    let gitdir = project("gitdir");
    std::fs::write(gitdir.join(".git"), format!("gitdir: {}/.git\n", other.path().display())).unwrap();
    let linked = project("linked");
    symlink(other.path().join(".git"), linked.join(".git")).unwrap();
    let borrows = Repository::new(&world, "borrows");
    let alternates = borrows.path().join(".git/objects/info/alternates");
    std::fs::write(&alternates, format!("{}/.git/objects\n", other.path().display())).unwrap();
    borrows.git(&["reset", "--quiet", "--hard", other.git(&["rev-parse", "HEAD"]).trim()]);
    let refs = Repository::new(&world, "refs");
    refs.commit(&[("a.rs", "fn a() { old(1); }\n")]);
    symlink(other.path().join(".git/refs"), refs.path().join(".git/refs/heads/runtrail")).unwrap();
    let common = project("common");
    other.git(&["worktree", "add", "--quiet", "--detach", common.join("tree").to_str().unwrap()]);
    let before = Snapshot::of(&other);

    let server = world.serve();
    for (project, place) in [
        (gitdir, other.path().join(".git")),
        (linked, other.path().join(".git")),
        (borrows.path().to_owned(), other.path().join(".git/objects")),
        (refs.path().to_owned(), other.path().join(".git/refs")),
        (common.join("tree"), other.path().join(".git")),
    ] {
        let (code, message) = refused(&server, &project).await;
        assert_eq!(code, "repository_outside", "{message}");
        assert!(message.contains(place.to_str().unwrap()) && message.contains("--projects"), "{message}");
    }
    before.assert_untouched(&other, &[]);
    drop(server);
    // The allowed folder begins inside the repository.
    let server = world.serve_with(&["--projects", other.path().join("in").to_str().unwrap()]);
    let (code, message) = refused(&server, &other.path().join("in")).await;
    assert!(code == "repository_outside" && message.contains(other.path().to_str().unwrap()), "{code} {message}");
    drop(server);
    // With all of it allowed, it is worked on.
    let server = world.serve_with(&["--projects", other.path().to_str().unwrap()]);
    let id = start(&server, &borrows, json!({ "pattern": "old($A)", "rewrite": "new($A)" })).await;
    assert_eq!(finished(&server, &id).await["status"], "completed");
    let tree = Repository::at(common.join("tree"));
    let id = start(&server, &tree, json!({ "pattern": "old($A)", "rewrite": "new($A)" })).await;
    assert_eq!(finished(&server, &id).await["status"], "completed");
    assert_eq!(on_branch(&other, &id, "a.rs"), "fn a() { new(1); }\n");
}

/// Exchanges two names until it is dropped.
struct Exchanging {
    stop: std::sync::Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Exchanging {
    fn new(a: PathBuf, b: PathBuf) -> Self {
        let stop = std::sync::Arc::new(AtomicBool::new(false));
        let stopped = std::sync::Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE).unwrap();
                std::thread::yield_now();
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Exchanging {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

#[tokio::test]
async fn repository_exchanged_for_a_link_is_not_followed() {
    let world = World::new();
    let outside = outside(&world);
    let other = Repository::at(outside.join("other"));
    std::fs::create_dir(other.path()).unwrap();
    other.git(&["init", "--quiet", "--initial-branch=main"]);
    other.git(&["config", "user.name", "x"]);
    other.git(&["config", "user.email", "x@example.org"]);
    other.commit(&[("which", "outside\n"), ("a.rs", "fn outside() { old(1); }\n")]);
    let inside = Repository::new(&world, "app");
    inside.commit(&[("which", "inside\n"), ("a.rs", "fn inside() { old(1); }\n")]);
    std::fs::create_dir(inside.path().join("sub")).unwrap();
    std::fs::create_dir(other.path().join("sub")).unwrap();
    symlink(other.path(), world.file("link")).unwrap();
    world.phase("which", "cat which", "");
    world.phase("below", "cat ../which", "dir = \"sub\"");
    let before = Snapshot::of(&other);
    let server = world.serve_with(&["--workers", "4"]);
    let mut ids = Vec::new();
    let mut worked = std::collections::BTreeMap::new();
    // Which runs meet the right folder is chance: as many as it takes until some of each kind have.
    for _ in 0..10 {
        let first = ids.len();
        let exchanging = Exchanging::new(inside.path().to_owned(), world.file("link"));
        let refactor = json!({ "language": "rust", "pattern": "old($A)", "rewrite": "new($A)" });
        for at in 0..120 {
            let (pipeline, more) = match at % 6 {
                0 => ("refactor", refactor.clone()),
                1 | 2 => ("below", json!({})),
                _ => ("which", json!({})),
            };
            let mut params = json!({ "project": inside.path() });
            params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let started = server.post("/api/v1/runs", json!({ "pipeline": pipeline, "params": params })).await;
            if started.status() == StatusCode::CREATED {
                let body: Value = started.json().await.unwrap();
                ids.push((pipeline, body["id"].as_str().unwrap().to_owned()));
            }
        }
        for (_, id) in &ids[first..] {
            finished(&server, id).await;
        }
        drop(exchanging);
        for (pipeline, id) in &ids[first..] {
            if server.run(id).await["status"] == "completed" {
                *worked.entry(*pipeline).or_insert(0) += 1;
            }
        }
        if worked.contains_key("which") && worked.contains_key("below") {
            break;
        }
    }
    for (pipeline, id) in &ids {
        let frames = server.frames(id).await;
        let printed: String = frames
            .iter()
            .filter(|frame| ["log", "patch", "finding"].contains(&frame["kind"].as_str().unwrap()))
            .filter(|frame| !frame["data"].to_string().contains("outside the folders"))
            .map(|frame| frame["data"].to_string())
            .collect();
        assert!(!printed.contains("outside"), "{pipeline}: {printed}");
    }
    before.assert_untouched(&other, &[]);
    assert!(worked.contains_key("which") && worked.contains_key("below"), "{} runs, completed: {worked:?}", ids.len());
}

#[tokio::test]
async fn repository_exchanged_during_approval_is_refused() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    repository.commit(&[("a.rs", "fn a() { old(1); }\n")]);
    let server = world.serve();
    let id = start(&server, &repository, json!({ "pattern": "old($A)", "rewrite": "new($A)", "approval": true })).await;
    server.until_awaiting_approval(&id).await;
    std::fs::rename(repository.path(), world.file("moved")).unwrap();
    let other = Repository::new(&world, "app");
    other.commit(&[("a.rs", "fn a() { old(1); }\n")]);
    let before = Snapshot::of(&other);
    server.post(&format!("/api/v1/runs/{id}/approve"), json!({})).await;
    assert_eq!(finished(&server, &id).await["status"], "failed");
    assert_eq!(told(&server, &id, "error").await[0]["code"], "repository_exchanged");
    before.assert_untouched(&other, &[]);
}

/// A check that puts a link in the place of a folder that a submodule is in.
#[tokio::test]
async fn submodule_files_are_not_written_through_links() {
    let world = World::new();
    let lib = Repository::new(&world, "lib-source");
    lib.commit(&[("ok", "ok\n")]);
    let repository = with_rules(&world, RULES, &[("a.js", "foo(1);\n")]);
    let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add"];
    repository.git(&[&add[..], &[lib.path().to_str().unwrap(), "deps/lib"]].concat());
    repository.commit(&[]);
    let outside = outside(&world);
    std::fs::create_dir_all(outside.join("lib")).unwrap();
    std::fs::write(outside.join("lib/ok"), "mine\n").unwrap();
    let server = world.serve();
    for link in ["deps", "deps/lib"] {
        let target = outside.join(link.strip_prefix("deps/").unwrap_or(""));
        let check = format!("grep -q ok deps/lib/ok && rm -rf {link} && ln -s '{}' {link}", target.display());
        let (id, run) = autofix(&server, &repository, json!({ "check": check })).await;
        assert_eq!(run["status"], "completed", "{link}: {run} {:#?}", server.lines(&id).await);
        assert_eq!(std::fs::read_to_string(outside.join("lib/ok")).unwrap(), "mine\n");
        assert_eq!(std::fs::read_dir(outside.join("lib")).unwrap().count(), 1);
    }
}
