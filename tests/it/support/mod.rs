//! The real program in a folder of its own, and a client for it.

mod events;
pub mod feed;
pub mod forge;
pub mod history;
pub mod http;
pub mod proxy;
pub mod reader;
pub mod rng;
mod server;
pub mod writes;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

pub use events::Events;
pub use server::Server;

/// How long anything may take that a test waits for. Only reached when the test fails.
pub const LIMIT: Duration = Duration::from_secs(120);

/// A user that may do nothing in particular.
const NOBODY: u32 = 65534;

/// A folder with pipelines, a project and the data of a server.
pub struct World {
    folder: TempDir,
}

impl World {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["pipelines", "project", "data"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder }
    }

    /// Writes a pipeline of one phase per command.
    pub fn pipeline(&self, name: &str, commands: &[&str]) -> &Self {
        let project = "[[params]]\nname = \"project\"\ntype = \"path\"\n";
        let phases = commands
            .iter()
            .enumerate()
            .map(|(index, command)| format!("[[phases]]\nname = \"phase{}\"\nrun = '''\n{command}\n'''\n", index + 1));
        self.toml(name, &format!("name = \"{name}\"\n{project}{}", phases.collect::<String>()))
    }

    /// Writes a pipeline with one phase, `phase1`, and further keys of that phase.
    pub fn phase(&self, name: &str, command: &str, keys: &str) -> &Self {
        let project = "[[params]]\nname = \"project\"\ntype = \"path\"\n";
        let phase = format!("[[phases]]\nname = \"phase1\"\nrun = '''\n{command}\n'''\n{keys}\n");
        self.toml(name, &format!("name = \"{name}\"\n{project}{phase}"))
    }

    pub fn toml(&self, name: &str, text: &str) -> &Self {
        std::fs::write(self.folder.path().join("pipelines").join(format!("{name}.toml")), text).unwrap();
        self
    }

    /// A file in the project's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.project().join(name)
    }

    pub fn project(&self) -> PathBuf {
        self.folder.path().join("project").canonicalize().unwrap()
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The folders of attempts that are running or were not removed.
    pub fn workspaces(&self) -> Vec<PathBuf> {
        let folders = std::fs::read_dir(self.data().join("workspaces")).into_iter().flatten();
        folders.map(|folder| folder.unwrap().path()).collect()
    }

    /// All processes that were started for a run in this project, or name it: none is left when the server is gone.
    pub fn processes(&self) -> Vec<i32> {
        let project = self.project().into_os_string().into_encoded_bytes();
        let names = |file: String| {
            // A process may end while it is inspected.
            std::fs::read(file).is_ok_and(|bytes| bytes.windows(project.len()).any(|part| part == project))
        };
        let pids = std::fs::read_dir("/proc").unwrap();
        pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid| names(format!("/proc/{pid}/environ")) || names(format!("/proc/{pid}/cmdline")))
            .collect()
    }

    /// The same without the server.
    pub fn commands(&self, server: &Server) -> Vec<i32> {
        let server = server.unix_pid().as_raw();
        self.processes().into_iter().filter(|pid| *pid != server).collect()
    }

    pub fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    pub fn serve_with(&self, flags: &[&str]) -> Server {
        self.serve_on(&self.data(), flags)
    }

    /// A server that asks for the token that it makes.
    pub fn serve_guarded(&self, flags: &[&str]) -> Server {
        let mut program = Command::new(env!("CARGO_BIN_EXE_runtrail"));
        program.arg("serve").env("RUNTRAIL_NO_TOKEN", "0");
        self.start(program, &self.data(), flags)
    }

    /// A server on other data.
    pub fn serve_on(&self, data: &Path, flags: &[&str]) -> Server {
        let mut program = Command::new(env!("CARGO_BIN_EXE_runtrail"));
        program.arg("serve");
        self.start(program, data, flags)
    }

    /// A server that is started with a limit of open files.
    pub fn serve_limited(&self, open_files: u32, flags: &[&str]) -> Server {
        let mut shell = Command::new("sh");
        let limited = format!("ulimit -S -n {open_files} && exec \"$0\" \"$@\"");
        shell.args(["-c", &limited, env!("CARGO_BIN_EXE_runtrail"), "serve"]);
        self.start(shell, &self.data(), flags)
    }

    /// A server that can never have more open files than this.
    pub fn serve_with_few_files(&self, open_files: u32, flags: &[&str]) -> Server {
        let mut shell = Command::new("sh");
        let limited = format!("ulimit -n {open_files} && exec \"$0\" \"$@\"");
        shell.args(["-c", &limited, env!("CARGO_BIN_EXE_runtrail"), "serve"]);
        self.start(shell, &self.data(), flags)
    }

    /// A server on other data that is started with a umask.
    pub fn serve_with_umask(&self, umask: &str, data: &Path) -> Server {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("umask {umask} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_runtrail"), "serve"]);
        self.start(shell, data, &[])
    }

    /// A server with variables of its own, whose log is kept ([`Self::log`]).
    pub fn serve_logged(&self, variables: &[(&str, &str)], flags: &[&str]) -> Server {
        let mut shell = Command::new("sh");
        let script = format!("exec \"$0\" \"$@\" 2>>'{}'", self.folder.path().join("server.log").display());
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_runtrail"), "serve"]);
        shell.envs(variables.iter().copied());
        self.start(shell, &self.data(), flags)
    }

    /// A server that is started with this file open as descriptor 9.
    pub fn serve_with_open_file(&self, file: &Path) -> Server {
        let mut shell = Command::new("sh");
        let script = format!("exec \"$0\" \"$@\" 9<'{}'", file.display());
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_runtrail"), "serve"]);
        self.start(shell, &self.data(), &[])
    }

    /// The log of servers started by [`Self::serve_logged`].
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }

    /// A server whose own files of attempts are on a disk of this size. `None` where the system does not allow mounting
    /// one.
    pub fn serve_on_small_disk(&self, kib: usize) -> Option<Server> {
        let disk = self.data().join("attempts");
        std::fs::create_dir_all(&disk).unwrap();
        let private = ["--map-root-user", "--mount"];
        if !Command::new("unshare").args(private).arg("true").status().is_ok_and(|done| done.success()) {
            return None;
        }
        let mut shell = Command::new("unshare");
        let mount = format!("mount -t tmpfs -o size={kib}k tmpfs '{}' && exec \"$0\" \"$@\"", disk.display());
        shell.args(private).args(["sh", "-c", &mount, env!("CARGO_BIN_EXE_runtrail"), "serve"]);
        Some(self.start(shell, &self.data(), &[]))
    }

    /// Opens its folders, except the data, to other users. Returns a copy of the program that they can execute.
    pub fn open_to_others(&self) -> PathBuf {
        let program = self.folder.path().join("runtrail");
        // It may be running.
        if !program.exists() {
            std::fs::copy(env!("CARGO_BIN_EXE_runtrail"), &program).unwrap();
        }
        for folder in ["", "pipelines", "project"] {
            let folder = self.folder.path().join(folder);
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
        }
        program
    }

    /// A server whose program and project are open to other users, with variables of its own. Its log is kept
    /// ([`Self::log`]).
    pub fn serve_open(&self, variables: &[(&str, &str)], flags: &[&str]) -> Server {
        let mut shell = Command::new("sh");
        let script = format!("exec \"$0\" \"$@\" 2>>'{}'", self.folder.path().join("server.log").display());
        shell.args(["-c", &script]).arg(self.open_to_others()).arg("serve");
        shell.envs(variables.iter().copied());
        self.start(shell, &self.data(), flags)
    }

    /// A server that an ordinary user has started. Only root can do that.
    pub fn serve_as_nobody(&self, flags: &[&str]) -> Server {
        let program = self.open_to_others();
        std::fs::set_permissions(self.data(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let mut program = Command::new(program);
        program.arg("serve").uid(NOBODY).gid(NOBODY);
        self.start(program, &self.data(), flags)
    }

    fn start(&self, mut program: Command, data: &Path, flags: &[&str]) -> Server {
        let is_said = program.get_envs().any(|(name, _)| name == "RUNTRAIL_NO_TOKEN");
        if !is_said && !flags.contains(&"--token") {
            program.env("RUNTRAIL_NO_TOKEN", "1");
        }
        let mut child = program
            // As variables, so that a test's flags win.
            .env("RUNTRAIL_ADDR", "127.0.0.1:0")
            // Longer than any test machine pauses. Tests expire leases explicitly: Server::kill_and_lapse.
            .env("RUNTRAIL_LEASE", "60s")
            // Longer than any command needs that ends on SIGTERM. Tests of SIGKILL set their own.
            .env("RUNTRAIL_GRACE", "30s")
            // Most tests kill a server to see what its runs become without it. Tests of the hand-over set their own.
            .env("RUNTRAIL_HANDOVER", "0s")
            .arg("--data-dir")
            .arg(data)
            .arg("--pipelines")
            .arg(self.folder.path().join("pipelines"))
            .arg("--projects")
            .arg(self.project())
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().rsplit(' ').next().unwrap().to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "{line:?}");
        let database = data.join("runtrail.db");
        Server { child, url, database, client: Client::builder().timeout(LIMIT).build().unwrap() }
    }
}

/// Lets this process have as many files open as the system allows it.
///
/// # Panics
/// Those are not as many as the test needs.
pub fn open_files(needed: u64) {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    assert!(most > needed + 100, "this test needs {needed} open files; `ulimit -Hn` says {most}");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
}

/// Whether something that takes its time is done within `limit`. A machine may stand still for a while, so it is
/// measured up to three times: what is slow by itself is so each time.
///
/// # Panics
/// It never is.
pub async fn within(limit: Duration, what: &str, mut measure: impl AsyncFnMut() -> Duration) {
    let mut took = Vec::new();
    for _ in 0..3 {
        took.push(measure().await);
        if took.last() < Some(&limit) {
            return;
        }
    }
    panic!("{what}: it took {took:?}");
}

/// A port that can be listened on twice, one time after the other: below those that systems give to connections.
pub fn steady_port() -> u16 {
    let mut rng = rng::Rng::new(rng::fresh_seed());
    let mut ports = std::iter::from_fn(|| u16::try_from(rng.between(10_000, 32_000)).ok());
    ports.find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// There is none for a long time.
pub async fn until<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    until_within(LIMIT, what, ask).await
}

/// The same for what takes long.
///
/// # Panics
/// There is none within the limit.
pub async fn until_within<T>(limit: Duration, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asked = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(limit, asked).await.unwrap_or_else(|_| panic!("waited in vain until {what}"))
}

/// The process ids in a file, one a line.
pub fn pids(file: &Path) -> Vec<i32> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

/// Whether the process is there and not just waiting to be reaped.
pub fn alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}
