//! The measuring client: many connections on one thread, little work a read.
//!
//! It takes the moment once a wake-up, searches for marks and looks at nothing else.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use memchr::memmem::Finder;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::line;

/// What one reader received.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Lines.
    pub lines: u64,
    /// The number of the last line.
    pub last: u64,
    /// Lines whose number was not one more than the last line's.
    pub jumps: u64,
    /// Bytes.
    pub bytes: u64,
    /// The `id` of the last event, for clients that keep ids.
    pub id: Vec<u8>,
    /// The server closed the connection.
    pub closed: bool,
}

/// What all readers of a client received.
#[derive(Debug, Default)]
pub struct Report {
    /// From sending to reading, in microseconds, of each delivery while measuring.
    pub latencies: Vec<u32>,
    /// Each reader, in order.
    pub readers: Vec<Seen>,
}

impl Report {
    /// A quantile of the latencies in milliseconds.
    pub fn quantile(&mut self, q: f64) -> f64 {
        if self.latencies.is_empty() {
            return f64::NAN;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index"
        )]
        let index = ((self.latencies.len() - 1) as f64 * q) as usize;
        f64::from(*self.latencies.select_nth_unstable(index).1) / 1000.0
    }
}

#[derive(Default)]
struct Shared {
    measuring: AtomicBool,
    stop: AtomicBool,
    /// Deliveries since the client began.
    deliveries: AtomicU64,
    /// Readers that have got something.
    greeted: AtomicU64,
}

/// Readers on a thread of their own.
pub struct Client {
    shared: Arc<Shared>,
    thread: JoinHandle<Report>,
    count: usize,
}

struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    sent: bool,
    /// The end of the bytes read so far, which may be the beginning of a mark.
    rest: Vec<u8>,
    seen: Seen,
}

impl Client {
    /// Attaches one reader a request; returns when each has an answer.
    pub fn attach(address: SocketAddr, requests: Vec<String>, keep_ids: bool) -> Self {
        let shared = Arc::<Shared>::default();
        let count = requests.len();
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || run(address, requests, keep_ids, &shared)
        });
        let client = Self { shared, thread, count };
        for _ in 0..3000 {
            if client.shared.greeted.load(Ordering::Relaxed) >= client.count as u64 {
                return client;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("only {} of {count} readers were answered", client.shared.greeted.load(Ordering::Relaxed));
    }

    /// Whether latencies are kept from now on.
    pub fn measure(&self, on: bool) {
        self.shared.measuring.store(on, Ordering::Relaxed);
    }

    /// Deliveries so far.
    pub fn deliveries(&self) -> u64 {
        self.shared.deliveries.load(Ordering::Relaxed)
    }

    /// Closes every connection and returns what was received.
    pub fn finish(self) -> Report {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }

    /// Waits until the server has closed every connection, and returns what was received.
    pub fn until_closed(self) -> Report {
        self.thread.join().unwrap()
    }
}

fn run(address: SocketAddr, requests: Vec<String>, keep_ids: bool, shared: &Shared) -> Report {
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(1024);
    let mut connections: Vec<Connection> = Vec::with_capacity(requests.len());
    let mut report = Report::default();
    let mut buffer = vec![0; 256 * 1024];
    let marks = Finder::new(line::MARK);
    let mut requests = requests.into_iter();
    let mut open = 0usize;
    loop {
        // Not all at once: the listener's queue is short.
        for request in requests.by_ref().take(32) {
            let mut stream = TcpStream::connect(address).unwrap();
            let token = Token(connections.len());
            poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE).unwrap();
            let request = request.into_bytes();
            connections.push(Connection { stream, request, sent: false, rest: Vec::new(), seen: Seen::default() });
            open += 1;
        }
        if shared.stop.load(Ordering::Relaxed) || (open == 0 && !connections.is_empty()) {
            report.readers = connections.into_iter().map(|connection| connection.seen).collect();
            return report;
        }
        poll.poll(&mut events, Some(Duration::from_millis(if requests.len() > 0 { 1 } else { 50 }))).unwrap();
        let now = line::now();
        let measuring = shared.measuring.load(Ordering::Relaxed);
        let mut delivered = 0;
        for event in &events {
            let connection = &mut connections[event.token().0];
            if !connection.sent && event.is_writable() {
                connection.sent = true;
                assert_eq!(connection.stream.write(&connection.request).unwrap(), connection.request.len());
            }
            if !event.is_readable() || connection.seen.closed {
                continue;
            }
            loop {
                let kept = connection.rest.len();
                buffer[..kept].copy_from_slice(&connection.rest);
                match connection.stream.read(&mut buffer[kept..]) {
                    Ok(0) => {
                        connection.seen.closed = true;
                        open -= 1;
                        break;
                    }
                    Ok(count) => {
                        if connection.seen.bytes == 0 {
                            shared.greeted.fetch_add(1, Ordering::Relaxed);
                        }
                        connection.seen.bytes += count as u64;
                        let bytes = &buffer[..kept + count];
                        let latencies = measuring.then_some(&mut report.latencies);
                        // A client that keeps ids processes whole events only, as a browser does.
                        let whole = if keep_ids { end_of_events(bytes) } else { bytes.len() };
                        let used = take(&bytes[..whole], &marks, now, &mut connection.seen, latencies, &mut delivered);
                        let used = if keep_ids { whole } else { used };
                        if keep_ids {
                            keep_id(&bytes[..whole], &mut connection.seen);
                        }
                        connection.rest.clear();
                        connection.rest.extend_from_slice(&bytes[used..]);
                        // The socket is drained. It reports new bytes again, but its end only once.
                        if kept + count < buffer.len() && !event.is_read_closed() {
                            break;
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(_) => {
                        connection.seen.closed = true;
                        open -= 1;
                        break;
                    }
                }
            }
        }
        shared.deliveries.fetch_add(delivered, Ordering::Relaxed);
    }
}

/// Counts the marks; how many bytes are done with.
fn take(
    bytes: &[u8],
    marks: &Finder<'_>,
    now: u64,
    seen: &mut Seen,
    mut latencies: Option<&mut Vec<u32>>,
    delivered: &mut u64,
) -> usize {
    let mut from = 0;
    while let Some(at) = marks.find(&bytes[from..]).map(|at| from + at) {
        let Some(marked) = bytes.get(at..at + line::MARKED) else { return at };
        let (number, sent) = line::read(marked);
        seen.lines += 1;
        seen.jumps += u64::from(number != seen.last + 1);
        seen.last = number;
        *delivered += 1;
        if let Some(latencies) = &mut latencies {
            latencies.push(u32::try_from(now.saturating_sub(sent) / 1000).unwrap_or(u32::MAX));
        }
        from = at + line::MARKED;
    }
    // Half a mark may end the bytes.
    from.max(bytes.len() - usize::from(bytes.last() == Some(&line::MARK[0])))
}

/// Where the last event that came whole ends.
fn end_of_events(bytes: &[u8]) -> usize {
    memchr::memmem::rfind(bytes, b"\n\n").map_or(0, |at| at + 2)
}

/// Keeps the last id of these events.
fn keep_id(events: &[u8], seen: &mut Seen) {
    if let Some(at) = memchr::memmem::rfind(events, b"id: ") {
        let bytes = events;
        let id = bytes[at + 4..].split(|&byte| byte == b'\n').next().unwrap_or_default();
        seen.id = id.to_vec();
    }
}
