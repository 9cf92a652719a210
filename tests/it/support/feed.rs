//! A run whose command prints what the test writes to it: `cat` on a named pipe.

use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;

use super::rng::Rng;
use super::{Server, World, until};

/// The name of the pipeline whose runs are fed.
pub const FED: &str = "fed";

/// A run's one command, and the way to it. When this is dropped, the command ends and the run completes.
pub struct Feed {
    pub id: String,
    pipe: pipe::Sender,
}

impl World {
    /// Writes the pipeline of runs that are fed.
    pub fn fed(&self) -> &Self {
        self.pipeline(FED, &["pipe=$RUNTRAIL_RUN_ID.$RUNTRAIL_ATTEMPT; mkfifo $pipe && exec cat $pipe"])
    }
}

impl Feed {
    /// Starts a run, and returns when its command listens.
    pub async fn start(world: &World, server: &Server) -> Self {
        let id = server.start(world, FED).await;
        Self::attach(world, id, 1).await
    }

    /// The way to a run's command, when it listens.
    pub async fn attach(world: &World, id: String, attempt: u32) -> Self {
        let file = world.file(&format!("{id}.{attempt}"));
        // There is no opening before `cat` has opened the other end.
        let pipe = until("the command listens", async || pipe::OpenOptions::new().open_sender(&file).ok()).await;
        Self { id, pipe }
    }

    /// Has the command print these bytes.
    pub async fn print(&mut self, bytes: &[u8]) {
        self.pipe.write_all(bytes).await.unwrap();
    }
}

/// Lines as commands print them, and odd ones: long, in other scripts, with truncated characters and carriage returns,
/// and text that looks like events of a stream.
pub fn line(rng: &mut Rng, number: u64) -> Vec<u8> {
    let mut line = match rng.below(16) {
        0 => b"the same line".to_vec(),
        1 => Vec::new(),
        2 => "größer, 更大, больше, 🦀 and \u{2028} between".into(),
        3 => format!("{number} %\r{number} %\r\x1b[32mdone\x1b[0m\r").into(),
        4 => b"data: {\"seq\":1}\\n\\nid: 99999\\r\\nevent: end".to_vec(),
        5 => b"half \xf0\x9f\xa6 a character, \xff none, \0 nothing".to_vec(),
        6 => "é".repeat(usize::try_from(rng.spread(600)).unwrap()).into(),
        _ => format!("line {number} of {}", rng.below(1_000_000)).into(),
    };
    line.push(b'\n');
    line
}

/// A line of about so many bytes, with characters of several bytes across the places where it is split.
pub fn long_line(bytes: usize) -> Vec<u8> {
    let mut line = "a🦀é".repeat(bytes / 7).into_bytes();
    line.push(b'\n');
    line
}
