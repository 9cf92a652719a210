//! Server and supervisor are hidden from the commands that they start.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{is_root, printed};
use crate::support::{World, alive, pids, until};

/// Prints what can be read of the process `$p`.
const LOOK: &str = "
    for file in environ mem maps auxv; do (: < /proc/$p/$file) 2> /dev/null && echo \"$1 $file\"; done
    for link in exe cwd root fd/0 fd/1; do readlink /proc/$p/$link > /dev/null 2>&1 && echo \"$1 $link\"; done
    ls /proc/$p/fd > /dev/null 2>&1 && echo \"$1 fd\"";

#[tokio::test]
async fn server_and_supervisor_are_hidden_from_commands() {
    if !is_root() {
        return;
    }
    let world = World::new();
    let look = format!(
        "look() {{ {LOOK}; }}; p=$PPID; look supervisor\n\
         read pid name state parent rest < /proc/$PPID/stat; p=$parent; look server; p=$$; look own; echo end"
    );
    world.pipeline("look", &[&look]);
    let server = world.serve_as_nobody(&[]);
    let own = ["own environ", "own mem", "own maps", "own auxv", "own exe", "own cwd", "own root", "own fd/0"];
    let lines = printed(&world, &server, "look").await;
    let foreign: Vec<_> = lines.iter().filter(|line| !line.starts_with("own")).collect();
    assert_eq!(foreign, ["end"], "{lines:?}");
    // The probe works for a process that is not hidden.
    for seen in own {
        assert!(lines.iter().any(|line| line == seen), "{seen}: {lines:?}");
    }
}

/// A command calls this program by a path that it can follow.
#[tokio::test]
async fn command_finds_the_program() {
    if !is_root() {
        return;
    }
    let world = World::new();
    world.pipeline("calls", &["echo \"$RUNTRAIL_PROGRAM\"", "\"$RUNTRAIL_PROGRAM\" --version"]);
    let server = world.serve_as_nobody(&[]);
    let lines = printed(&world, &server, "calls").await;
    assert!(lines[0].ends_with("/runtrail") && !lines[0].starts_with("/proc/"), "{lines:?}");
    assert_eq!(lines[1], format!("runtrail {}", env!("CARGO_PKG_VERSION")));
}

/// The next server finds a supervisor that hangs, although it cannot read its variables.
#[tokio::test]
async fn supervisor_that_hangs_is_ended_by_the_next_server() {
    if !is_root() {
        return;
    }
    let world = World::new();
    world.pipeline("hangs", &["echo $PPID > pid; echo ready; sleep 1000"]);
    let server = world.serve_as_nobody(&[]);
    let id = server.start(&world, "hangs").await;
    server.until_line(&id, "ready").await;
    let supervisor = pids(&world.file("pid"))[0];
    kill(Pid::from_raw(supervisor), Signal::SIGSTOP).unwrap();
    server.kill();
    let _server = world.serve_as_nobody(&[]);
    until("the supervisor has ended", async || (!alive(supervisor)).then_some(())).await;
}
