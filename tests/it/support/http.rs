//! HTTP/1 over a plain TCP connection: what a client sees when bytes arrive late, in pieces or not at all.
//! Distinguishes a complete response from a truncated one, which most clients hide.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Which protocol a request speaks. An answer to 1.0 ends with the connection, as many proxies have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Http10,
    Http11,
}

/// A response, read as it arrives.
pub struct Answer {
    connection: TcpStream,
    pub status: u16,
    /// Came and is not yet given.
    buffer: Vec<u8>,
    rest: Rest,
    /// Whether truncation is detectable.
    framed: bool,
    /// How much is read at once.
    gulp: usize,
}

/// The rest of the body.
#[derive(Debug, PartialEq, Eq)]
enum Rest {
    /// Everything up to the end of the connection.
    UntilClose,
    /// So many bytes.
    Length(usize),
    /// A chunk's size line.
    ChunkSize,
    /// So many bytes of a chunk, its closing CRLF included.
    Chunk(usize),
    /// The empty line behind the last chunk.
    LastLine,
    Nothing,
}

fn broken(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("broken answer: {what}"))
}

/// Asks for `path` through `via`, in the name of `host`. Returns when the answer's head is there.
pub async fn get(
    via: SocketAddr,
    host: SocketAddr,
    path: &str,
    last_event_id: Option<&str>,
    version: Version,
    gulp: usize,
) -> Result<Answer> {
    let mut connection = TcpStream::connect(via).await?;
    let version = if version == Version::Http10 { "1.0" } else { "1.1" };
    let mut request = format!("GET {path} HTTP/{version}\r\nHost: {host}\r\nConnection: close\r\n");
    if let Some(id) = last_event_id {
        request.push_str(&format!("Last-Event-ID: {id}\r\n"));
    }
    request.push_str("\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut buffer = Vec::new();
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        read(&mut connection, &mut buffer, gulp).await?;
    };
    let head = std::str::from_utf8(&buffer[..end]).map_err(|_| broken("its head is no text"))?.to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(|| broken("no status"))?;
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let rest = if status == 204 {
        Rest::Nothing
    } else if header("transfer-encoding:") == Some("chunked") {
        Rest::ChunkSize
    } else if let Some(length) = header("content-length:") {
        Rest::Length(length.parse().map_err(|_| broken("its length"))?)
    } else {
        Rest::UntilClose
    };
    buffer.drain(..end + 4);
    let framed = rest != Rest::UntilClose;
    Ok(Answer { connection, status, buffer, rest, framed, gulp })
}

async fn read(connection: &mut TcpStream, buffer: &mut Vec<u8>, gulp: usize) -> Result<()> {
    let mut bytes = [0; 16 * 1024];
    let gulp = gulp.clamp(1, bytes.len());
    match connection.read(&mut bytes[..gulp]).await? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        count => {
            buffer.extend_from_slice(&bytes[..count]);
            Ok(())
        }
    }
}

impl Answer {
    /// The next piece of the body; `None` when it has ended as it should. A cut is an error.
    ///
    /// Cancel safe.
    pub async fn piece(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            match self.rest {
                Rest::Nothing | Rest::Length(0) => return Ok(None),
                Rest::UntilClose if !self.buffer.is_empty() => return Ok(Some(std::mem::take(&mut self.buffer))),
                Rest::Length(left) if !self.buffer.is_empty() => {
                    let now = left.min(self.buffer.len());
                    self.rest = Rest::Length(left - now);
                    return Ok(Some(self.buffer.drain(..now).collect()));
                }
                Rest::ChunkSize => {
                    if let Some(line) = self.line() {
                        let size =
                            std::str::from_utf8(&line).ok().and_then(|line| usize::from_str_radix(line, 16).ok());
                        let size = size.ok_or_else(|| broken("a chunk's size"))?;
                        self.rest = if size == 0 { Rest::LastLine } else { Rest::Chunk(size + 2) };
                        continue;
                    }
                }
                Rest::Chunk(left) if !self.buffer.is_empty() => {
                    let now = left.min(self.buffer.len());
                    let mut bytes: Vec<u8> = self.buffer.drain(..now).collect();
                    // The last two are the chunk's CRLF.
                    bytes.truncate(left.saturating_sub(2));
                    self.rest = if now == left { Rest::ChunkSize } else { Rest::Chunk(left - now) };
                    if !bytes.is_empty() {
                        return Ok(Some(bytes));
                    }
                    continue;
                }
                Rest::LastLine => {
                    if self.line().is_some() {
                        self.rest = Rest::Nothing;
                        continue;
                    }
                }
                Rest::UntilClose | Rest::Length(_) | Rest::Chunk(_) => {}
            }
            match read(&mut self.connection, &mut self.buffer, self.gulp).await {
                Err(error) if self.rest == Rest::UntilClose && error.kind() == ErrorKind::UnexpectedEof => {
                    self.rest = Rest::Nothing;
                }
                read => read?,
            }
        }
    }

    /// Whether truncation is detectable.
    pub fn ends_visibly(&self) -> bool {
        self.framed
    }

    /// The whole body, as text.
    pub async fn text(mut self) -> Result<String> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece().await? {
            body.extend(piece);
        }
        String::from_utf8(body).map_err(|_| broken("its body is no text"))
    }

    fn line(&mut self) -> Option<Vec<u8>> {
        let end = self.buffer.windows(2).position(|two| two == b"\r\n")?;
        let line = self.buffer.drain(..end + 2).take(end).collect();
        Some(line)
    }
}
