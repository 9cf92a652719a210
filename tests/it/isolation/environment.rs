//! Which variables of the server its commands get.

use super::printed;
use crate::support::{Server, World};

const VARIABLES: [(&str, &str); 8] = [
    ("AWS_SECRET_ACCESS_KEY", "aws"),
    ("AWS_REGION", "region"),
    ("OTHER", "other"),
    ("CARGO_HOME", "/cargo"),
    ("LC_TIME", "C"),
    ("https_proxy", "http://proxy.invalid"),
    ("NPM_TOKEN", "npm-secret"),
    ("RUNTRAIL_DISK_WAIT", "7h"),
];

/// The names of all variables that a command has.
async fn names(world: &World, server: &Server) -> Vec<String> {
    let lines = printed(world, server, "env").await;
    lines.iter().filter_map(|line| line.split_once('=')).map(|(name, _)| name.to_owned()).collect()
}

fn world() -> World {
    let world = World::new();
    world.phase("env", "env", "env = { OTHER_OF_PHASE = \"x\" }\n[secrets]\nTOKEN = { env = \"NPM_TOKEN\" }");
    world
}

#[tokio::test]
async fn environment_describes_the_machine_only() {
    let world = world();
    let server = world.serve_logged(&VARIABLES, &[]);
    let names = names(&world, &server).await;
    for got in ["PATH", "CARGO_HOME", "LC_TIME", "https_proxy", "OTHER_OF_PHASE", "TOKEN", "RUNTRAIL_RUN_ID"] {
        assert!(names.iter().any(|name| name == got), "{got}: {names:?}");
    }
    let own = ["RUN_ID", "ATTEMPT", "PHASE", "TRY", "WORKSPACE", "PROGRAM", "PARAM_PROJECT"];
    for name in &names {
        let is_other = ["AWS_SECRET_ACCESS_KEY", "AWS_REGION", "OTHER", "NPM_TOKEN"].contains(&name.as_str());
        let is_servers = name.strip_prefix("RUNTRAIL_").is_some_and(|name| !own.contains(&name));
        assert!(!is_other && !is_servers, "{name}");
    }
}

#[tokio::test]
async fn environment_passes_named_variables() {
    let world = world();
    let server = world.serve_logged(&VARIABLES, &["--pass-env", "AWS_*,OTHER"]);
    let some = names(&world, &server).await;
    for got in ["AWS_SECRET_ACCESS_KEY", "AWS_REGION", "OTHER"] {
        assert!(some.iter().any(|name| name == got), "{got}: {some:?}");
    }
    drop(server);
    // All but the server's own and the secrets of pipelines.
    let server = world.serve_logged(&VARIABLES, &["--pass-env", "*"]);
    let all = names(&world, &server).await;
    assert!(all.iter().any(|name| name == "OTHER") && all.len() > some.len());
    assert!(!all.iter().any(|name| name == "NPM_TOKEN" || name == "RUNTRAIL_DISK_WAIT"), "{all:?}");
}
