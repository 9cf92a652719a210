//! Commands gain no privileges unless their phase allows it.

use std::os::unix::fs::PermissionsExt;

use super::{is_root, printed};
use crate::support::World;

#[tokio::test]
async fn privileges_are_gained_only_with_gain_privileges() {
    if !is_root() {
        return;
    }
    let world = World::new();
    // Like sudo: a set-user-ID program of root.
    let become_root = world.file("become-root");
    std::fs::copy("/usr/bin/setpriv", &become_root).unwrap();
    std::fs::set_permissions(&become_root, PermissionsExt::from_mode(0o4755)).unwrap();
    let script = "grep NoNewPrivs /proc/self/status | tr -dc 01; echo; ./become-root --reuid 0 id -u || echo refused";
    world.phase("none", script, "").phase("gains", script, "gain_privileges = true");
    let server = world.serve_as_nobody(&[]);
    let none = printed(&world, &server, "none").await;
    assert_eq!((none.first().unwrap().as_str(), none.last().unwrap().as_str()), ("1", "refused"), "{none:?}");
    assert_eq!(printed(&world, &server, "gains").await, ["0", "0"]);
}

#[tokio::test]
async fn privileges_of_root_are_warned_about() {
    if !is_root() {
        return;
    }
    let world = World::new();
    drop(world.serve_logged(&[], &[]));
    assert!(world.log().contains("running as root"), "{}", world.log());
}
