//! What the files of `deploy/` name exists in the program: metrics, routes, flags and commands.

use std::collections::BTreeSet;
use std::process::Command;

use reqwest::StatusCode;

use super::{file, read};
use crate::support::World;

/// All texts of `deploy/`, each with its path.
fn texts() -> Vec<(String, String)> {
    let mut folders = vec![file("deploy")];
    let mut texts = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                texts.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(texts.len() > 15, "{}", texts.len());
    texts
}

/// The words of a text that begin like this.
fn words<'t>(text: &'t str, prefix: &str) -> BTreeSet<&'t str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let parts = text.split(|c| !is_part(c));
    parts.filter(|part| part.starts_with(prefix) && part.len() > prefix.len()).collect()
}

fn help(command: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_runtrail")).args(command).arg("--help").output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn deploy_names_real_metrics_and_routes() {
    // What the adapter of external metrics makes.
    const DERIVED: &str = "runtrail_load";
    let world = World::new();
    let server = world.serve();
    let metrics = server.get("/metrics").await.text().await.unwrap();
    let mut found = 0;
    for name in ["deploy/kubernetes/autoscaling-keda.yaml", "deploy/kubernetes/autoscaling-hpa.yaml"] {
        for metric in words(&read(name), "runtrail_").into_iter().filter(|metric| *metric != DERIVED) {
            let is_there = metrics.contains(&format!("\n{metric} ")) || metrics.contains(&format!("\n{metric}{{"));
            assert!(is_there, "{name}: /metrics has no {metric}");
            found += 1;
        }
        assert!(metrics.contains("\nruntrail_runs{status=\"pending\"} "), "the query selects by this label");
    }
    assert!(found >= 4, "{found} names");

    // Probes send no token, and name the pod by its address.
    let world = World::new();
    let server = world.serve_guarded(&[]);
    let mut probes = 0;
    for name in ["deploy/kubernetes/web.yaml", "deploy/kubernetes/worker.yaml"] {
        for path in read(name).lines().filter_map(|line| line.trim().strip_prefix("path: /").map(str::to_owned)) {
            assert_eq!(server.get(&format!("/{path}")).await.status(), StatusCode::OK, "{name}: /{path}");
            probes += 1;
        }
    }
    assert_eq!(probes, 6, "three probes each");
}

#[test]
fn deploy_names_real_flags_and_commands() {
    // Of the compose file and the Caddyfile alone.
    const OTHERS: [&str; 2] = ["RUNTRAIL_HOST", "RUNTRAIL_UPSTREAMS"];
    let (flags, commands) = (help(&["serve"]), help(&[]));
    for (path, text) in texts() {
        for name in words(&text, "RUNTRAIL_") {
            // Values of secret ones are not shown.
            let is_flag = ["=", "]"].iter().any(|end| flags.contains(&format!("[env: {name}{end}")));
            let is_known = is_flag || OTHERS.contains(&name);
            assert!(is_known, "{path}: there is no variable {name}");
        }
        let lines = text.lines().filter_map(|line| line.strip_prefix("ExecStart=/usr/bin/runtrail "));
        for command in lines.filter_map(|line| line.split(' ').next()) {
            assert!(commands.contains(&format!("\n  {command} ")), "{path}: there is no command {command}");
        }
    }
}
