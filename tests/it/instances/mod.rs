//! Several real servers that share one real PostgreSQL database.

mod faults;
mod kills;
mod lost_answers;
mod startup;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::history::History;
use crate::support::reader::{Kind, Reader, ReaderOptions};
use crate::support::{Events, Server, TestDatabase, World, alive, pids, until};

/// Servers on one database, each with a data folder of its own.
struct Cluster {
    // Dropped first.
    servers: Vec<Server>,
    world: World,
    database: TestDatabase,
    flags: Vec<String>,
}

impl Cluster {
    /// So many instances with these flags, which have the pipelines and the project of this world.
    fn start(world: World, count: usize, flags: &[&str]) -> Self {
        Self::start_on(world, TestDatabase::on_server(), count, flags)
    }

    /// The same on this database.
    fn start_on(world: World, database: TestDatabase, count: usize, flags: &[&str]) -> Self {
        let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        let mut cluster = Self { servers: Vec::new(), world, database, flags };
        for index in 0..count {
            let server = cluster.serve(index);
            cluster.servers.push(server);
        }
        cluster
    }

    /// A server with the data folder of this number.
    fn serve(&self, index: usize) -> Server {
        let url = self.database.url();
        let mut flags = vec!["--database-url", url.as_str()];
        flags.extend(self.flags.iter().map(String::as_str));
        self.world.serve_on(&self.folder(index), &flags)
    }

    fn folder(&self, index: usize) -> PathBuf {
        let folder = self.world.data().join(index.to_string());
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// The instance that executes a run.
    async fn worker_of(&self, id: &str) -> usize {
        let history = History::of(&self.servers[0], id).await;
        let worker = history.claimed_by.unwrap();
        let is_it = |server: &Server| worker.contains(&format!("worker {}@", server.pid()));
        self.servers.iter().position(is_it).unwrap_or_else(|| panic!("no instance is {worker}"))
    }

    /// Readers of a run on every instance, by stream and by polls, until it has ended. Returns its journal.
    async fn read_everywhere(&self, id: &str) -> History {
        let mut readers = JoinSet::new();
        for (server, by_polls) in self.servers.iter().flat_map(|server| [(server, false), (server, true)]) {
            let (host, id) = (server.addr(), id.to_owned());
            readers.spawn(async move {
                let cursors = BTreeMap::from([(id, 0)]);
                let mut reader = Reader::new(host, host, Kind::One, cursors, ReaderOptions::plain(), 1);
                if by_polls { reader.follow_by_polls().await } else { reader.follow().await }.unwrap();
                assert_eq!(reader.failures(), 0, "{}", reader.last_loss());
                reader.one().frames.clone()
            });
        }
        let lists = readers.join_all().await;
        let history = History::of(&self.servers[0], id).await;
        for list in lists {
            assert_eq!(list, history.frames, "every reader has the whole journal, once and in order");
        }
        history
    }
}

#[tokio::test]
async fn instance_readers_have_the_whole_journal_wherever_they_are() {
    let world = World::new();
    world.pipeline("p", &["i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done", "sleep 0.3; echo end"]);
    let cluster = Cluster::start(world, 3, &[]);
    let mut runs = Vec::new();
    for server in cluster.servers.iter().cycle().take(9) {
        runs.push(server.start(&cluster.world, "p").await);
    }
    for id in &runs {
        let history = cluster.read_everywhere(id).await;
        assert_eq!(history.status(), "completed");
        let logs = history.frames.iter().filter(|frame| frame.contains("\"kind\":\"log\"")).count();
        assert_eq!(logs, 301);
    }
}

/// Leases are renewed so seldom that only a notice can be fast enough.
#[tokio::test]
async fn instance_stops_a_run_that_is_cancelled_on_another() {
    let world = World::new();
    world.pipeline("p", &["echo $$ > pids; echo begun; exec sleep 1000"]);
    let cluster = Cluster::start(world, 2, &["--lease", "30m"]);
    let id = cluster.servers[0].start(&cluster.world, "p").await;
    cluster.servers[0].until_line(&id, "begun").await;
    let worker = cluster.worker_of(&id).await;
    let other = &cluster.servers[1 - worker];
    assert!(other.post(&format!("/api/v1/runs/{id}/cancel"), json!({})).await.status().is_success());
    other.until_status(&id, "cancelled").await;
    let pids = pids(&cluster.world.file("pids"));
    until("the command has died", async || (!pids.iter().any(|pid| alive(*pid))).then_some(())).await;
    assert_eq!(cluster.read_everywhere(&id).await.status(), "cancelled");
}

#[tokio::test]
async fn instance_resumes_a_run_that_is_approved_on_another() {
    let world = World::new();
    let phases = "[[phases]]\nname = \"a\"\nrun = \"echo one\"\n\
        [[phases]]\nname = \"b\"\napproval = true\nquestion = \"Go on?\"\nrun = \"echo two\"\n";
    let project = "[[params]]\nname = \"project\"\ntype = \"path\"\n";
    world.toml("p", &format!("name = \"p\"\n{project}{phases}"));
    let cluster = Cluster::start(world, 2, &[]);
    let id = cluster.servers[0].start(&cluster.world, "p").await;
    let asked = cluster.servers[1].until_awaiting_approval(&id).await;
    let answer = json!({ "seq": asked["approval"]["seq"] });
    let answered = cluster.servers[1].post(&format!("/api/v1/runs/{id}/approve"), answer).await;
    assert!(answered.status().is_success(), "{}", answered.text().await.unwrap());
    for server in &cluster.servers {
        server.until_status(&id, "completed").await;
    }
    assert_eq!(cluster.servers[1].lines(&id).await, ["one", "two"]);
}

/// The list of runs changes on all instances.
#[tokio::test]
async fn instance_list_shows_runs_of_another() {
    let world = World::new();
    world.pipeline("p", &["echo done"]);
    let cluster = Cluster::start(world, 2, &[]);
    let mut events = Events::open(&cluster.servers[1], "/events?list=1").await;
    let id = cluster.servers[0].start(&cluster.world, "p").await;
    loop {
        let event = events.next().await.expect("the stream goes on");
        if event.data.contains(&id) && event.data.contains("\"completed\"") {
            break;
        }
    }
    let deleted = cluster.servers[0].client.delete(format!("{}/api/v1/runs/{id}", cluster.servers[0].url));
    assert!(deleted.send().await.unwrap().status().is_success());
    loop {
        let event = events.next().await.expect("the stream goes on");
        if event.data.contains(&id) && event.data.contains("deleted") {
            break;
        }
    }
    assert_eq!(cluster.servers[1].get(&format!("/api/v1/runs/{id}")).await.status(), 404);
}
