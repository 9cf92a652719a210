//! The servers that are measured, each started on an empty folder for each measurement.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::http;
use crate::process::Process;

/// Where the programs are.
pub struct Programs {
    /// Runtrail's release build.
    pub runtrail: PathBuf,
    /// This program.
    pub own: PathBuf,
    /// The folder of peers.
    pub peers: PathBuf,
    /// Data folders are made here: on a real disk.
    pub data: PathBuf,
}

impl Programs {
    /// The paths given by `scripts/bench.sh`.
    pub fn from_environment() -> Self {
        let path = |name: &str| PathBuf::from(std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set")));
        Self {
            runtrail: path("BENCH_RUNTRAIL"),
            own: std::env::current_exe().unwrap(),
            peers: path("BENCH_PEERS"),
            data: path("BENCH_DATA"),
        }
    }

    fn folder(&self) -> TempDir {
        tempfile::tempdir_in(&self.data).unwrap()
    }
}

/// The load that a source produces.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many read.
    pub readers: usize,
    /// Lines a second; 0 is as fast as they are taken.
    pub rate: f64,
    /// Bytes of a line, its end included.
    pub length: usize,
    /// How many lines.
    pub count: u64,
}

impl Load {
    /// Lines of 120 bytes without an end.
    pub const fn endless(readers: usize, rate: f64) -> Self {
        Self { readers, rate, length: 120, count: u64::MAX }
    }
}

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This project's, `synchronous=FULL`.
    Runtrail,
    /// This project's, `--durability normal`.
    RuntrailNormal,
    /// Durable Streams' Rust server: an append is in its log, by fdatasync, before anyone sees it.
    DurableStreams,
    /// The same without its log.
    DurableStreamsMemory,
    /// Node.js; keeps nothing.
    BetterSse,
    /// See [`crate::raw`].
    Raw,
    /// The same, with a commit before each write.
    RawCommits,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Runtrail,
        Self::RuntrailNormal,
        Self::DurableStreams,
        Self::DurableStreamsMemory,
        Self::BetterSse,
        Self::Raw,
        Self::RawCommits,
    ];

    /// As the tables name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Runtrail => "Runtrail (full)",
            Self::RuntrailNormal => "Runtrail (normal)",
            Self::DurableStreams => "durable-streams 0.1.5 (wal)",
            Self::DurableStreamsMemory => "durable-streams 0.1.5 (memory)",
            Self::BetterSse => "better-sse 0.16.1 (keeps nothing)",
            Self::Raw => "raw writer (the floor)",
            Self::RawCommits => "the same that commits each line first",
        }
    }
}

/// A server that runs, and the source that waits for its start.
pub struct Server {
    /// The server's process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    folder: TempDir,
    source: Option<Process>,
    load: Load,
    own: PathBuf,
    kind: Kind,
    /// The runs that print, if it is Runtrail.
    pub runs: Vec<String>,
}

impl Server {
    /// Starts it and readies `sources` runs, or one stream. `None` if the peer is not there.
    pub fn start(programs: &Programs, kind: Kind, load: Load, sources: usize) -> Option<Self> {
        let folder = programs.folder();
        let go = folder.path().join("go");
        let (mut command, port) = match kind {
            Kind::Runtrail | Kind::RuntrailNormal => {
                let pipelines = folder.path().join("pipelines");
                std::fs::create_dir(&pipelines).unwrap();
                let Load { rate, length, count, .. } = load;
                let print =
                    format!("exec '{}' print '{}' {rate} {length} {count}", programs.own.display(), go.display());
                let pipeline = format!("name = \"print\"\n[[phases]]\nname = \"print\"\nrun = \"{print}\"\n");
                std::fs::write(pipelines.join("print.toml"), pipeline).unwrap();
                (serve(programs, kind, folder.path(), sources), None)
            }
            Kind::DurableStreams | Kind::DurableStreamsMemory => {
                let mut command = Command::new(programs.peers.join("bin/durable-streams-server"));
                let port = free_port();
                let durability = if kind == Kind::DurableStreams { "wal" } else { "memory" };
                command
                    .args(["--port", &port.to_string(), "--durability", durability, "--data-dir"])
                    .arg(folder.path());
                (command, Some(port))
            }
            Kind::BetterSse => {
                let mut command = Command::new("node");
                let port = free_port();
                command.arg(programs.peers.join("better-sse.mjs")).arg(port.to_string());
                (command, Some(port))
            }
            Kind::Raw | Kind::RawCommits => {
                let mut command = Command::new(&programs.own);
                let Load { readers, rate, length, count } = load;
                let numbers = [readers.to_string(), rate.to_string(), length.to_string(), count.to_string()];
                command.arg("raw").arg(&go).args(numbers).arg((kind == Kind::RawCommits).to_string());
                (command, None)
            }
        };
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let address = match port {
            None => said(&mut child),
            Some(port) => SocketAddr::from(([127, 0, 0, 1], port)),
        };
        let mut server = Self {
            process: Process(child),
            address,
            folder,
            source: None,
            load,
            own: programs.own.clone(),
            kind,
            runs: Vec::new(),
        };
        server.listens().then(|| server.ready(sources)).map(|()| server)
    }

    fn listens(&mut self) -> bool {
        // The raw writer takes each connection for a reader.
        if matches!(self.kind, Kind::Raw | Kind::RawCommits) {
            return true;
        }
        for _ in 0..500 {
            if std::net::TcpStream::connect(self.address).is_ok() {
                return true;
            }
            if self.process.0.try_wait().unwrap().is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    fn ready(&mut self, sources: usize) {
        let address = self.address.to_string();
        match self.kind {
            Kind::Runtrail | Kind::RuntrailNormal => {
                for _ in 0..sources {
                    let body = "{\"pipeline\":\"print\",\"params\":{}}";
                    let answer = http::request(&address, "POST", "/api/v1/runs", "application/json", body);
                    self.runs.push(http::member(answer.split_once("\r\n\r\n").unwrap().1, "id").to_owned());
                }
            }
            Kind::DurableStreams | Kind::DurableStreamsMemory => {
                http::request(&address, "PUT", "/run", "text/plain", "");
            }
            Kind::BetterSse | Kind::Raw | Kind::RawCommits => {}
        }
    }

    /// The request of a reader from now on (Runtrail: from the beginning).
    pub fn reader(&self) -> String {
        let path = match self.kind {
            Kind::Runtrail | Kind::RuntrailNormal => format!("/runs/{}/events", self.runs[0]),
            Kind::DurableStreams | Kind::DurableStreamsMemory => "/run?offset=now&live=sse".to_owned(),
            Kind::BetterSse | Kind::Raw | Kind::RawCommits => "/events".to_owned(),
        };
        self.get(&path, "")
    }

    /// A request of a reader, with more header lines.
    pub fn get(&self, path: &str, headers: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n{headers}\r\n", self.address)
    }

    /// The sources begin.
    pub fn go(&mut self) {
        match self.kind {
            Kind::Runtrail | Kind::RuntrailNormal | Kind::Raw | Kind::RawCommits => {
                std::fs::write(self.folder.path().join("go"), "").unwrap();
            }
            Kind::DurableStreams | Kind::DurableStreamsMemory | Kind::BetterSse => {
                let Load { rate, length, count, .. } = self.load;
                // One connection cannot have two on their way: at high rates several take turns.
                let connections = if rate > 200.0 { 16 } else { 1 };
                let mut post = Command::new(&self.own);
                post.args(["post", &self.address.to_string(), "/run", &rate.to_string(), &length.to_string()]);
                post.args([connections.to_string(), count.to_string()]);
                self.source = Some(Process(post.stderr(Stdio::null()).spawn().unwrap()));
            }
        }
    }

    /// Starts Runtrail again on the same data.
    pub fn again(mut self, programs: &Programs) -> Self {
        let mut child =
            serve(programs, self.kind, self.folder.path(), self.runs.len()).stdout(Stdio::piped()).spawn().unwrap();
        self.address = said(&mut child);
        self.process = Process(child);
        self
    }

    /// A number of Runtrail's `/metrics`.
    pub fn metric(&self, name: &str) -> f64 {
        let text = http::request(&self.address.to_string(), "GET", "/metrics", "text/plain", "");
        let line =
            text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
        line.trim().parse().unwrap()
    }

    /// Runtrail's data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Runtrail's answer about its first run.
    pub fn run(&self) -> String {
        http::request(&self.address.to_string(), "GET", &format!("/api/v1/runs/{}", self.runs[0]), "text/plain", "")
    }
}

/// Runtrail with its built-in pipelines only.
pub struct Running {
    /// Where it listens.
    pub address: String,
    _process: Process,
    _folder: TempDir,
}

impl Running {
    /// Starts it on an empty folder, with further flags.
    pub fn start(programs: &Programs, flags: &[&str]) -> Self {
        let folder = programs.folder();
        std::fs::create_dir(folder.path().join("pipelines")).unwrap();
        let mut command = serve(programs, Kind::Runtrail, folder.path(), 1);
        let mut child = command.args(flags).stdout(Stdio::piped()).spawn().unwrap();
        let address = said(&mut child).to_string();
        Self { address, _process: Process(child), _folder: folder }
    }
}

fn serve(programs: &Programs, kind: Kind, folder: &Path, workers: usize) -> Command {
    let mut command = Command::new(&programs.runtrail);
    let durability = if kind == Kind::RuntrailNormal { "normal" } else { "full" };
    command.args(["serve", "--addr", "127.0.0.1:0", "--durability", durability, "--workers", &workers.to_string()]);
    command.arg("--data-dir").arg(folder.join("data")).arg("--pipelines").arg(folder.join("pipelines"));
    // Authentication is not part of what is measured.
    command.env("RUNTRAIL_LOG", "warn").env("RUNTRAIL_NO_TOKEN", "1").stderr(Stdio::null());
    command
}

/// The address in the line that a server prints when it serves.
fn said(child: &mut Child) -> SocketAddr {
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    line.trim().rsplit("http://").next().unwrap().parse().unwrap_or_else(|_| panic!("{line:?} names no address"))
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
