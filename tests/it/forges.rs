//! The rules of docs/triggers.md for "ignore deleted branches", each with payloads of its forge's shape.

use serde_json::{Value, json};

use crate::support::forge::{SECRET, hooked, send, signature};
use crate::support::{Server, World};

const TRIGGERS: &str = include_str!("../../docs/triggers.md");
const ZEROS: &str = "0000000000000000000000000000000000000000";
const COMMIT: &str = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7";

/// A server with a pipeline for this rule, which docs/triggers.md shows.
fn server(rule: &str, branch: &str, prefix: &str) -> (World, Server) {
    assert!(TRIGGERS.contains(rule), "docs/triggers.md shows {rule}");
    let world = World::new();
    let recipe = "[[params]]\nname = \"branch\"\ntype = \"string\"\n[[phases]]\nname = \"a\"\nrun = \"true\"\n";
    let branch = format!("branch = {{ from = \"{branch}\", strip_prefix = \"{prefix}\" }}");
    hooked(&world, "p", recipe, &format!("events = [\"push\", \"repo:push\"]\n{rule}\n[hook.params]\n{branch}\n"));
    let server = world.serve();
    (world, server)
}

/// The hook's answers to a push to a branch and to the branch's deletion.
async fn check(
    server: &Server,
    headers: &dyn Fn(&str) -> Vec<(&'static str, String)>,
    pushed: &Value,
    deleted: &Value,
) {
    let pushed = pushed.to_string();
    let (status, run) = send(server, "p", &headers(&pushed), &pushed).await;
    assert_eq!((status, &run["params"]["branch"]), (201, &json!("feature")), "{run}");
    let deleted = deleted.to_string();
    let (status, answer) = send(server, "p", &headers(&deleted), &deleted).await;
    assert_eq!(status, 202, "{answer}");
    assert!(answer["ignored"].as_str().unwrap().contains("condition"), "{answer}");
    assert_eq!(server.get_json("/api/v1/runs").await["runs"].as_array().unwrap().len(), 1);
}

/// docs.github.com, "Webhook events and payloads", `push`.
#[tokio::test]
async fn forge_rule_of_github_ignores_deleted_branches() {
    let (_world, server) = server(r#"if = { "/deleted" = { not = true } }"#, "/ref", "refs/heads/");
    let payload = |after: &str, deleted: bool| {
        let head = if deleted {
            Value::Null
        } else {
            json!({"id": after, "message": "Change", "added": ["a"], "distinct": true})
        };
        json!({
            "ref": "refs/heads/feature", "before": COMMIT, "after": after, "repository": {"id": 1, "full_name": "o/app"},
            "pusher": {"name": "o", "email": "o@example.com"}, "sender": {"login": "o", "id": 2}, "created": false,
            "deleted": deleted, "forced": false, "base_ref": null, "compare": "https://github.com/o/app/compare/a...b",
            "commits": [], "head_commit": head,
        })
    };
    let headers = |body: &str| {
        vec![
            ("x-github-event", "push".to_owned()),
            ("x-hub-signature-256", format!("sha256={}", signature(SECRET, body))),
        ]
    };
    check(&server, &headers, &payload("95790bf891e76fee5e1747ab589903a6a1f80f22", false), &payload(ZEROS, true)).await;
}

/// docs.gitlab.com, "Webhook events", "Push events": the end of a branch is a push without a commit to check out.
#[tokio::test]
async fn forge_rule_of_gitlab_ignores_deleted_branches() {
    let (_world, server) = server(r#"if = { "/checkout_sha" = { exists = true } }"#, "/ref", "refs/heads/");
    let payload = |after: &str, checkout: Option<&str>| {
        json!({
            "object_kind": "push", "event_name": "push", "before": COMMIT, "after": after, "ref": "refs/heads/feature",
            "ref_protected": false, "checkout_sha": checkout, "message": null, "user_id": 4, "user_name": "O",
            "project_id": 15, "project": {"id": 15, "path_with_namespace": "o/app", "default_branch": "main"},
            "commits": [], "total_commits_count": 0, "push_options": {},
        })
    };
    let headers = |_: &str| vec![("x-gitlab-event", "Push Hook".to_owned()), ("x-gitlab-token", SECRET.to_owned())];
    check(&server, &headers, &payload(COMMIT, Some(COMMIT)), &payload(ZEROS, None)).await;
}

/// support.atlassian.com, "Event payloads", "Push": the end of a branch is a change without a new state.
#[tokio::test]
async fn forge_rule_of_bitbucket_ignores_deleted_branches() {
    let (_world, server) =
        server(r#"if = { "/push/changes/0/new" = { exists = true } }"#, "/push/changes/0/new/name", "");
    let state = json!({"type": "branch", "name": "feature", "target": {"type": "commit", "hash": COMMIT}});
    let payload = |old: &Value, new: &Value| {
        json!({
            "actor": {"type": "user", "nickname": "o"}, "repository": {"type": "repository", "full_name": "o/app"},
            "push": {"changes": [{
                "new": new, "old": old, "created": old.is_null(), "forced": false, "closed": new.is_null(),
                "commits": [], "truncated": false, "links": {},
            }]},
        })
    };
    let headers = |body: &str| {
        vec![
            ("x-event-key", "repo:push".to_owned()),
            ("x-hub-signature", format!("sha256={}", signature(SECRET, body))),
        ]
    };
    check(&server, &headers, &payload(&state, &state), &payload(&state, &Value::Null)).await;
}

/// docs.gitea.com, "Webhooks": the end of a branch is an event of its own, `delete`; a push to a mirror may have zeros
/// too.
#[tokio::test]
async fn forge_rule_of_gitea_ignores_deleted_branches() {
    let (_world, server) = server(r#"if = { "/after" = { not = { pattern = "0+" } } }"#, "/ref", "refs/heads/");
    let payload = |after: &str| {
        json!({
            "ref": "refs/heads/feature", "before": COMMIT, "after": after, "compare_url": "https://git.example/compare",
            "commits": [], "total_commits": 0, "head_commit": null, "repository": {"id": 1, "full_name": "o/app"},
            "pusher": {"id": 1, "login": "o"}, "sender": {"id": 1, "login": "o"},
        })
    };
    let named = |event: &str, body: &str| {
        vec![("x-gitea-event", event.to_owned()), ("x-gitea-signature", signature(SECRET, body))]
    };
    check(&server, &|body| named("push", body), &payload(COMMIT), &payload(ZEROS)).await;
    let deleted = json!({
        "ref": "feature", "ref_type": "branch", "pusher_type": "user", "repository": {"id": 1, "full_name": "o/app"},
        "sender": {"id": 1, "login": "o"},
    });
    let deleted = deleted.to_string();
    let (status, answer) = send(&server, "p", &named("delete", &deleted), &deleted).await;
    assert_eq!(status, 202, "{answer}");
    assert!(answer["ignored"].as_str().unwrap().contains("event `delete`"), "{answer}");
}
