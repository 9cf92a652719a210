//! A server that is killed in a phase leaves no half-made branch and no worktree, and its run is recovered by rule.

use super::*;

/// As many files as keep each phase busy for a moment.
const FILES: usize = 1500;

/// The phases of a refactoring, in order.
const PHASES: [&str; 4] = ["scanning", "analyzing", "generating", "applying"];

fn large(world: &World) -> Repository {
    let repository = Repository::new(world, "large");
    let line = "    call(call(1), call(2));\n".repeat(20);
    for file in 0..FILES {
        repository.write(&format!("src/{}/f{file}.rs", file % 50), format!("fn f{file}() {{\n{line}}}\n"));
    }
    repository.commit(&[]);
    repository
}

#[tokio::test]
async fn crash_in_any_phase_leaves_nothing_half_done() {
    let world = World::new();
    let repository = large(&world);
    let before = Snapshot::of(&repository);
    let server = world.serve();
    let params = json!({ "pattern": "call($A, $B)", "rewrite": "called($B, $A)" });
    let id = start(&server, &repository, params).await;
    let mut server = Some(server);
    let mut kept = Vec::new();
    let mut attempt = 0;
    for phase in 0..PHASES.len() {
        // A kill after the run is done is repeated.
        for tried in 1.. {
            attempt += 1;
            let killed = server.take().unwrap();
            let seen = until_within(LONG, "the phase, or a later one, or the end", async || {
                let run = killed.run(&id).await;
                let at = PHASES.iter().position(|name| run["phase"] == *name);
                (run["attempt"] == attempt && (at >= Some(phase) || run["status"] == "completed")).then_some(run)
            })
            .await;
            killed.kill_and_lapse();
            until("everything has ended", async || world.processes().is_empty().then_some(())).await;
            let next = world.serve();
            let run = finished(&next, &id).await;
            let ended = run["status"].as_str().unwrap();
            assert!(["interrupted", "completed"].contains(&ended) && run["attempt"] == attempt, "{seen} {run}");
            // If the kill came just after the branch was made, it is there, and whole.
            let branch = format!("runtrail/{id}-{attempt}");
            let made = repository.git(&["branch", "--list", &branch]).contains(&branch);
            let applying = &run["phases"][PHASES.len() - 1];
            assert!(applying["name"] == PHASES[PHASES.len() - 1] && (made || ended != "completed"), "{run}");
            if made {
                assert!(applying["started_at"].is_string(), "{run}");
                let patches: Vec<Value> = patches_of(&next, &id, attempt).await;
                assert_eq!(repository.applied("HEAD", &patches), repository.tree(&branch));
                kept.push(branch);
            }
            let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
            before.assert_untouched(&repository, &kept);
            assert!(world.workspaces().is_empty());
            let again = next.post(&format!("/api/v1/runs/{id}/rerun"), json!({ "from": "start" })).await;
            assert_eq!(again.status(), StatusCode::ACCEPTED);
            server = Some(next);
            if ended == "interrupted" {
                break;
            }
            assert!(tried < 5, "it completed before each kill: {run}");
        }
    }
    let server = server.unwrap();
    let run = finished(&server, &id).await;
    assert_eq!((&run["status"], &run["attempt"]), (&json!("completed"), &json!(attempt + 1)), "{run}");
    let branch = format!("runtrail/{id}-{}", attempt + 1);
    kept.push(branch.clone());
    let patches = patches_of(&server, &id, attempt + 1).await;
    assert_eq!(patches.len(), FILES);
    assert_eq!(repository.applied("HEAD", &patches), repository.tree(&branch));
    before.assert_untouched(&repository, &kept.iter().map(String::as_str).collect::<Vec<_>>());
}

async fn patches_of(server: &Server, id: &str, attempt: u32) -> Vec<Value> {
    let frames = server.frames(id).await.into_iter();
    let patches = frames.filter(|frame| frame["kind"] == "patch" && frame["attempt"] == attempt);
    patches.map(|frame| frame["data"].clone()).collect()
}

/// Each has a worktree and a branch of its own.
#[tokio::test]
async fn repository_allows_two_runs_at_once() {
    let world = World::new();
    let repository = large(&world);
    let before = Snapshot::of(&repository);
    let server = world.serve_with(&["--workers", "2"]);
    let one = json!({ "pattern": "call($A, $B)", "rewrite": "one($A, $B)" });
    let two = json!({ "pattern": "call($A, $B)", "rewrite": "two($A, $B)" });
    let one = start(&server, &repository, one).await;
    let two = start(&server, &repository, two).await;
    let branches = [format!("runtrail/{one}-1"), format!("runtrail/{two}-1")];
    for (id, branch) in [&one, &two].into_iter().zip(&branches) {
        let run = finished(&server, id).await;
        assert_eq!(run["status"], "completed", "{run}");
        assert_eq!(repository.applied("HEAD", &patches_of(&server, id, 1).await), repository.tree(branch));
    }
    before.assert_untouched(&repository, &[&branches[0], &branches[1]]);
}

/// A crash in the middle of a checkout leaves an incomplete workspace. It is removed, and nothing of the user's is,
/// such as worktrees on a disk that is not mounted.
#[tokio::test]
async fn crash_removes_half_made_workspaces_only() {
    let world = World::new();
    let repository = Repository::new(&world, "app");
    repository.commit(&[("a.rs", "fn a() {}\n")]);
    let users = world.file("users");
    repository.git(&["worktree", "add", "--quiet", "--detach", users.to_str().unwrap()]);
    std::fs::rename(&users, world.file("not-mounted")).unwrap();
    let before = Snapshot::of(&repository);

    let workspace = world.data().join("workspaces/run-1");
    std::fs::create_dir_all(workspace.join("checkout/d")).unwrap();
    std::fs::create_dir_all(workspace.join("store.git/objects")).unwrap();
    std::os::unix::fs::symlink(repository.path(), workspace.join("checkout/link")).unwrap();
    // What a phase leaves behind gives the server no orders.
    let tree = json!({ "repository": { "top": repository.path(), "prefix": "" }, "worktree": repository.path() });
    std::fs::write(workspace.join("repository.json"), tree.to_string()).unwrap();

    let _server = world.serve();
    until("nothing of ours is left", async || world.workspaces().is_empty().then_some(())).await;
    before.assert_untouched(&repository, &[]);
}
