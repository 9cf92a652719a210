//! What a run knows of its command continues with the next server: its output, its values, its retries and its limits.

use serde_json::{Value, json};

use super::{HANDOVER, started};
use crate::support::{World, alive, pids, until};

const PARAMS: &str = "[[params]]\nname = \"project\"\ntype = \"path\"\n";

fn phase(name: &str, run: &str, keys: &str) -> String {
    format!("[[phases]]\nname = \"{name}\"\n{keys}\nrun = '''\n{run}\n'''\n")
}

/// Waits for a file.
const WAIT: &str = "while [ ! -e go ]; do sleep 0.02; done";

/// Whether the process waits for room in its standard output.
fn is_blocked_on_output(pid: i32) -> bool {
    // The number of write(2), then its first argument.
    let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    call.starts_with("1 0x1 ") || call.starts_with("64 0x1 ")
}

/// A command whose output has no room waits, and goes on with the next server. Nothing is lost.
#[tokio::test]
async fn full_spool_blocks_the_command() {
    const LINES: usize = 40_000;
    let world = World::new();
    let text = "x".repeat(100);
    let run = format!(
        "echo $$ >> starts; echo begun; {WAIT}; i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); echo $i {text}; done"
    );
    world.toml("much", &format!("name = \"much\"\n{PARAMS}{}", phase("a", &run, "")));
    let flags = ["--handover", "10m", "--handover-spool", "1M"];
    let server = world.serve_with(&flags);
    let id = server.start(&world, "much").await;
    server.until_line(&id, "begun").await;
    let pid = started(&world, "starts").await;
    server.kill();
    std::fs::write(world.file("go"), "").unwrap();
    let mut blocked = 0;
    until("the command is blocked", async || {
        blocked = if is_blocked_on_output(pid) { blocked + 1 } else { 0 };
        (blocked == 20).then_some(())
    })
    .await;
    let server = world.serve_with(&flags);
    server.until_status(&id, "completed").await;
    let lines = server.lines(&id).await;
    assert_eq!(lines.len(), LINES + 1);
    assert!(lines[1..].iter().zip(1..).all(|(line, number)| line.split(' ').next() == Some(&number.to_string())));
    assert_eq!(pids(&world.file("starts")), [pid]);
}

#[tokio::test]
async fn values_and_retries_continue() {
    let world = World::new();
    let first = format!(
        "echo $RUNTRAIL_TRY >> tries; [ $RUNTRAIL_TRY = 2 ] || exit 7
         echo ::output color=green; echo $$ > starts; echo begun; {WAIT}; echo ::output size=3"
    );
    let second = "echo $RUNTRAIL_OUTPUT_COLOR $RUNTRAIL_OUTPUT_SIZE";
    let phases = phase("a", &first, "retries = 2\nretry_delay = \"1ms\"") + &phase("b", second, "");
    world.toml("values", &format!("name = \"values\"\n{PARAMS}{phases}"));
    let server = world.serve_with(&HANDOVER);
    let id = server.start(&world, "values").await;
    server.until_line(&id, "begun").await;
    server.kill();
    let server = world.serve_with(&HANDOVER);
    std::fs::write(world.file("go"), "").unwrap();
    server.until_status(&id, "completed").await;
    assert_eq!(server.lines(&id).await, ["begun", "green 3"]);
    assert_eq!(pids(&world.file("tries")), [1, 2]);
}

/// A row that was shown before the hand-over is redrawn after it; a line that was unfinished is finished.
#[tokio::test]
async fn unfinished_rows_continue() {
    let world = World::new();
    let run = format!("printf 'done 10%%'; {WAIT}; printf '\\rdone 20%%\\n'; printf 'a\\n\\033[1Ab\\n'; echo last");
    world.toml("bar", &format!("name = \"bar\"\n{PARAMS}{}", phase("a", &run, "")));
    let server = world.serve_with(&HANDOVER);
    let id = server.start(&world, "bar").await;
    server.until_line(&id, "done 10%").await;
    server.kill();
    let server = world.serve_with(&HANDOVER);
    std::fs::write(world.file("go"), "").unwrap();
    server.until_status(&id, "completed").await;
    let frames = server.frames(&id).await;
    let logs: Vec<&Value> = frames.iter().filter(|frame| frame["kind"] == "log").collect();
    let redraw = logs.iter().find(|frame| frame["data"]["line"] == "done 20%").unwrap();
    assert_eq!(redraw["data"]["replaces"], logs[0]["seq"]);
    let log = server.get(&format!("/api/v1/runs/{id}/log")).await.text().await.unwrap();
    let shown: Vec<&str> = log.lines().collect();
    assert_eq!(shown[shown.len() - 3..], ["done 20%", "b", "last"], "{log}");
}

/// The supervisor masks secrets as long as it lives, and its spool holds none.
#[tokio::test]
async fn secrets_are_masked_without_a_server() {
    let world = World::new();
    let run = format!("echo $$ > starts; echo begun; {WAIT}; echo it is $RUNTRAIL_PARAM_KEY; touch said; sleep 1000");
    let params = format!("{PARAMS}[[params]]\nname = \"key\"\ntype = \"secret\"\n");
    world.toml("secret", &format!("name = \"secret\"\n{params}{}", phase("a", &run, "")));
    let server = world.serve_with(&HANDOVER);
    let body = json!({ "pipeline": "secret", "params": { "project": world.project(), "key": "hunter-22-hunter" } });
    let id = server.post("/api/v1/runs", body).await.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    server.until_line(&id, "begun").await;
    server.kill();
    std::fs::write(world.file("go"), "").unwrap();
    until("it is said", async || world.file("said").exists().then_some(())).await;
    let server = world.serve_with(&HANDOVER);
    server.until_line(&id, "it is ***").await;
    let pid = started(&world, "starts").await;
    server.post(&format!("/api/v1/runs/{id}/cancel"), json!({})).await;
    server.until_status(&id, "cancelled").await;
    assert!(!alive(pid));
}

/// The time limit of a phase began with its command.
#[tokio::test]
async fn time_limit_continues() {
    let world = World::new();
    world.toml(
        "late",
        &format!("name = \"late\"\n{PARAMS}{}", phase("a", "echo begun; sleep 1000", "timeout = \"3s\"")),
    );
    let server = world.serve_with(&HANDOVER);
    let id = server.start(&world, "late").await;
    server.until_line(&id, "begun").await;
    server.kill();
    // Longer than the limit. Waiting is what is tested here.
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    let server = world.serve_with(&HANDOVER);
    let run = server.until_status(&id, "failed").await;
    assert!(run["error"].as_str().unwrap().contains("took longer than 3s"), "{run}");
}

/// The exit of a command that ended while there was no server is that of its phase.
#[tokio::test]
async fn exit_without_a_server_counts() {
    let world = World::new();
    let run = format!("echo $$ > starts; echo begun; {WAIT}; echo last; exit 9");
    world.toml("exits", &format!("name = \"exits\"\n{PARAMS}{}", phase("a", &run, "")));
    let server = world.serve_with(&HANDOVER);
    let id = server.start(&world, "exits").await;
    server.until_line(&id, "begun").await;
    let pid = started(&world, "starts").await;
    server.kill();
    std::fs::write(world.file("go"), "").unwrap();
    until("it has ended", async || (!alive(pid)).then_some(())).await;
    let server = world.serve_with(&HANDOVER);
    let run = server.until_status(&id, "failed").await;
    assert_eq!(run["phases"][0]["exit_code"], 9);
    assert_eq!(server.lines(&id).await, ["begun", "last"]);
}

/// What a phase has left in the background goes on, is journaled, and ends with the attempt.
#[tokio::test]
async fn background_processes_continue() {
    let world = World::new();
    let serve = "(i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.02; done) & echo $! > starts; echo ready";
    let phases = phase("a", serve, "background = true") + &phase("b", &format!("echo begun; {WAIT}"), "");
    world.toml("back", &format!("name = \"back\"\n{PARAMS}{phases}"));
    let server = world.serve_with(&HANDOVER);
    let id = server.start(&world, "back").await;
    server.until_line(&id, "begun").await;
    let pid = started(&world, "starts").await;
    server.kill();
    let server = world.serve_with(&HANDOVER);
    let before = server.lines(&id).await.len();
    until("it prints on", async || (server.lines(&id).await.len() > before + 3).then_some(())).await;
    assert!(alive(pid));
    std::fs::write(world.file("go"), "").unwrap();
    server.until_status(&id, "completed").await;
    assert!(!alive(pid));
    let ticks: Vec<String> = server.lines(&id).await.into_iter().filter(|line| line.starts_with("tick")).collect();
    assert!(ticks.iter().zip(1..).all(|(line, number)| *line == format!("tick {number}")), "{ticks:?}");
}
