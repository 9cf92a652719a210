//! What commands can do to the server, to each other and to the machine.

mod credentials;
mod environment;
mod groups;
mod hidden;
mod privileges;
mod run_as;
mod sandbox;

use crate::support::{Server, World};

/// The lines that a command prints, as a run in the project of this server.
async fn printed(world: &World, server: &Server, pipeline: &str) -> Vec<String> {
    let id = server.start(world, pipeline).await;
    server.until_status(&id, "completed").await;
    server.lines(&id).await
}

/// Only root can start a server as an unprivileged user.
fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("skipped: only root can become another user");
    }
    is_root
}
