//! What may be run as a check: commands that the operator has named, unless free checks are allowed.

use reqwest::header::{AUTHORIZATION, HeaderMap};

use super::*;

const RULES: &str = "
id: old
language: Rust
severity: warning
message: Call new.
rule: { pattern: old($A) }
fix: new($A)
";

const TOKEN: &str = "correct horse battery staple";

/// A server that asks for a token, and a client that shows it.
fn serve(world: &World, flags: &[&str]) -> Server {
    let mut server = world.serve_with(&[&["--token", TOKEN][..], flags].concat());
    let headers = HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {TOKEN}").parse().unwrap())]);
    server.client = reqwest::Client::builder().default_headers(headers).build().unwrap();
    server
}

async fn asked(server: &Server, pipeline: &str, repository: &Repository, check: &str) -> (StatusCode, Value) {
    let params = json!({ "project": repository.path(), "rules": "project", "check": check });
    let answer = server.post("/api/v1/runs", json!({ "pipeline": pipeline, "params": params })).await;
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test]
async fn check_is_chosen_by_name() {
    let world = World::new();
    let repository = with_rules(&world, RULES, &[("a.rs", "fn a() { old(1); }\n"), ("b.rs", "fn b() { old(2); }\n")]);
    let checks = world.data().join("checks.toml");
    std::fs::write(&checks, "[[checks]]\nname = \"no-two\"\nrun = \"! grep -q 'new(2)' b.rs\"\n").unwrap();
    let own = "name = \"own\"\nextends = \"autofix\"\n[[checks]]\nname = \"never\"\nrun = \"exit 9\"\n";
    world.toml("own", own);
    let server = serve(&world, &["--checks-file", checks.to_str().unwrap()]);

    let made = world.data().join("made");
    let (status, problem) = asked(&server, "autofix", &repository, &format!("touch '{}'", made.display())).await;
    assert_eq!((status.as_u16(), &problem["errors"][0]["code"]), (422, &json!("not_a_choice")), "{problem}");
    assert!(!made.exists());

    let (status, run) = asked(&server, "autofix", &repository, "no-two").await;
    assert_eq!(status, 201, "{run}");
    let run = finished(&server, run["id"].as_str().unwrap()).await;
    assert_eq!(run["status"], "completed", "{run}");
    let outcome = told(&server, run["id"].as_str().unwrap(), "outcome").await.remove(0);
    assert_eq!((&outcome["fixed"], &outcome["left"]), (&json!(1), &json!(1)), "{outcome}");

    // A pipeline has its own checks besides the server's; the built-in one does not.
    let pipelines = server.get_json("/api/v1/pipelines").await;
    let choices = |name: &str| {
        let pipeline = pipelines.as_array().unwrap().iter().find(|pipeline| pipeline["name"] == name).unwrap();
        let param = pipeline["params"].as_array().unwrap().iter().find(|param| param["name"] == "check").unwrap();
        param["choices"].clone()
    };
    assert_eq!((choices("own"), choices("autofix")), (json!(["never", "no-two"]), json!(["no-two"])));
    let (_, run) = asked(&server, "own", &repository, "never").await;
    assert_eq!(finished(&server, run["id"].as_str().unwrap()).await["status"], "failed");
}

#[tokio::test]
async fn check_by_command_needs_free_checks() {
    let world = World::new();
    let repository = with_rules(&world, RULES, &[("a.rs", "fn a() { old(1); }\n")]);
    let server = serve(&world, &[]);
    let (status, problem) = asked(&server, "autofix", &repository, "true").await;
    assert_eq!(status, 422, "{problem}");
    let said = problem["errors"][0]["message"].as_str().unwrap();
    assert!(said.contains("--checks-file") && said.contains("--free-checks"), "{said}");
    server.kill();
    let server = serve(&world, &["--free-checks"]);
    let (status, run) = asked(&server, "autofix", &repository, "true").await;
    assert_eq!(status, 201, "{run}");
    assert_eq!(finished(&server, run["id"].as_str().unwrap()).await["status"], "completed");
}
