//! The built-in pipelines on real git repositories, by the API.

mod autofix;
mod bad_input;
mod blocked;
mod bounds;
mod checkout;
mod checks;
mod crash;
mod indentation;
mod left_out;
mod linters;
mod lost;
mod machine;
mod passes;
mod proof;
mod real;
mod refactor;
pub mod repository;
mod safety;
mod sarif_paths;
mod suite;

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Server, World, until, until_within};
use repository::{Repository, Snapshot};

/// Starts a refactoring of Rust.
async fn start(server: &Server, repository: &Repository, params: Value) -> String {
    start_with(server, "refactor", json!({ "project": repository.path(), "language": "rust" }), params).await
}

async fn start_with(server: &Server, pipeline: &str, mut params: Value, more: Value) -> String {
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let response = server.post("/api/v1/runs", json!({ "pipeline": pipeline, "params": params })).await;
    let (status, body) = (response.status(), response.json::<Value>().await.unwrap());
    assert_eq!(status, StatusCode::CREATED, "{body}");
    body["id"].as_str().unwrap().to_owned()
}

/// How long a run over many files may take. Only reached when a test fails.
const LONG: Duration = Duration::from_secs(900);

async fn finished(server: &Server, id: &str) -> Value {
    until_within(LONG, "the run ends", async || {
        let run = server.run(id).await;
        (run["status"] != "pending" && run["status"] != "running").then_some(run)
    })
    .await
}

/// The data of a run's frames of this kind, in order.
async fn told(server: &Server, id: &str, kind: &str) -> Vec<Value> {
    let frames = server.frames(id).await.into_iter();
    frames.filter(|frame| frame["kind"] == kind).map(|frame| frame["data"].clone()).collect()
}

/// A repository with rules of its own and these files.
fn with_rules(world: &World, rules: &str, files: &[(&str, &str)]) -> Repository {
    let repository = Repository::new(world, "app");
    repository.write("sgconfig.yml", "ruleDirs: [rules]\n");
    repository.write("rules/own.yml", rules);
    repository.commit(files);
    repository
}

/// AutoFix with the project's own rules, to its end.
async fn autofix(server: &Server, repository: &Repository, params: Value) -> (String, Value) {
    let project = json!({ "project": repository.path(), "rules": "project", "severity": "hint" });
    let id = start_with(server, "autofix", project, params).await;
    let run = finished(server, &id).await;
    (id, run)
}

/// A pipeline with one linter that runs this.
fn linter(world: &World, name: &str, run: &str, more: &str) {
    let text =
        format!("name = \"{name}\"\nextends = \"autofix\"\n[[linters]]\nname = \"own\"\nrun = '''\n{run}\n'''\n{more}");
    world.toml(name, &text);
}

/// The text of a file on the branch of a run's first attempt.
fn on_branch(repository: &Repository, id: &str, path: &str) -> String {
    repository.git(&["cat-file", "blob", &format!("runtrail/{id}-1:{path}")])
}
