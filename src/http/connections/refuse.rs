//! What is answered to a connection for which there is no room: little, and without waiting for its request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::linger::linger;
use super::register::Full;
use crate::model::{Problem, ProblemCode};

/// When a client may try again, in seconds.
const RETRY_AFTER: u32 = 5;

/// How many refused connections are waited for so that they hear the answer. They count as none of those that there may be.
const AT_ONCE: usize = 16;

/// The least time between two lines of the server's log.
const QUIET: Duration = Duration::from_secs(60);

/// Refuses connections.
pub(super) struct Refuser {
    heard: Arc<Semaphore>,
    /// When the log said so last.
    logged: Option<Instant>,
}

impl Default for Refuser {
    fn default() -> Self {
        Self { heard: Arc::new(Semaphore::new(AT_ONCE)), logged: None }
    }
}

impl Refuser {
    pub(super) fn refuse(&mut self, mut socket: TcpStream, peer: SocketAddr, full: Full) {
        if self.logged.is_none_or(|logged| logged.elapsed() > QUIET) {
            self.logged = Some(Instant::now());
            let why = match full {
                Full::Server => "there are too many; raise the limit of open files, or --max-connections",
                Full::Client => "there are too many from its address; --connections-per-client says how many may be",
            };
            tracing::warn!(client = %peer.ip(), why, "a connection was refused");
        }
        // A new socket has room for this.
        let _ = socket.try_write(answer(full).as_bytes());
        if let Ok(turn) = Arc::clone(&self.heard).try_acquire_owned() {
            tokio::spawn(async move {
                let _ = socket.shutdown().await;
                linger(&socket).await;
                drop(turn);
            });
        }
    }
}

fn answer(full: Full) -> String {
    let detail = match full {
        Full::Server => "The server has as many connections as it can take. Try again in a few seconds.",
        Full::Client => {
            "Your address has as many connections as it may have. Close some, or try again in a few seconds."
        }
    };
    let problem = Problem::new(ProblemCode::TooManyConnections, detail);
    let body = serde_json::to_string(&problem).unwrap_or_default();
    format!(
        "HTTP/1.1 {} Service Unavailable\r\nRetry-After: {RETRY_AFTER}\r\nContent-Type: application/problem+json\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        problem.status,
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_is_a_whole_answer_that_says_when_to_come_back() {
        for full in [Full::Server, Full::Client] {
            let answer = answer(full);
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("\r\nRetry-After: 5\r\n"), "{head}");
            assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{head}");
            let problem: Problem = serde_json::from_str(body).unwrap();
            assert_eq!((problem.code, problem.retryable), (ProblemCode::TooManyConnections, true));
        }
    }
}
