//! A TCP proxy that does to connections what networks do: cuts at any byte, stalls, drips, forgets one side, resets,
//! delays, lets a later connection go first. To prove that its users would notice, it can also tamper with events.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::rng::Rng;

/// How long a connection waits for a later one.
const NO_OTHER: Duration = Duration::from_millis(150);
/// How long the server does not learn that the client is gone.
const LINGER: Duration = Duration::from_millis(200);

/// The fate of one connection.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Continues only after a later connection was made.
    pub held: bool,
    /// How many bytes of the request pass.
    pub request: Option<u64>,
    /// The most bytes forwarded at once.
    pub pieces: usize,
    /// The wait before each piece.
    pub delay: Duration,
    /// What happens after this many bytes of the response.
    pub then: Option<(u64, Then)>,
    /// The server does not learn that the client is gone.
    pub linger: bool,
    /// Changes to the response's events.
    pub tamper: Option<Tamper>,
}

/// The end of an orderly connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Closed, in order.
    Close,
    /// Reset, on both sides.
    Reset,
    /// No more bytes pass; both sides stay open.
    Stall,
    /// The server's side is closed, and the client does not learn of it.
    HalfOpen,
    /// One byte at a time from here on.
    Drip(Duration),
}

/// A lie about the n-th event of an answer. For answers without chunks (HTTP/1.0), else the framing would show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tamper {
    Drop(usize),
    Repeat(usize),
    Swap(usize),
    Flip(usize),
}

impl Fault {
    /// A connection as it should be.
    pub fn none() -> Self {
        Self {
            held: false,
            request: None,
            pieces: 16 * 1024,
            delay: Duration::ZERO,
            then: None,
            linger: false,
            tamper: None,
        }
    }

    /// The same, but that its answer ends so.
    pub fn then(after: u64, then: Then) -> Self {
        Self { then: Some((after, then)), ..Self::none() }
    }

    /// Some fault, for answers of about `bytes` bytes.
    pub fn any(rng: &mut Rng, bytes: u64) -> Self {
        let mut fault = Self::none();
        fault.held = rng.one_in(8);
        fault.linger = rng.one_in(4);
        if rng.one_in(10) {
            fault.request = Some(rng.below(120));
        }
        match rng.below(5) {
            0 => fault.pieces = usize::try_from(rng.between(1, 700)).unwrap(),
            1 => fault.delay = Duration::from_millis(rng.between(1, 15)),
            _ => {}
        }
        // Small numbers as often as large ones: in the head of the answer, in the first event, far behind.
        let after = if rng.one_in(2) { rng.spread(bytes) } else { rng.below(bytes) };
        let then = match rng.below(10) {
            0..3 => Then::Close,
            3..6 => Then::Reset,
            6..8 => Then::Stall,
            8 => Then::HalfOpen,
            _ => Then::Drip(Duration::from_millis(*rng.pick(&[20, 100, 1000]))),
        };
        fault.then = Some((after, then));
        fault
    }
}

/// A running proxy. It and its connections end when it is dropped.
pub struct Proxy {
    pub addr: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Proxy {
    /// A proxy before `server`; `plan` decides the fate of the n-th connection, counted from 0.
    pub async fn start(server: SocketAddr, mut plan: impl FnMut(u64) -> Fault + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            // Dropped, and with it every connection, when the proxy is.
            let mut connections = tokio::task::JoinSet::new();
            let (newest, _) = watch::channel(0);
            for number in 0.. {
                // Out of descriptors for a moment: the client waits in the queue.
                let Ok((client, _)) = listener.accept().await else { continue };
                newest.send_replace(number);
                let (fault, newest) = (plan(number), newest.subscribe());
                connections.spawn(async move {
                    // Failures between the two sides are the purpose.
                    let _ = carry(client, server, fault, number, newest).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { addr, accepting }
    }
}

async fn carry(
    mut client: TcpStream,
    server: SocketAddr,
    fault: Fault,
    number: u64,
    mut newest: watch::Receiver<u64>,
) -> std::io::Result<()> {
    if fault.held {
        let _ = tokio::time::timeout(NO_OTHER, newest.wait_for(|newest| *newest > number)).await;
    }
    let mut server = TcpStream::connect(server).await?;
    let (then, client_gone) = {
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        tokio::select! {
            then = up(&mut from_client, &mut to_server, &fault) => (then?, true),
            then = down(&mut from_server, &mut to_client, &fault) => (then?, false),
        }
    };
    match then {
        Then::Close if client_gone && fault.linger => tokio::time::sleep(LINGER).await,
        Then::Close => {}
        Then::Reset => {
            client.set_zero_linger()?;
            server.set_zero_linger()?;
        }
        Then::Stall => gone(&mut client).await,
        Then::HalfOpen => {
            server.set_zero_linger()?;
            drop(server);
            gone(&mut client).await;
        }
        Then::Drip(pause) => {
            let (mut from_client, mut to_client) = client.split();
            let (mut from_server, mut to_server) = server.split();
            let drip = async {
                let mut byte = [0];
                while from_server.read(&mut byte).await.is_ok_and(|count| count > 0) {
                    tokio::time::sleep(pause).await;
                    if to_client.write_all(&byte).await.is_err() {
                        break;
                    }
                }
            };
            tokio::select! {
                () = drip => {}
                // The request itself may not have passed yet.
                _ = up(&mut from_client, &mut to_server, &fault) => {}
            }
        }
    }
    Ok(())
}

/// Waits until the client closes.
async fn gone(client: &mut TcpStream) {
    while client.read_u8().await.is_ok() {}
}

/// Forwards the request, until the client closes or the fault occurs.
async fn up(from: &mut ReadHalf<'_>, to: &mut WriteHalf<'_>, fault: &Fault) -> std::io::Result<Then> {
    let mut left = fault.request.unwrap_or(u64::MAX);
    let mut bytes = [0; 4096];
    loop {
        let count = from.read(&mut bytes).await?;
        if count == 0 {
            return Ok(Then::Close);
        }
        let passes = count.min(usize::try_from(left).unwrap_or(usize::MAX));
        to.write_all(&bytes[..passes]).await?;
        left -= passes as u64;
        if left == 0 {
            return Ok(Then::Reset);
        }
    }
}

/// Forwards the response, until the server ends it or the fault occurs.
async fn down(from: &mut ReadHalf<'_>, to: &mut WriteHalf<'_>, fault: &Fault) -> std::io::Result<Then> {
    let (mut left, then) = fault.then.unwrap_or((u64::MAX, Then::Close));
    let mut tampering = fault.tamper.map(Tampering::new);
    let mut bytes = vec![0; fault.pieces];
    loop {
        if !fault.delay.is_zero() {
            tokio::time::sleep(fault.delay).await;
        }
        if left == 0 {
            return Ok(then);
        }
        let most = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = from.read(&mut bytes[..most]).await?;
        match &mut tampering {
            None => to.write_all(&bytes[..count]).await?,
            Some(tampering) => to.write_all(&tampering.push(&bytes[..count])).await?,
        }
        if count == 0 {
            return Ok(Then::Close);
        }
        left -= count as u64;
    }
}

/// Cuts an answer into its events and lies about one of them.
struct Tampering {
    what: Tamper,
    /// The beginning of an incomplete event.
    half: Vec<u8>,
    /// Whole events so far. The first is the answer's head with the stream's `ready`.
    whole: usize,
    /// An event held back to be sent behind the next.
    swapped: Vec<u8>,
}

impl Tampering {
    fn new(what: Tamper) -> Self {
        Self { what, half: Vec::new(), whole: 0, swapped: Vec::new() }
    }

    fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        if bytes.is_empty() {
            return std::mem::take(&mut self.half);
        }
        self.half.extend_from_slice(bytes);
        let mut out = Vec::new();
        while let Some(end) = self.half.windows(2).position(|two| two == b"\n\n") {
            let mut event: Vec<u8> = self.half.drain(..end + 2).collect();
            let behind = std::mem::take(&mut self.swapped);
            match self.what {
                Tamper::Drop(n) if n == self.whole => event.clear(),
                Tamper::Repeat(n) if n == self.whole => event.extend_from_within(..),
                Tamper::Swap(n) if n == self.whole => self.swapped = std::mem::take(&mut event),
                Tamper::Flip(n) if n == self.whole => {
                    // Inside the JSON, where no framing shows it.
                    let at = event.len() - 6;
                    event[at] ^= 1;
                }
                _ => {}
            }
            out.extend(event);
            out.extend(behind);
            self.whole += 1;
        }
        out
    }
}
