//! Checks and linters have a time limit and a bound on their output, and leave nothing running.

use super::*;
use crate::support::{alive, pids};

const RULES: &str = "
id: old
language: Rust
rule: { pattern: old($A) }
fix: new($A)
";

fn small(world: &World) -> Repository {
    with_rules(world, RULES, &[("a.rs", "fn a() { old(1); }\n")])
}

#[tokio::test]
async fn check_leftover_processes_are_ended() {
    let world = World::new();
    let repository = small(&world);
    let file = world.file("pids");
    // In its own group, in another session, and deaf to SIGTERM.
    let note = format!("echo $! >> '{}'", file.display());
    let check = format!("sleep 3000 & {note}; setsid sleep 3000 & {note}; (trap '' TERM; sleep 3000) & {note}; true");
    let server = world.serve();
    let (id, run) = autofix(&server, &repository, json!({ "check": check })).await;
    assert_eq!(run["status"], "completed", "{run}");
    assert_eq!(on_branch(&repository, &id, "a.rs"), "fn a() { new(1); }\n");
    let left = pids(&file);
    assert!(left.len() >= 6 && left.iter().all(|pid| !alive(*pid)), "{left:?}");
    let lines = server.lines(&id).await;
    assert!(lines.iter().any(|line| line.starts_with("check: ended what it left running: ")), "{lines:#?}");
}

#[tokio::test]
async fn check_timeout_shows_the_output() {
    let world = World::new();
    let repository = small(&world);
    let server = world.serve();
    let check = "grep -q new a.rs || exit 0; echo thinking; sleep 3000";
    let (id, run) = autofix(&server, &repository, json!({ "check": check, "check_timeout": "2s" })).await;
    assert_eq!(run["status"], "completed", "{run}");
    let lines = server.lines(&id).await;
    let at = lines.iter().position(|line| line.contains("it took longer than 2s and was ended")).unwrap();
    assert_eq!(lines[at + 1], "  thinking");
    let (id, run) = autofix(&server, &repository, json!({ "check": "true", "check_timeout": "soon" })).await;
    assert_eq!(run["status"], "failed");
    assert_eq!(told(&server, &id, "error").await[0]["code"], "bad_limit");
}

#[tokio::test]
async fn check_output_keeps_the_end() {
    let world = World::new();
    let repository = small(&world);
    let server = world.serve();
    let check = "head -c 300000000 /dev/zero | tr '\\0' x; echo; echo the reason; false";
    let (id, run) = autofix(&server, &repository, json!({ "check": check })).await;
    assert_eq!(run["status"], "failed");
    let message = told(&server, &id, "error").await.remove(0)["message"].as_str().unwrap().to_owned();
    assert!(message.ends_with("the reason") && message.len() < 10_000, "{} bytes", message.len());
}

#[tokio::test]
async fn linter_endless_output_is_ended() {
    let world = World::new();
    let repository = small(&world);
    linter(&world, "lint", "sleep 3000 & yes", "");
    let server = world.serve();
    let id = start_with(&server, "lint", json!({ "project": repository.path(), "rules": "none" }), json!({})).await;
    assert_eq!(finished(&server, &id).await["status"], "failed");
    let error = told(&server, &id, "error").await.remove(0);
    assert_eq!(error["code"], "linter_failed");
    assert!(error["message"].as_str().unwrap().contains("printed more than 256 MiB"), "{error}");
}
