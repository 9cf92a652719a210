//! Commands outlive their server: the next one continues their runs. Real processes, and kill -9.
//!
//! RUNTRAIL_ROUNDS says how often a server is killed; RUNTRAIL_SEED takes other moments.

mod ends;
mod state;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::support::rng::{self, Rng};
use crate::support::{Server, World, pids, until};

/// How often the server is killed if nothing else is asked for.
const ROUNDS: u64 = 8;

/// Servers of these tests are never away for longer than this.
const HANDOVER: [&str; 2] = ["--handover", "10m"];

/// How many phases the run with many of them has: moments between two phases are met, too.
const STEPS: usize = 30;

/// The numbers in lines like `out 17 4711`, by their first word; the process is the same in all of them.
fn numbers(lines: &[String], pid: i32) -> BTreeMap<String, Vec<u64>> {
    let mut numbers: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let [name, number, by] = words[..] else { panic!("a whole line is {line:?}") };
        assert_eq!(by, pid.to_string(), "{line}");
        numbers.entry(name.to_owned()).or_default().push(number.parse().unwrap());
    }
    numbers
}

/// Waits until a command has noted its process, and returns it.
async fn started(world: &World, file: &str) -> i32 {
    until("the command has begun", async || pids(&world.file(file)).first().copied()).await
}

/// The names of the sockets that supervisors wait on.
fn sockets(world: &World) -> Vec<String> {
    let folder = std::fs::read_dir(world.data().join("handover")).into_iter().flatten();
    folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Whatever the moment at which a server is killed: no command starts twice, no line is lost or repeated, the processes
/// stay the same, and all runs end well.
#[tokio::test]
async fn handover_at_any_moment_is_not_noticed() {
    let world = World::new();
    let lines = |to: &str| format!("echo out $i $${to}");
    let long = format!(
        "echo $$ >> starts; i=0; while [ ! -e stop ]; do i=$((i+1)); {}; {}; sleep 0.003; done; echo $i > total",
        lines(""),
        lines(" >&2").replace("out", "err")
    );
    let params = "[[params]]\nname = \"project\"\ntype = \"path\"\n";
    let phase =
        |name: &str, run: &str, keys: &str| format!("[[phases]]\nname = \"{name}\"\n{keys}\nrun = '''\n{run}\n'''\n");
    world.toml("long", &format!("name = \"long\"\n{params}{}", phase("a", &long, "output = \"separate\"")));
    // The first execution of each phase with an even number fails.
    let step = "echo $RUNTRAIL_RUN_ID.$RUNTRAIL_PHASE.$RUNTRAIL_TRY >> steps; echo in $RUNTRAIL_PHASE $RUNTRAIL_TRY
        case $RUNTRAIL_PHASE.$RUNTRAIL_TRY in *[02468].1) exit 1 ;; esac";
    let steps: String = (1..=STEPS)
        .map(|step_number| phase(&format!("s{step_number}"), step, "retries = 1\nretry_delay = \"1ms\""))
        .collect();
    world.toml("steps", &format!("name = \"steps\"\n{params}{steps}"));

    let seed = rng::number("RUNTRAIL_SEED").unwrap_or(1);
    let rounds = rng::number("RUNTRAIL_ROUNDS").unwrap_or(ROUNDS);
    let (mut rng, began) = (Rng::new(seed), Instant::now());
    let mut server = world.serve_with(&HANDOVER);
    let long = server.start(&world, "long").await;
    let pid = started(&world, "starts").await;
    let mut stepping = Vec::new();
    for _ in 0..rounds {
        if stepping.len() < 20 {
            stepping.push(server.start(&world, "steps").await);
        }
        // The moment is the chance here.
        tokio::time::sleep(Duration::from_millis(rng.below(300))).await;
        server.kill();
        server = world.serve_with(&HANDOVER);
    }
    for id in &stepping {
        let run = until("a run with many phases ends", async || {
            let run = server.run(id).await;
            (run["status"] != "running" && run["status"] != "pending").then_some(run)
        })
        .await;
        assert_eq!((&run["status"], &run["attempt"]), (&"completed".into(), &1.into()), "{seed}: {run}");
    }
    std::fs::write(world.file("stop"), "").unwrap();
    let run = server.until_status(&long, "completed").await;
    assert_eq!(run["attempt"], 1);
    assert_eq!(pids(&world.file("starts")), [pid], "seed {seed}");
    let total = u64::from(pids(&world.file("total"))[0].unsigned_abs());
    let numbers = numbers(&server.lines(&long).await, pid);
    for name in ["out", "err"] {
        assert_eq!(numbers[name], (1..=total).collect::<Vec<_>>(), "seed {seed}: {name}");
    }
    let executed = std::fs::read_to_string(world.file("steps")).unwrap();
    for id in &stepping {
        assert_steps(&server, id, &executed).await;
    }
    println!("{rounds} kills, {} lines and {} phases in {:?}", total * 2, stepping.len() * STEPS, began.elapsed());
}

/// Each phase was executed once, or twice if it failed, and so it was shown.
async fn assert_steps(server: &Server, id: &str, executed: &str) {
    let expected: Vec<String> = (1..=STEPS)
        .flat_map(|step| (1..=if step % 2 == 0 { 2 } else { 1 }).map(move |tries| format!("s{step} {tries}")))
        .collect();
    let own: Vec<String> =
        executed.lines().filter_map(|line| Some(line.strip_prefix(id)?[1..].replace('.', " "))).collect();
    assert_eq!(own, expected);
    let shown: Vec<String> = server.lines(id).await.iter().map(|line| line.replacen("in ", "", 1)).collect();
    assert_eq!(shown, expected);
}
