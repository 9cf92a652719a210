//! kill -9 of the real program, again and again, while everything is going on.
//!
//! RUNTRAIL_ROUNDS says how often; RUNTRAIL_SEED takes other moments.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::history::History;
use crate::support::reader::{Kind, Reader, ReaderOptions};
use crate::support::rng::{self, Rng};
use crate::support::{Server, World, alive, pids, until};

/// How often the server is killed if nothing else is asked for.
const ROUNDS: u64 = 20;

#[tokio::test]
async fn crash_leaves_no_process_and_recovers_the_run() {
    let world = World::new();
    world.pipeline(
        "tree",
        &[
            "echo one",
            "echo $$ > pids; sleep 1000 & echo $! >> pids; setsid sh -c 'echo $$ >> pids; exec sleep 1000' &
           echo two; while [ ! -e go ]; do sleep 0.02; done",
            "echo three",
        ],
    );
    let server = world.serve();
    let id = server.start(&world, "tree").await;
    server.until_line(&id, "two").await;
    let children =
        until("all three run", async || Some(pids(&world.file("pids"))).filter(|pids| pids.len() == 3)).await;
    let shown = server.frames(&id).await;
    server.kill_and_lapse();

    until("every child has died", async || children.iter().all(|pid| !alive(*pid)).then_some(())).await;

    let server = world.serve();
    let run = server.until_status(&id, "interrupted").await;
    let states: Vec<_> = run["phases"].as_array().unwrap().iter().map(|phase| &phase["state"]).collect();
    assert_eq!(states, ["completed", "failed", "skipped"]);
    assert!(run["error"].as_str().unwrap().contains(world.database().loss()));
    let frames = server.frames(&id).await;
    assert_eq!(frames[..shown.len()], shown[..], "what was shown is still there");

    std::fs::write(world.file("go"), "").unwrap();
    let rerun = server.post(&format!("/api/v1/runs/{id}/rerun"), json!({})).await;
    assert_eq!(rerun.status(), StatusCode::ACCEPTED);
    assert_eq!(server.until_status(&id, "completed").await["attempt"], 2);
    assert_eq!(server.frames(&id).await[..frames.len()], frames[..]);
}

/// What clients of a server saw before it was killed.
#[derive(Default)]
struct Observed {
    /// Requests for a run, by their key; the run's id if the answer came.
    asked: BTreeMap<String, Option<String>>,
    /// The newest attempt that was acknowledged, by run.
    attempts: BTreeMap<String, u64>,
    /// The frames that some reader was shown, by run.
    shown: BTreeMap<String, Vec<String>>,
}

impl Observed {
    fn add(&mut self, other: Self) {
        for (key, id) in other.asked {
            let known = self.asked.entry(key).or_default();
            *known = id.or(known.take());
        }
        for (run, attempt) in other.attempts {
            let known = self.attempts.entry(run).or_default();
            *known = attempt.max(*known);
        }
        for (run, frames) in other.shown {
            let known = self.shown.entry(run).or_default();
            if frames.len() > known.len() {
                *known = frames;
            }
        }
    }

    fn runs(&self) -> Vec<String> {
        self.asked.values().flatten().cloned().collect()
    }
}

/// A client that uses the server until it is killed.
#[derive(Clone)]
struct Client {
    host: SocketAddr,
    http: reqwest::Client,
    project: PathBuf,
    killed: CancellationToken,
}

impl Client {
    fn new(server: &Server, world: &World) -> Self {
        let (host, http, killed) = (server.addr(), server.client.clone(), CancellationToken::new());
        Self { host, http, project: world.project(), killed }
    }

    /// The status and body of a response, if one arrives.
    async fn post(&self, path: &str, key: Option<&str>, body: Value) -> Option<(StatusCode, Value)> {
        let mut request = self.http.post(format!("http://{}{path}", self.host)).json(&body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let response = request.send().await.ok()?;
        let status = response.status();
        Some((status, response.json().await.ok()?))
    }

    /// Asks for a run. The same key gives the same run, however often it is asked for.
    async fn start(&self, key: &str) -> Option<(StatusCode, String)> {
        let pipeline = if key.len().is_multiple_of(2) { "tree" } else { "short" };
        let body = json!({ "pipeline": pipeline, "params": { "project": self.project } });
        let (status, run) = self.post("/api/v1/runs", Some(key), body).await?;
        assert!(status.is_success(), "{run}");
        Some((status, run["id"].as_str().unwrap().to_owned()))
    }

    /// Starts, re-runs and cancels at random, and reads what it started, until the server is dead.
    async fn use_it(self, name: String, mut runs: Vec<String>, mut rng: Rng) -> Observed {
        let mut told = Observed::default();
        let mut readers = JoinSet::new();
        for number in 0..16 {
            let asked = match if runs.is_empty() { 0 } else { rng.below(6) } {
                0 | 1 => {
                    let key = format!("{name}.{number}");
                    told.asked.insert(key.clone(), None);
                    self.start(&key).await.map(|(_, id)| {
                        told.asked.insert(key, Some(id.clone()));
                        runs.push(id);
                    })
                }
                2 | 3 => {
                    let run = rng.pick(&runs).clone();
                    let answer = self.post(&format!("/api/v1/runs/{run}/rerun"), None, json!({})).await;
                    answer.map(|(status, body)| match status {
                        StatusCode::ACCEPTED => {
                            told.attempts.insert(run, body["attempt"].as_u64().unwrap());
                        }
                        status => assert_eq!(status, StatusCode::CONFLICT, "{body}"),
                    })
                }
                4 => {
                    let path = format!("/api/v1/runs/{}/cancel", rng.pick(&runs));
                    let answer = self.post(&path, None, json!({})).await;
                    answer.map(|(status, body)| {
                        assert!([StatusCode::ACCEPTED, StatusCode::CONFLICT].contains(&status), "{body}");
                    })
                }
                // Only one more reader.
                _ => Some(()),
            };
            if asked.is_none() {
                break;
            }
            let run = rng.pick(&runs[runs.len().saturating_sub(3)..]).clone();
            readers.spawn(self.clone().read(run, rng.one_in(3), rng.next()));
            tokio::time::sleep(Duration::from_millis(rng.below(60))).await;
        }
        while let Some(shown) = readers.join_next().await {
            told.add(shown.unwrap());
        }
        told
    }

    /// Reads a run by stream or by polls, until it ends or the server is dead.
    async fn read(self, run: String, by_polls: bool, seed: u64) -> Observed {
        let cursors = BTreeMap::from([(run.clone(), 0)]);
        let mut reader = Reader::new(self.host, self.host, Kind::One, cursors, ReaderOptions::plain(), seed);
        let read = async { if by_polls { reader.follow_by_polls().await } else { reader.follow().await } };
        tokio::select! {
            read = read => read.unwrap(),
            () = self.killed.cancelled() => {}
        }
        let shown = BTreeMap::from([(run, reader.one().frames.clone())]);
        Observed { shown, ..Observed::default() }
    }
}

/// Frames that were shown exist after any kill, without gaps; acknowledged requests have happened; no started process
/// survives; and each run in progress is recovered by its rule.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_at_any_moment_loses_nothing_accepted() {
    let world = World::new();
    // One child that leaves its group and its session, one that leaves its environment behind too.
    let tree = r#"
        sleep 1000 & setsid sleep 1000 &
        setsid env -i sh -c 'sleep 1000; :' "$RUNTRAIL_PARAM_PROJECT" &
        i=0; while [ $i -lt 50 ]; do echo line $i; echo same; echo error $i >&2; i=$((i+1)); sleep 0.004; done"#;
    world.pipeline("tree", &["echo first", tree, "echo last"]).pipeline("short", &["echo one; echo two", "exit 3"]);
    let flags = ["--lease", "500ms", "--grace", "200ms", "--workers", "8"];

    let seed = rng::number("RUNTRAIL_SEED").unwrap_or(1);
    let rounds = rng::number("RUNTRAIL_ROUNDS").unwrap_or(ROUNDS);
    let mut rng = Rng::new(seed);
    let mut told = Observed::default();
    let mut interrupted = 0;
    let began = Instant::now();
    let mut server = world.serve_with(&flags);
    for round in 0..rounds {
        let client = Client::new(&server, &world);
        let mut clients = JoinSet::new();
        for number in 0..3 {
            let (name, rng) = (format!("{round}.{number}"), Rng::part(seed, round * 8 + number));
            // Runs that ended in other rounds are re-run in this one.
            let known = told.runs();
            let known = known[known.len().saturating_sub(6)..].to_vec();
            clients.spawn(client.clone().use_it(name, known, rng));
        }
        // The moment is the chance here.
        tokio::time::sleep(Duration::from_millis(rng.below(700))).await;
        let dead = server.pid();
        server.kill();
        client.killed.cancel();
        let mut shown = Observed::default();
        while let Some(one) = clients.join_next().await {
            shown.add(one.unwrap());
        }
        until("nothing that was started is left", async || world.processes().is_empty().then_some(())).await;

        server = world.serve_with(&flags);
        let client = Client::new(&server, &world);
        for (key, id) in &mut shown.asked {
            let (status, again) = client.start(key).await.unwrap();
            match id {
                Some(id) => assert_eq!((status, &again), (StatusCode::OK, &*id), "an acknowledged run is there"),
                None => *id = Some(again),
            }
        }
        interrupted += recovered(&server, &mut told, shown, dead).await;
    }

    // Everything pending is executed, and no round has changed what another one showed.
    let runs = told.runs();
    for run in &runs {
        let what = format!("{run} ends");
        let history = until(&what, async || {
            let ended = !["pending", "running"].contains(&server.run(run).await["status"].as_str().unwrap());
            if ended { Some(History::of(&server, run).await) } else { None }
        });
        history.await.must_begin_with(told.shown.get(run).map_or(&[], Vec::as_slice));
    }
    let shown: usize = told.shown.values().map(Vec::len).sum();
    println!(
        "{rounds} kills, {} runs of which {interrupted} times one was interrupted, {shown} frames shown, {:.1} s",
        runs.len(),
        began.elapsed().as_secs_f64()
    );
    assert!(rounds < 10 || interrupted > 0, "no kill met a run in progress: the test has lost its meaning");
}

/// Waits until each run of a round is recovered from its dead server, and adds what clients of the round saw. How many
/// were interrupted.
async fn recovered(server: &Server, told: &mut Observed, shown: Observed, dead: u32) -> u64 {
    let mut interrupted = 0;
    let touched: Vec<String> = shown.runs().into_iter().chain(shown.shown.keys().cloned()).collect();
    told.add(shown);
    let dead = format!("worker {dead}@");
    for run in touched {
        let attempt = told.attempts.get(&run).copied().unwrap_or(1);
        let what = format!("{run} is recovered");
        let recovered = until(&what, async || {
            let history = History::of(server, &run).await;
            let lost = history.claimed_by.as_ref().is_some_and(|by| by.starts_with(&dead));
            (!lost || history.status() != "running").then_some((history, lost))
        });
        let (history, lost) = recovered.await;
        if lost {
            interrupted += u64::from(history.status() == "interrupted");
        }
        assert!(history.run["attempt"].as_u64().unwrap() >= attempt, "{run}: an acknowledged re-run is there");
        history.must_begin_with(told.shown.get(&run).map_or(&[], Vec::as_slice));
    }
    interrupted
}

#[tokio::test]
async fn lock_refuses_a_second_server() {
    let world = World::new();
    let server = world.serve();
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_runtrail"))
        .args(["serve", "--addr", "127.0.0.1:0", "--data-dir"])
        .arg(world.data())
        .output()
        .unwrap();
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("another server uses this database"), "{said}");
    // Another database is not enough: the rest of the data folder has one server, too.
    let other = std::process::Command::new(env!("CARGO_BIN_EXE_runtrail"))
        .args(["serve", "--addr", "127.0.0.1:0", "--data-dir"])
        .arg(world.data())
        .args(["--database-url", &format!("sqlite://{}", world.file("other.db").display())])
        .output()
        .unwrap();
    assert!(!other.status.success());
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(said.contains("another server uses it"), "{said}");
    server.kill();
    world.serve();
}

/// As when the system runs out of memory and picks it: the retry does not run beside what the killed one left.
#[tokio::test]
async fn supervisor_killed_leaves_nothing_to_the_retry() {
    let world = World::new();
    let command = "for pid in $(cat tries); do kill -0 $pid && echo beside; done; setsid sleep 1000 & echo $! >> tries
        sleep 1000 & echo $! >> tries; echo $PPID > leash; sleep 1000 & echo $! >> tries; [ $RUNTRAIL_TRY = 3 ] || wait";
    let params = "[[params]]\nname = \"project\"\ntype = \"path\"\n";
    let phase = format!("[[phases]]\nname = \"a\"\nretries = 2\nrun = '''\n: >> tries; {command}\n'''\n");
    world.toml("p", &format!("name = \"p\"\n{params}{phase}"));
    let server = world.serve();
    let id = server.start(&world, "p").await;
    for tries in 1..=2 {
        let leash = until("all are noted", async || {
            let leash = pids(&world.file("leash"));
            (pids(&world.file("tries")).len() == tries * 3 && leash.len() == 1).then(|| leash[0])
        })
        .await;
        std::fs::remove_file(world.file("leash")).unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(leash), nix::sys::signal::Signal::SIGKILL).unwrap();
    }
    server.until_status(&id, "completed").await;
    assert_eq!(server.lines(&id).await.iter().filter(|line| *line == "beside").count(), 0);
    let started = pids(&world.file("tries"));
    assert_eq!(started.len(), 9);
    assert!(started.into_iter().all(|pid| !alive(pid)));
    let killed = server.frames(&id).await.into_iter().filter(|frame| frame["data"]["code"] == "phase_killed").count();
    assert_eq!(killed, 2);
}

/// Killed together, server and supervisor cannot end a process with a session of its own. The next server does.
#[tokio::test]
async fn crash_ends_processes_with_their_own_session() {
    let world = World::new();
    world.pipeline("escape", &["setsid sleep 1000 & echo $! > escaped; echo $PPID > leash; sleep 1000"]);
    let server = world.serve();
    server.start(&world, "escape").await;
    until("both are noted", async || {
        (pids(&world.file("escaped")).len() + pids(&world.file("leash")).len() == 2).then_some(())
    })
    .await;
    let (escaped, leash) = (pids(&world.file("escaped"))[0], pids(&world.file("leash"))[0]);
    // Neither gets to do anything in between.
    let both = [server.unix_pid(), nix::unistd::Pid::from_raw(leash)];
    for pid in both {
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
    }
    nix::sys::signal::kill(both[1], nix::sys::signal::Signal::SIGKILL).unwrap();
    server.kill();
    assert!(alive(escaped), "it has escaped");
    let _next = world.serve();
    until("it is ended", async || (!alive(escaped)).then_some(())).await;
}
