//! A PostgreSQL server of one test, which may crash.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::steady_port;

/// A server in a folder of its own. It ends with the test.
pub struct PrivateServer {
    folder: TempDir,
    port: u16,
}

impl PrivateServer {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Self { folder, port: steady_port() };
        if is_root() {
            let owned = Command::new("chown").arg("postgres").arg(server.folder.path()).status().unwrap();
            assert!(owned.success(), "PostgreSQL refuses to run as root, so its tests need the user postgres");
        }
        let data = server.data();
        let init = ["-U", "runtrail", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"];
        server.run("initdb", &init, &data);
        server.restart();
        server
    }

    /// Its URL, without a database.
    pub fn url(&self) -> String {
        format!("postgres://runtrail@127.0.0.1:{}", self.port)
    }

    /// Ends all of its processes at once, without writing anything: the next start recovers from the log.
    pub fn crash(&self) {
        self.run("pg_ctl", &["-m", "immediate", "stop", "-D"], &self.data());
    }

    pub fn restart(&self) {
        let options = format!("-k {} -p {} -h 127.0.0.1", self.folder.path().display(), self.port);
        let log = self.folder.path().join("log");
        let start = ["-w", "-o", options.as_str(), "-l", log.to_str().unwrap(), "start", "-D"];
        self.run("pg_ctl", &start, &self.data());
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn run(&self, program: &str, args: &[&str], data: &Path) {
        let mut command = match is_root() {
            true => {
                let mut command = Command::new("runuser");
                command.args(["-u", "postgres", "--"]).arg(program_file(program));
                command
            }
            false => Command::new(program_file(program)),
        };
        command.args(args).arg(data).current_dir(self.folder.path());
        // The server keeps its standard output, which would keep this test waiting.
        let done = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(done.success(), "{command:?}");
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        let data = self.data();
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.run("pg_ctl", &["-m", "immediate", "stop", "-D"], &data);
        }));
    }
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A program of PostgreSQL: on PATH, or where Debian has it.
fn program_file(program: &str) -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found: Vec<_> = debian.flatten().map(|version| version.path().join("bin").join(program)).collect();
    found.retain(|file| file.exists());
    found.sort();
    found.pop().unwrap_or_else(|| program.into())
}
