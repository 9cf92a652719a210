//! Phases with `background = true`.

use super::*;

fn two_phases(name: &str, up: &str, with: &str, then: &str) -> String {
    format!(
        "name = \"{name}\"\n[[params]]\nname = \"project\"\ntype = \"path\"\n
         [[phases]]\nname = \"up\"\nrun = '''\n{up}\n'''\n{with}\n[[phases]]\nname = \"use\"\nrun = '''\n{then}\n'''\n"
    )
}

/// A background process of one phase is available in the next one.
#[tokio::test]
async fn background_process_runs_until_the_attempt_ends() {
    let world = World::new();
    let port = steady_port();
    let up = format!("python3 -m http.server {port} > web.log 2>&1 &");
    let then = format!("until curl -sf localhost:{port} > /dev/null; do sleep 0.1; done; echo reached");
    world.toml("kept", &two_phases("kept", &up, "background = true", &then));
    world.toml("ended", &two_phases("ended", &up, "", "echo done"));
    let server = world.serve();
    let id = server.start(&world, "kept").await;
    server.until_status(&id, "completed").await;
    assert_eq!(server.lines(&id).await, ["reached"]);
    let ended = notices(&server, &id, "background_ended").await;
    assert_eq!(ended.len(), 1);
    assert!(ended[0]["message"].as_str().unwrap().contains("python"), "{ended:?}");
    assert!(named(&ended[0]).iter().all(|pid| !alive(*pid)), "gone when the run has ended");
    // Without `background` a notice names it.
    let id = server.start(&world, "ended").await;
    server.until_status(&id, "completed").await;
    assert_eq!(notices(&server, &id, "processes_left").await.len(), 1);
}

/// Output of a background process is journaled as its phase's, also after the end of the phase.
#[tokio::test]
async fn background_process_output_is_journaled() {
    let world = World::new();
    let up = "(while [ ! -e go ]; do sleep 0.02; done; echo late; sleep 1000) & echo first";
    world.toml(
        "prints",
        &two_phases("prints", up, "background = true", ": > go; while [ ! -e stop ]; do sleep 0.02; done"),
    );
    let server = world.serve();
    let id = server.start(&world, "prints").await;
    server.until_line(&id, "late").await;
    std::fs::write(world.file("stop"), "").unwrap();
    server.until_status(&id, "completed").await;
    let frames = server.frames(&id).await;
    let place = |wanted: &dyn Fn(&Value) -> bool| frames.iter().position(wanted).unwrap();
    let first = place(&|frame| frame["data"]["line"] == "first");
    let ended = place(&|frame| frame["kind"] == "phase" && frame["data"]["state"] == "completed");
    let late = place(&|frame| frame["data"]["line"] == "late");
    assert!(first < ended && ended < late);
    assert_eq!(frames[late]["phase"], "up");
}

/// It ends with everything that ends the attempt, and while the run awaits approval.
#[tokio::test]
async fn background_process_ends_on_cancel_approval_and_failure() {
    let world = World::new();
    let up = "sleep 1000 & echo $! > pid";
    let kept = "background = true";
    world.toml("cancelled", &two_phases("cancelled", up, kept, "echo ready; sleep 1000"));
    let asks = two_phases("asks", up, kept, "echo never");
    world.toml("asks", &format!("{asks}approval = true\n"));
    world.toml("fails", &two_phases("fails", &format!("{up}; exit 3"), kept, "echo never"));
    let server = world.serve();

    let id = server.start(&world, "cancelled").await;
    server.until_line(&id, "ready").await;
    let pid = pids(&world.file("pid"))[0];
    assert!(alive(pid));
    server.post(&format!("/api/v1/runs/{id}/cancel"), json!({})).await;
    server.until_status(&id, "cancelled").await;
    assert!(!alive(pid));
    assert_eq!(notices(&server, &id, "background_ended").await.len(), 1);

    let id = server.start(&world, "asks").await;
    server.until_awaiting_approval(&id).await;
    assert!(!alive(pids(&world.file("pid"))[0]));
    assert_eq!(notices(&server, &id, "background_ended").await.len(), 1);

    let id = server.start(&world, "fails").await;
    server.until_status(&id, "failed").await;
    assert!(!alive(pids(&world.file("pid"))[0]));
    assert_eq!(notices(&server, &id, "processes_left").await.len(), 1);
}
