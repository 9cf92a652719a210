//! The examples of the documentation do what it says: pipeline files are accepted, and shell commands run.

use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Server, World};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// What pipeline fragments refer to, appended to those that have no phases of their own.
const REST: &str = r#"
[[params]]
name = "project"
type = "path"
[[params]]
name = "branch"
type = "string"
[[phases]]
name = "phase"
run = "true"
"#;

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages: Vec<_> = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    pages.push(root.join("README.md"));
    pages.sort();
    pages
}

/// The fenced blocks of this language, each with the number of its first line.
fn blocks(page: &Path, language: &str) -> Vec<(usize, String)> {
    let text = std::fs::read_to_string(page).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<(usize, bool, String)> = None;
    for (index, line) in text.lines().enumerate() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(opened)) => open = Some((index + 2, opened == language, String::new())),
            (Some(_), Some(_)) => {
                let (line, is_wanted, text) = open.take().unwrap();
                if is_wanted {
                    blocks.push((line, text));
                }
            }
            (Some((_, _, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// A whole pipeline file of this name from an example, which may be a part of one.
fn complete(example: &str, name: &str) -> String {
    let named = example.starts_with("name = ");
    let lines = example.lines().skip(usize::from(named)).collect::<Vec<_>>().join("\n");
    let is_whole = example.contains("[[phases]]") || example.contains("extends = ");
    format!("name = \"{name}\"\n{lines}\n{}", if is_whole { "" } else { REST })
}

#[tokio::test]
async fn docs_pipeline_examples_are_accepted() {
    let world = World::new();
    let mut names = Vec::new();
    for page in pages() {
        let stem = page.file_stem().unwrap().to_string_lossy().to_lowercase();
        for (line, example) in blocks(&page, "toml") {
            let name = format!("{stem}-{line}");
            world.toml(&name, &complete(&example, &name));
            names.push(name);
        }
    }
    assert!(names.len() > 10, "{names:?}");
    let server = world.serve_logged(&[("NIGHTLY_SECRET", SECRET), ("NOTIFY_SECRET", SECRET)], &[]);
    let listed = server.get_json("/api/v1/pipelines").await;
    let accepted = |name: &String| listed.as_array().unwrap().iter().any(|pipeline| pipeline["name"] == **name);
    let refused: Vec<_> = names.iter().filter(|name| !accepted(name)).collect();
    assert!(refused.is_empty(), "examples (page-line) that are refused: {refused:?}\n{}", world.log());
}

/// The pipeline that the examples of `docs/api.md` and `docs/triggers.md` name. Its first two attempts end at once.
const NIGHTLY: &str = r#"
name = "nightly"
[[params]]
name = "level"
type = "choice"
choices = ["quick", "thorough"]
[[phases]]
name = "check"
run = '[ "$RUNTRAIL_ATTEMPT" -le 2 ] || exec sleep 1000'
[[schedules]]
name = "weekdays"
cron = "30 2 * * 1-5"
[hook]
secret_env = "NIGHTLY_SECRET"
"#;

/// Runs all shell examples of a page, one after the other in one shell, against this server.
fn run_examples(page: &str, world: &World, server: &Server, run: &str) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let examples: String = blocks(&page, "sh").into_iter().map(|(_, text)| text).collect();
    assert!(examples.contains("localhost:3000"), "{} has no examples", page.display());
    let address = server.url.trim_start_matches("http://");
    // A request that is refused ends the shell.
    let script = format!(
        "set -eu\ncurl() {{ command curl --fail-with-body \"$@\"; }}\n{}",
        examples.replace("localhost:3000", address)
    );
    let mut shell = Command::new("sh");
    let shell = shell.args(["-xc", &script]).env("DATA_DIR", world.data()).env("RUN", run);
    let done = shell.env("NIGHTLY_SECRET", SECRET).output().unwrap();
    let (printed, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{}\n{printed}\n{errors}", page.display());
}

#[tokio::test]
async fn docs_api_examples_run() {
    let world = World::new();
    world.toml("nightly", NIGHTLY);
    let server = world.serve_logged(&[("NIGHTLY_SECRET", SECRET), ("RUNTRAIL_NO_TOKEN", "1")], &[]);
    let started = server.post("/api/v1/runs", json!({"pipeline": "nightly", "params": {}})).await;
    let run = started.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    server.until_status(&run, "completed").await;
    let rerun = server.post(&format!("/api/v1/runs/{run}/rerun"), json!({"from": "start"})).await;
    assert_eq!(rerun.status(), StatusCode::ACCEPTED);
    server.until_status(&run, "completed").await;
    // The examples send a token, so the next server requires one.
    server.terminate().await;
    let server = world.serve_logged(&[("NIGHTLY_SECRET", SECRET), ("RUNTRAIL_NO_TOKEN", "0")], &[]);
    run_examples("api.md", &world, &server, &run);
}

#[tokio::test]
async fn docs_hook_examples_run() {
    let world = World::new();
    world.toml("nightly", NIGHTLY);
    let server = world.serve_logged(&[("NIGHTLY_SECRET", SECRET)], &[]);
    run_examples("triggers.md", &world, &server, "");
    assert_eq!(server.get_json("/api/v1/runs").await["runs"].as_array().unwrap().len(), 1);
}
