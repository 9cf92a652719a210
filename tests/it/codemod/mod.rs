//! The built-in pipelines on real git repositories, by the API.

mod autofix;
mod bad_input;
mod crash;
mod linters;
mod real;
mod refactor;
mod repository;
mod safety;

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
const LONG: Duration = Duration::from_secs(300);

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
