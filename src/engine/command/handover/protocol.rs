//! The messages between a server and a supervisor: lines of JSON, one message each. Pure.
//!
//! A field or message that is not known is skipped, so each side may be of another version. What cannot be skipped
//! raises [`VERSION`].

use serde::{Deserialize, Serialize};

use crate::engine::command::report::SupervisorReport;

/// The version that this program speaks as a supervisor. As a server it speaks all up to this one.
pub const VERSION: u32 = 1;

/// The longest message of a server: its secrets are in the first one.
pub const MAX_REQUEST_BYTES: usize = 16 << 20;

/// The longest answer of a supervisor.
pub const MAX_ANSWER_BYTES: usize = 1 << 20;

/// A message of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// The first message of a connection.
    Hello(Hello),
    /// Starts the command, unless that is done.
    Begin,
    /// The records before this offset are journaled.
    Ack(u64),
    /// Send SIGTERM to all processes.
    Terminate,
    /// Send SIGKILL to all processes.
    Kill,
    /// The command is not needed any more: whatever is left of it ends.
    End,
    /// A message of a later version.
    #[serde(skip)]
    Unknown,
}

/// Who wants to hold the supervisor.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The highest version that the server speaks.
    pub version: u32,
    /// The number of the server's claim. A supervisor is held by the highest one.
    pub token: i64,
    /// Where to send records from.
    pub offset: u64,
    /// How long to wait for the next server, from now on.
    pub handover_ms: u64,
    /// The folder of the sockets, as the server sees it. Another path means that the data folder was moved.
    #[serde(default)]
    pub folder: String,
    /// The texts to mask. Only in the first message of the server that starts the command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

/// Does not reveal the secrets.
impl std::fmt::Debug for Hello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { version, token, offset, handover_ms, folder, secrets } = self;
        let secrets = secrets.len();
        write!(f, "Hello {{ {version}, {token}, {offset}, {handover_ms} ms, {folder:?}, {secrets} secrets }}")
    }
}

/// The answer of a supervisor to [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The server holds the supervisor. Records follow.
    Welcome(Welcome),
    /// It does not, for this reason.
    Refused(Refusal),
    /// The supervisor could not be set up.
    Failed(String),
}

/// What a server must know of a command that it takes over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version of what follows.
    pub version: u32,
    /// How long the command has run, if it has begun.
    pub begun_ms: Option<u64>,
    /// The events before the offset.
    #[serde(default)]
    pub events: Vec<SupervisorReport>,
    /// The offset after which background processes print, if that is reached.
    #[serde(default)]
    pub output_ended: Option<u64>,
}

/// Why a server may not hold a supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The server is older than the supervisor.
    Version,
    /// A server with a later claim holds it.
    Token,
    /// The data folder was moved.
    Moved,
    /// The records at the offset are gone.
    Offset,
    /// A reason of a later version.
    #[serde(other)]
    Unknown,
}

/// Whether a supervisor accepts a server.
///
/// # Errors
/// Why it does not.
pub fn check_hello(
    hello: &Hello,
    held_by: i64,
    folder: &str,
    kept: std::ops::RangeInclusive<u64>,
) -> Result<(), Refusal> {
    if hello.version < VERSION {
        return Err(Refusal::Version);
    }
    if hello.token <= held_by {
        return Err(Refusal::Token);
    }
    if hello.folder != folder {
        return Err(Refusal::Moved);
    }
    if kept.contains(&hello.offset) { Ok(()) } else { Err(Refusal::Offset) }
}

/// A message as a line.
pub fn line(message: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Takes the next message of a server from the front of `buffer`; `None` if it is incomplete. A line that cannot be
/// read is [`Request::Unknown`].
pub fn next_request(buffer: &mut Vec<u8>) -> Option<Request> {
    let end = memchr::memchr(b'\n', buffer)?;
    let request = serde_json::from_slice(&buffer[..end]).unwrap_or(Request::Unknown);
    buffer.drain(..=end);
    Some(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello { version: VERSION, token: 2, offset: 10, folder: "/d".into(), ..Hello::default() }
    }

    #[test]
    fn requests_are_read_as_written_in_any_pieces() {
        let requests = [
            Request::Hello(Hello { secrets: vec!["a\nb".into()], ..hello() }),
            Request::Begin,
            Request::Ack(7),
            Request::Terminate,
            Request::Kill,
            Request::End,
        ];
        let bytes: Vec<u8> = requests.iter().flat_map(line).collect();
        for cut in 0..bytes.len() {
            let (mut buffer, mut read) = (bytes[..cut].to_vec(), Vec::new());
            read.extend(std::iter::from_fn(|| next_request(&mut buffer)));
            buffer.extend_from_slice(&bytes[cut..]);
            read.extend(std::iter::from_fn(|| next_request(&mut buffer)));
            assert_eq!(read, requests);
        }
    }

    #[test]
    fn request_of_a_later_version_is_skipped() {
        for text in ["\"pause\"\n", "{\"pause\":{\"ms\":1}}\n", "garbage\n"] {
            assert_eq!(next_request(&mut text.as_bytes().to_vec()), Some(Request::Unknown), "{text}");
        }
        let later = b"{\"hello\":{\"version\":9,\"token\":3,\"offset\":0,\"handover_ms\":5,\"colour\":\"red\"}}\n";
        let Some(Request::Hello(hello)) = next_request(&mut later.to_vec()) else { panic!("it is a hello") };
        assert_eq!((hello.version, hello.token), (9, 3));
        let refused: Answer = serde_json::from_str("{\"refused\":\"mood\"}").unwrap();
        assert_eq!(refused, Answer::Refused(Refusal::Unknown));
    }

    /// Version 1 of the protocol: supervisors of this version understand these lines for ever.
    #[test]
    fn request_lines_of_version_1_stay() {
        let written = |request: &Request| String::from_utf8(line(request)).unwrap();
        assert_eq!(
            written(&Request::Hello(hello())),
            "{\"hello\":{\"version\":1,\"token\":2,\"offset\":10,\"handover_ms\":0,\"folder\":\"/d\"}}\n"
        );
        assert_eq!(
            (written(&Request::Begin), written(&Request::Ack(3))),
            ("\"begin\"\n".into(), "{\"ack\":3}\n".into())
        );
    }

    #[test]
    fn supervisor_accepts_a_newer_server_with_a_later_claim_only() {
        let check = |hello: Hello| check_hello(&hello, 1, "/d", 5..=20);
        assert_eq!(check(hello()), Ok(()));
        assert_eq!(check(Hello { version: VERSION + 1, ..hello() }), Ok(()));
        assert_eq!(check(Hello { version: VERSION - 1, ..hello() }), Err(Refusal::Version));
        assert_eq!(check(Hello { token: 1, ..hello() }), Err(Refusal::Token));
        assert_eq!(check(Hello { folder: "/e".into(), ..hello() }), Err(Refusal::Moved));
        assert_eq!(check(Hello { offset: 4, ..hello() }), Err(Refusal::Offset));
        assert_eq!(check(Hello { offset: 21, ..hello() }), Err(Refusal::Offset));
    }
}
