//! The processes of a phase: the order of their output, what they leave behind, and how they end.

mod background;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Server, World, alive, pids, steady_port, until, within};

/// The lines of a run's log, each with its output.
async fn log(server: &Server, id: &str) -> Vec<(String, String)> {
    let frames = server.frames(id).await;
    let logs = frames.iter().filter(|frame| frame["kind"] == "log");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    logs.map(|frame| (text(&frame["data"]["stream"]), text(&frame["data"]["line"]))).collect()
}
#[tokio::test]
async fn output_merged_keeps_the_order() {
    let world = World::new();
    world.phase("order", "i=0; while [ $i -lt 300 ]; do echo \"out $i\"; echo \"err $i\" >&2; i=$((i+1)); done", "");
    let server = world.serve();
    let expected: Vec<_> = (0..300)
        .flat_map(|number| ["out", "err"].map(|which| ("output".to_owned(), format!("{which} {number}"))))
        .collect();
    for _ in 0..5 {
        let id = server.start(&world, "order").await;
        server.until_status(&id, "completed").await;
        assert_eq!(log(&server, &id).await, expected);
    }
}

#[tokio::test]
async fn output_separate_marks_standard_error() {
    let world = World::new();
    world.phase("apart", "echo one; echo two >&2", "output = \"separate\"");
    let server = world.serve();
    let id = server.start(&world, "apart").await;
    server.until_status(&id, "completed").await;
    let mut lines = log(&server, &id).await;
    lines.sort();
    assert_eq!(lines, [("stderr".into(), "two".into()), ("stdout".into(), "one".into())]);
    let phases = server.get_json("/api/v1/pipelines").await;
    assert!(phases.to_string().contains(r#""output":"separate""#), "{phases}");
}

#[tokio::test]
async fn output_tty_is_a_terminal_of_fixed_size() {
    let world = World::new();
    let command = r#"
test -t 1 && test -t 2 && echo terminal; test -t 0 || echo no input
stty size < /dev/tty; echo "$TERM"
printf 'one\ntwo\n'; echo three >&2; printf 'a\rb\n'; printf 'crlf\r\n'
read -r line || echo end of input
"#;
    world.phase("tty", command, "output = \"tty\"");
    let server = world.serve();
    let id = server.start(&world, "tty").await;
    server.until_status(&id, "completed").await;
    let lines = log(&server, &id).await;
    assert!(lines.iter().all(|(stream, _)| stream == "output"), "{lines:?}");
    let lines: Vec<_> = lines.iter().map(|(_, line)| line.as_str()).collect();
    let expected = ["terminal", "no input", "50 120", "xterm-256color", "one", "two", "three"];
    assert_eq!(lines[..expected.len()], expected, "{lines:?}");
    assert_eq!(lines.last(), Some(&"end of input"));
}

/// The end of a terminal's output is not lost when its last process ends.
#[tokio::test]
async fn output_tty_is_complete() {
    let world = World::new();
    world.phase("much", "seq 1 20000; printf 'the end'", "output = \"tty\"");
    let server = world.serve();
    let id = server.start(&world, "much").await;
    server.until_status(&id, "completed").await;
    let lines = server.lines(&id).await;
    assert_eq!((lines.len(), lines.last().map(String::as_str)), (20_001, Some("the end")));
}

#[tokio::test]
async fn command_has_no_controlling_terminal() {
    let world = World::new();
    // A process without a controlling terminal cannot open it, however the server was started.
    world.phase("none", "(: < /dev/tty) 2>/dev/null && echo terminal || echo none", "");
    let server = world.serve();
    let id = server.start(&world, "none").await;
    server.until_status(&id, "completed").await;
    assert_eq!(log(&server, &id).await, [("output".into(), "none".into())]);
}

/// A report is a report on either output, if both are one.
#[tokio::test]
async fn output_merged_takes_reports_from_both() {
    let world = World::new();
    let report = r#"::frame {"kind":"token","text":"x"}"#;
    world.phase("both", &format!("echo '{report}'; echo '{report}' >&2"), "");
    let server = world.serve();
    let id = server.start(&world, "both").await;
    server.until_status(&id, "completed").await;
    let frames = server.frames(&id).await;
    let told: Vec<_> = frames.iter().filter(|frame| frame["kind"] == "token").map(|frame| &frame["data"]).collect();
    assert_eq!(told, [&json!({"text": "x"}), &json!({"text": "x"})]);
}

/// The notices of a run with this code.
async fn notices(server: &Server, id: &str, code: &str) -> Vec<Value> {
    let frames = server.frames(id).await;
    let data = frames.into_iter().filter(|frame| frame["kind"] == "notice").map(|mut frame| frame["data"].take());
    data.filter(|notice| notice["code"] == code).collect()
}

fn named(notice: &Value) -> Vec<i32> {
    let processes = notice["processes"].as_array().unwrap().iter();
    processes.map(|process| i32::try_from(process["pid"].as_i64().unwrap()).unwrap()).collect()
}
#[tokio::test]
async fn processes_left_behind_are_ended_and_named() {
    let world = World::new();
    world.phase("left", "(sleep 300; echo late) & nohup sleep 300 & setsid sleep 300 & echo started", "");
    let server = world.serve();
    let mut ids = Vec::new();
    within(Duration::from_secs(1), "a phase with processes left behind", async || {
        let id = server.start(&world, "left").await;
        let run = server.until_status(&id, "completed").await;
        let moment = |of: &str| run[of].as_str().unwrap().parse::<runtrail::model::Timestamp>().unwrap();
        ids.push(id);
        Duration::from_millis(moment("finished_at").since(moment("started_at")))
    })
    .await;
    let id = ids.last().unwrap();
    assert_eq!(server.lines(id).await, ["started"]);
    let left = notices(&server, id, "processes_left").await;
    assert_eq!(left.len(), 1);
    let pids = named(&left[0]);
    assert!(pids.len() >= 3, "{left:?}");
    assert!(pids.iter().all(|pid| !alive(*pid)));
    let message = left[0]["message"].as_str().unwrap();
    assert!(message.contains("left behind") && message.contains("background = true"), "{message}");
    until("nothing is left", async || world.commands(&server).is_empty().then_some(())).await;
}

/// A process that ignores SIGTERM is killed, and its output until then is complete.
#[tokio::test]
async fn processes_left_behind_are_killed_if_stubborn() {
    let world = World::new();
    let stubborn = "sh -c 'trap \"\" TERM; echo up; : > up; while :; do sleep 0.05; done' & while [ ! -e up ]; do sleep 0.02; done";
    world.phase("stubborn", stubborn, "");
    let server = world.serve();
    let id = server.start(&world, "stubborn").await;
    server.until_status(&id, "completed").await;
    assert_eq!(server.lines(&id).await, ["up"]);
    let left = notices(&server, &id, "processes_left").await;
    assert!(named(&left[0]).iter().all(|pid| !alive(*pid)), "{left:?}");
}

/// Three ends that look alike to a shell.
#[tokio::test]
async fn phase_frame_distinguishes_signal_and_exit_code() {
    let world = World::new();
    world.pipeline("killed", &["kill -9 $$"]).pipeline("crashed", &["kill -SEGV $$"]).pipeline("code", &["exit 137"]);
    let server = world.serve();
    for (pipeline, code, signal, says) in [
        ("killed", 137, json!("SIGKILL"), "ended by SIGKILL (137); often: out of memory"),
        ("crashed", 139, json!("SIGSEGV"), "ended by SIGSEGV (139): it crashed"),
        ("code", 137, Value::Null, "failed with exit code 137"),
    ] {
        let id = server.start(&world, pipeline).await;
        let run = server.until_status(&id, "failed").await;
        let error = run["error"].as_str().unwrap();
        assert!(error.contains(says), "{error}");
        assert_eq!(error.contains("SIG"), !signal.is_null(), "{error}");
        let frames = server.frames(&id).await;
        let ended = frames.iter().rfind(|frame| frame["kind"] == "phase").unwrap();
        assert_eq!((&ended["data"]["exit_code"], &ended["data"]["signal"]), (&json!(code), &signal));
        let page = server.get(&format!("/runs/{id}")).await.text().await.unwrap();
        assert!(page.contains(says), "the page says so");
    }
}
#[tokio::test]
async fn output_before_a_kill_is_complete() {
    let world = World::new();
    let command = "seq 1 20000; printf 'the reason stands here'";
    for (name, more) in [("dies", ""), ("closes", "; exec 1>&-")] {
        world.pipeline(name, &[&format!("{command}{more}; kill -9 $$")]);
    }
    let server = world.serve();
    for name in ["dies", "closes"].repeat(3) {
        let id = server.start(&world, name).await;
        server.until_status(&id, "failed").await;
        let log = server.get(&format!("/api/v1/runs/{id}/log")).await.text().await.unwrap();
        assert!(log.ends_with("\n20000\nthe reason stands here\n"), "{name}: {:?}", &log[log.len() - 100..]);
    }
}
#[tokio::test]
async fn phase_without_its_folder_names_it() {
    let world = World::new();
    let (project, again) = (world.project(), world.data().join("again"));
    let first = format!(
        "echo ready; [ -e '{}' ] || while [ -e '{}' ]; do sleep 0.02; done",
        again.display(),
        project.display()
    );
    world.pipeline("loses", &[&first, "ls"]);
    world.phase("nowhere", "ls", "dir = \"web/app\"");
    let server = world.serve();
    let id = server.start(&world, "loses").await;
    server.until_line(&id, "ready").await;
    std::fs::remove_dir_all(&project).unwrap();
    let run = server.until_status(&id, "failed").await;
    let error = run["error"].as_str().unwrap();
    assert!(error.contains(project.to_str().unwrap()) && error.contains("is missing; make it again"), "{error}");
    assert!(!error.contains("os error"), "{error}");
    // There again, the run may be run again.
    std::fs::create_dir(&project).unwrap();
    std::fs::write(again, "").unwrap();
    server.post(&format!("/api/v1/runs/{id}/rerun"), json!({})).await;
    server.until_status(&id, "completed").await;

    let id = server.start(&world, "nowhere").await;
    let run = server.until_status(&id, "failed").await;
    let error = run["error"].as_str().unwrap();
    assert!(error.contains(project.join("web/app").to_str().unwrap()) && error.contains("`dir`"), "{error}");
}
#[tokio::test]
async fn command_has_default_signals_and_limits() {
    let world = World::new();
    world.pipeline("plain", &["yes | head -n 1; grep -E 'Sig(Ign|Blk)' /proc/self/status"]);
    let server = world.serve();
    let id = server.start(&world, "plain").await;
    server.until_status(&id, "completed").await;
    let lines = server.lines(&id).await;
    let mask = |name: &str| {
        let line = lines.iter().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    assert_eq!(lines[0], "y");
    assert_eq!(mask("SigBlk:"), 0, "the supervisor blocks signals, the command does not");
    assert_eq!(mask("SigIgn:") & (1 << 12), 0, "SIGPIPE is not ignored");
}
#[tokio::test]
async fn phase_starts_after_large_output_values() {
    let world = World::new();
    let give = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do printf '::output v%s=' $i; head -c 99000 /dev/zero | tr '\\0' x; echo; done";
    world.pipeline("large", &[give, "env | wc -c; /bin/echo $(seq 1 20000) | wc -c"]);
    let server = world.serve();
    let id = server.start(&world, "large").await;
    server.until_status(&id, "completed").await;
    let frames = server.frames(&id).await;
    let refused = frames.iter().filter(|frame| frame["data"]["code"] == "output_too_large").count();
    assert_eq!(refused, 2);
    let lines = server.lines(&id).await;
    let sizes: Vec<usize> = lines[lines.len() - 2..].iter().map(|line| line.trim().parse().unwrap()).collect();
    assert!(
        sizes[0] > 990_000 && sizes[1] > 100_000,
        "the next phase has its environment and its arguments: {sizes:?}"
    );
}

/// A process of another user, as behind `sudo`, cannot be ended; it is named, and the worker becomes free.
#[tokio::test]
async fn processes_of_other_users_are_named_and_block_nothing() {
    let world = World::new();
    let become_root = world.file("become-root");
    // Like sudo: a set-user-ID program of root.
    if !rustix::process::geteuid().is_root() || std::fs::copy("/usr/bin/setpriv", &become_root).is_err() {
        println!("skipped: only root can set up a process that others cannot end");
        return;
    }
    std::fs::set_permissions(&become_root, std::fs::Permissions::from_mode(0o4755)).unwrap();
    let root = "./become-root --reuid 0 --regid 0 --clear-groups";
    let stubborn = format!("{root} sh -c 'trap \"\" TERM HUP; echo root; while :; do sleep 0.1; done'; echo x");
    world.phase("foreign", &stubborn, "gain_privileges = true").pipeline("next", &["echo next"]);
    let server = world.serve_as_nobody(&["--workers", "1", "--grace", "1s"]);
    let id = server.start(&world, "foreign").await;
    server.until_line(&id, "root").await;
    server.post(&format!("/api/v1/runs/{id}/cancel"), json!({})).await;
    let run = server.until_status(&id, "cancelled").await;
    let frames = server.frames(&id).await;
    let stuck = frames.iter().find(|frame| frame["data"]["code"] == "process_stuck").unwrap();
    let message = stuck["data"]["message"].as_str().unwrap();
    let pid: i32 = message.strip_prefix("could not end pid ").unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(message.contains("(sh)") && alive(pid), "{message}");
    let reason = frames.iter().rfind(|frame| frame["kind"] == "status").unwrap();
    assert!(reason["data"]["reason"].as_str().unwrap().contains(&format!("could not end pid {pid} (sh)")));
    assert!(run["error"].as_str().unwrap().contains(&format!("could not end pid {pid}")), "{run}");
    // The worker is free, though the process still holds the output open.
    let next = server.start(&world, "next").await;
    server.until_status(&next, "completed").await;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
}

/// A user of the machine without processes of its own.
const LONELY: &str = "54321";

/// A temporary shortage of the system delays a phase and does not fail it.
#[tokio::test]
async fn phase_waits_for_a_free_process() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can become a user with a limit of one process");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    // Where that user can read it, whatever the folders above are like.
    let program = folder.path().join("runtrail");
    std::fs::copy(env!("CARGO_BIN_EXE_runtrail"), &program).unwrap();
    let (leash, its_leash) = std::os::unix::net::UnixStream::pair().unwrap();
    leash.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    let mut supervisor = std::process::Command::new("prlimit");
    supervisor.args(["--nproc=1:", "setpriv", "--reuid", LONELY, "--regid", LONELY, "--clear-groups"]);
    supervisor.arg(&program).args(["supervise", "--", "echo started"]).current_dir("/");
    supervisor.stdin(std::os::fd::OwnedFd::from(its_leash)).stdout(std::process::Stdio::piped());
    let supervisor = supervisor.spawn().unwrap();
    let mut reports = BufReader::new(leash).lines().map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let waits = reports.next().unwrap();
    assert!(waits["waits"].as_str().unwrap().contains("Resource temporarily unavailable"), "{waits}");
    // The limits of a user's processes are that user's to raise, also where root may not.
    let mut more = std::process::Command::new("setpriv");
    more.args(["--reuid", LONELY, "--regid", LONELY, "--clear-groups", "prlimit", "--nproc=100:"]);
    assert!(more.args(["--pid", &supervisor.id().to_string()]).status().unwrap().success());
    assert_eq!(reports.next().unwrap()["ended"]["code"], 0);
    assert_eq!(supervisor.wait_with_output().unwrap().stdout, b"started\n");
}
