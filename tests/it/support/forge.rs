//! Signed deliveries of a forge.

use hmac::{Hmac, Mac};
use reqwest::Response;
use serde_json::Value;
use sha2::Sha256;

use super::{Server, World};

/// The secret of hooks in tests. Too long to be guessed.
pub const SECRET: &str = "a secret that only the forge knows";

/// A pipeline whose hook knows [`SECRET`], with these lines before and in its `[hook]`.
pub fn hooked(world: &World, name: &str, recipe: &str, lines: &str) {
    let secret = world.data().join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let text = format!("name = \"{name}\"\n{recipe}\n[hook]\nsecret_file = \"{}\"\n{lines}\n", secret.display());
    world.toml(name, &text);
}

/// The signature that GitHub, Gitea and Bitbucket send.
pub fn signature(secret: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Calls a hook as GitHub does.
pub async fn push(server: &Server, pipeline: &str, delivery: &str, body: &str) -> (u16, Value) {
    send(server, pipeline, &github("push", delivery, SECRET, body), body).await
}

/// The headers of GitHub.
pub fn github(event: &str, delivery: &str, secret: &str, body: &str) -> Vec<(&'static str, String)> {
    vec![
        ("x-github-event", event.to_owned()),
        ("x-github-delivery", delivery.to_owned()),
        ("x-hub-signature-256", format!("sha256={}", signature(secret, body))),
    ]
}

/// Calls a hook; the status and the body of the answer.
pub async fn send(server: &Server, pipeline: &str, headers: &[(&str, String)], body: &str) -> (u16, Value) {
    let mut request = server.client.post(format!("{}/api/v1/hooks/{pipeline}", server.url)).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let response: Response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}
