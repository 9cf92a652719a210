//! The supervisor's connection to the server that holds it, and the socket on which it waits for the next one.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use super::super::handover::custody::{Custody, Parting};
use super::super::handover::protocol::{
    Answer, Hello, MAX_REQUEST_BYTES, Refusal, Request, Welcome, check_hello, line, next_request,
};
use super::super::handover::sockets::BoundSocket;
use super::super::handover::spool::Spool;

/// How many bytes are read at once. Messages are short, except for the first one.
const READ_BYTES: usize = 16 * 1024;

/// The connections of a supervisor.
#[derive(Debug)]
pub struct Link {
    socket: Option<BoundSocket>,
    /// The folder of the socket.
    folder: String,
    /// The server that holds the supervisor.
    holder: Option<Connection>,
    /// A server that has connected and not said hello yet.
    guest: Option<Connection>,
    custody: Custody,
    handover: Duration,
    /// The claim of the holder, or of the last one.
    token: i64,
}

/// A connection to a server.
#[derive(Debug)]
struct Connection {
    stream: UnixStream,
    inbox: Vec<u8>,
    /// The rest of an answer.
    outbox: Vec<u8>,
    /// The offset of the next byte to send.
    sent: u64,
    is_closed: bool,
}

/// A descriptor to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEnd {
    Listener,
    Holder,
    Guest,
}

impl Link {
    /// A link whose first server is at the other end of `stream`.
    pub fn new(stream: UnixStream, socket: Option<BoundSocket>, folder: String) -> std::io::Result<Self> {
        let guest = Some(Connection::new(stream)?);
        let (custody, handover) = (Custody::Held, Duration::ZERO);
        Ok(Self { socket, folder, holder: None, guest, custody, handover, token: -1 })
    }

    /// Whether nobody wants the command any more.
    pub fn is_abandoned(&self) -> bool {
        self.custody == Custody::Abandoned
    }

    /// Whether a server takes records now.
    pub fn has_reader(&self) -> bool {
        self.holder.is_some()
    }

    /// Gives the command up if nobody has come in time, or nobody can come any more.
    pub fn check(&mut self, now: Duration) {
        if let Custody::Waiting { .. } = self.custody {
            let is_reachable = self.socket.as_ref().is_some_and(BoundSocket::is_reachable);
            self.custody = self.custody.checked(now, is_reachable);
        }
    }

    /// When to call [`Self::check`].
    pub fn next_check(&self, now: Duration) -> Option<Duration> {
        self.custody.next_check(now)
    }

    /// The listening socket, if there is one. The server that has started this process comes first.
    pub fn listener(&self) -> Option<&UnixListener> {
        self.socket.as_ref().map(BoundSocket::listener).filter(|_| self.token >= 0)
    }

    /// The connections to wait for, each with whether there is something to send.
    pub fn streams(&self, spool: &Spool) -> impl Iterator<Item = (LinkEnd, &UnixStream, bool)> {
        let holder = self
            .holder
            .iter()
            .map(|holder| (LinkEnd::Holder, &holder.stream, !holder.outbox.is_empty() || holder.sent < spool.end()));
        holder.chain(self.guest.iter().map(|guest| (LinkEnd::Guest, &guest.stream, false)))
    }

    /// Accepts a connection.
    pub fn accept(&mut self) {
        let accepted = self.listener().and_then(|listener| listener.accept().ok());
        if let Some(guest) = accepted.and_then(|(stream, _)| Connection::new(stream).ok()) {
            self.guest = Some(guest);
        }
    }

    /// Reads what the guest says. If that makes it the holder, returns its first message.
    pub fn meet_guest(&mut self, spool: &mut Spool, now: Duration, welcome: impl Fn(u64) -> Welcome) -> Option<Hello> {
        let mut guest = self.guest.take()?;
        guest.receive();
        let Some(Request::Hello(hello)) = next_request(&mut guest.inbox) else {
            if !guest.is_closed && guest.inbox.len() < MAX_REQUEST_BYTES {
                self.guest = Some(guest);
            } else if self.token < 0 {
                // The server that started this process has gone before it said anything.
                self.custody = Custody::Abandoned;
            }
            return None;
        };
        let answer = match check_hello(&hello, self.token, &self.folder, spool.offsets()) {
            Ok(()) => self.custody.adopted().map(|custody| (custody, welcome(hello.offset))).ok_or(Refusal::Token),
            Err(refusal) => Err(refusal),
        };
        match answer {
            Ok((custody, welcome)) => {
                self.custody = custody;
                self.token = hello.token;
                self.handover =
                    if self.socket.is_some() { Duration::from_millis(hello.handover_ms) } else { Duration::ZERO };
                spool.acknowledge(hello.offset);
                guest.sent = hello.offset;
                guest.outbox = line(&Answer::Welcome(welcome));
                self.holder = Some(guest);
                self.send(spool, now);
                Some(hello)
            }
            Err(refusal) => {
                if refusal == Refusal::Moved {
                    self.custody = Custody::Abandoned;
                }
                let _ = guest.stream.write_all(&line(&Answer::Refused(refusal)));
                None
            }
        }
    }

    /// Reads what the holder says.
    pub fn hear_holder(&mut self, now: Duration) -> Vec<Request> {
        let Some(holder) = &mut self.holder else { return Vec::new() };
        holder.receive();
        let requests: Vec<Request> = std::iter::from_fn(|| next_request(&mut holder.inbox)).collect();
        if requests.contains(&Request::End) {
            self.part(Parting::Dismissed, now);
        } else if holder.is_closed {
            self.part(Parting::Closed, now);
        }
        requests
    }

    /// Sends records as far as the holder takes them.
    pub fn send(&mut self, spool: &mut Spool, now: Duration) {
        let Some(holder) = &mut self.holder else { return };
        holder.send(spool);
        if holder.is_closed {
            self.part(Parting::Closed, now);
        }
    }

    fn part(&mut self, parting: Parting, now: Duration) {
        self.holder = None;
        self.custody = self.custody.parted(parting, now, self.handover);
    }
}

impl Connection {
    fn new(stream: UnixStream) -> std::io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, inbox: Vec::new(), outbox: Vec::new(), sent: 0, is_closed: false })
    }

    /// Reads what has arrived.
    fn receive(&mut self) {
        let mut buffer = [0; READ_BYTES];
        while self.inbox.len() < MAX_REQUEST_BYTES {
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    self.is_closed = true;
                    return;
                }
                Ok(count) => self.inbox.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.is_closed |= error.kind() != ErrorKind::WouldBlock;
                    return;
                }
            }
        }
        // No server says so much.
        self.is_closed = true;
    }

    /// Sends as much as the other side takes.
    fn send(&mut self, spool: &mut Spool) {
        while !self.is_closed {
            let bytes = if self.outbox.is_empty() {
                match spool.read(self.sent) {
                    Ok(bytes) => bytes,
                    // The disk has lost what the command has printed, so nobody can continue here.
                    Err(_) => {
                        self.is_closed = true;
                        return;
                    }
                }
            } else {
                &self.outbox
            };
            if bytes.is_empty() {
                return;
            }
            match self.stream.write(bytes) {
                Ok(count) if self.outbox.is_empty() => self.sent += count as u64,
                Ok(count) => drop(self.outbox.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.is_closed = true,
            }
        }
    }
}
