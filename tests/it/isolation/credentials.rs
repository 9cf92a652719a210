//! Secrets in files and in credentials that systemd gives to the server, which no command has in its environment.

use serde_json::json;

use super::printed;
use crate::support::{World, forge};

const SECRET: &str = "a secret that only the forge knows";

#[tokio::test]
async fn credentials_provide_secrets_and_hooks() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("npm"), "npm-secret\n").unwrap();
    std::fs::write(folder.path().join("forge"), SECRET).unwrap();
    let uses =
        "test \"$TOKEN\" = npm-secret && echo right; echo \"token: $TOKEN\"; echo \"${CREDENTIALS_DIRECTORY-none}\"";
    world.phase("uses", uses, "[secrets]\nTOKEN = { credential = \"npm\" }");
    world.phase("lacks", "true", "[secrets]\nTOKEN = { credential = \"not-there\" }");
    let hook = |name: &str| format!("name = \"{name}\"\n[[phases]]\nname = \"a\"\nrun = \"true\"\n[hook]\n");
    world.toml("hooked", &format!("{}secret_credential = \"forge\"\n", hook("hooked")));
    world.toml("unhooked", &format!("{}secret_credential = \"not-there\"\n", hook("unhooked")));
    let credentials = folder.path().to_str().unwrap();
    let server = world.serve_logged(&[("CREDENTIALS_DIRECTORY", credentials)], &[]);
    assert_eq!(printed(&world, &server, "uses").await, ["right", "token: ***", "none"]);
    let id = server.start(&world, "lacks").await;
    let error = server.until_status(&id, "failed").await["error"].to_string();
    assert!(error.contains("the credential not-there cannot be read") && error.contains("LoadCredential="), "{error}");

    let body = json!({ "ref": "refs/heads/main" }).to_string();
    let headers = forge::github("push", "d-1", SECRET, &body);
    assert_eq!(forge::send(&server, "hooked", &headers, &body).await.0, 201);
    let wrong = forge::github("push", "d-2", "another secret than the forge's", &body);
    assert_eq!(forge::send(&server, "hooked", &wrong, &body).await.0, 401);
    assert_eq!(forge::send(&server, "unhooked", &headers, &body).await.0, 503);
    assert!(world.log().contains("the credential not-there cannot be read"), "{}", world.log());
}

/// Without systemd the message names what is missing.
#[tokio::test]
async fn credentials_that_are_missing_are_reported() {
    let world = World::new();
    world.phase("lacks", "true", "[secrets]\nTOKEN = { credential = \"npm\" }");
    let server = world.serve_logged(&[("CREDENTIALS_DIRECTORY", "")], &[]);
    let id = server.start(&world, "lacks").await;
    let error = server.until_status(&id, "failed").await["error"].to_string();
    assert!(error.contains("CREDENTIALS_DIRECTORY is not set"), "{error}");
}
