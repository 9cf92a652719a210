//! Answers connections for which there is no capacity: with a short response, and without waiting for a request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::linger::linger;
use super::registry::AtCapacity;
use crate::model::{Problem, ProblemCode};

/// The value of `Retry-After`, in seconds.
const RETRY_AFTER_S: u32 = 5;

/// How many refused connections may linger so that their clients read the response. They do not count as connections.
const MAX_LINGERING: usize = 16;

/// The least time between two lines of the log.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Refuses connections.
pub(super) struct Refuser {
    lingering: Arc<Semaphore>,
    /// When a refusal was last logged.
    last_logged: Option<Instant>,
}

impl Default for Refuser {
    fn default() -> Self {
        Self { lingering: Arc::new(Semaphore::new(MAX_LINGERING)), last_logged: None }
    }
}

impl Refuser {
    pub(super) fn refuse(&mut self, mut socket: TcpStream, peer: SocketAddr, reason: AtCapacity) {
        if self.last_logged.is_none_or(|last_logged| last_logged.elapsed() > LOG_INTERVAL) {
            self.last_logged = Some(Instant::now());
            let why = match reason {
                AtCapacity::Server => "there are too many; raise the limit of open files, or --max-connections",
                AtCapacity::Client => {
                    "there are too many from its address; --connections-per-client says how many may be"
                }
            };
            tracing::warn!(client = %peer.ip(), why, "a connection was refused");
        }
        // The send buffer of a new socket has room for this.
        let _ = socket.try_write(response(reason).as_bytes());
        if let Ok(permit) = Arc::clone(&self.lingering).try_acquire_owned() {
            tokio::spawn(async move {
                let _ = socket.shutdown().await;
                linger(&socket).await;
                drop(permit);
            });
        }
    }
}

fn response(reason: AtCapacity) -> String {
    let detail = match reason {
        AtCapacity::Server => "The server has as many connections as it can take. Try again in a few seconds.",
        AtCapacity::Client => {
            "Your address has as many connections as it may have. Close some, or try again in a few seconds."
        }
    };
    let problem = Problem::new(ProblemCode::TooManyConnections, detail);
    let body = serde_json::to_string(&problem).unwrap_or_default();
    format!(
        "HTTP/1.1 {} Service Unavailable\r\nRetry-After: {RETRY_AFTER_S}\r\nContent-Type: application/problem+json\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        problem.status,
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_is_a_complete_response_with_retry_after() {
        for reason in [AtCapacity::Server, AtCapacity::Client] {
            let response = response(reason);
            let (head, body) = response.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("\r\nRetry-After: 5\r\n"), "{head}");
            assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{head}");
            let problem: Problem = serde_json::from_str(body).unwrap();
            assert_eq!((problem.code, problem.retryable), (ProblemCode::TooManyConnections, true));
        }
    }
}
