//! Records: what a supervisor reports of its command, in order. The spool keeps them as bytes, and the offset after
//! each is where a server may continue.
//!
//! A record is its length (4 bytes, little endian, of all that follows), its tag (1), when it was made (8, milliseconds
//! of uptime), the bytes of output that it stands for (4), and its content.

use crate::engine::command::report::SupervisorReport;
use crate::model::LogStream;

/// The bytes before the tag.
const LENGTH_BYTES: usize = 4;

/// The bytes between the length and the content.
const HEADER_BYTES: usize = 1 + 8 + 4;

/// No record is longer. Reports have at most 4 MiB, and JSON may spell a byte with six.
pub const MAX_RECORD_BYTES: usize = 32 << 20;

/// What a supervisor reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The next row of an output: the data of its `log` frame.
    Row { stream: LogStream, data: String },
    /// The new state of a row of an output, by its number.
    Redraw { stream: LogStream, row: u64, text: String, cont: bool },
    /// A frame that the command has reported.
    Frame { kind: String, data: String },
    /// A value for later phases, as the line that reports it.
    Output { stream: LogStream, line: String },
    /// Bytes that are not parsed.
    Bytes { stream: LogStream, bytes: Vec<u8> },
    /// Output that was discarded: it is beyond the limit of the attempt.
    Discarded,
    /// The command's own outputs have ended. What follows is printed by processes that it left in the background.
    OutputEnded,
    /// An event of the command.
    Event(SupervisorReport),
    /// The command and everything it started has ended. The last record.
    Finished,
    /// A record of a later version.
    Unknown,
}

/// A record, and what is known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedRecord {
    pub record: Record,
    /// When it was made, in milliseconds of uptime (`CLOCK_BOOTTIME`).
    pub uptime_ms: i64,
    /// The bytes of output read since the record before.
    pub output_bytes: u32,
    /// The offset after it.
    pub end: u64,
}

/// The bytes are no records.
#[derive(Debug, thiserror::Error)]
#[error("a supervisor sent a record that cannot be read")]
pub struct BadRecord;

const fn stream_code(stream: LogStream) -> u8 {
    match stream {
        LogStream::Stdout => 1,
        LogStream::Stderr => 2,
        LogStream::Output => 3,
    }
}

const fn stream_of(code: u8) -> LogStream {
    match code {
        1 => LogStream::Stdout,
        2 => LogStream::Stderr,
        _ => LogStream::Output,
    }
}

impl Record {
    /// Appends the record's bytes.
    pub fn encode(&self, uptime_ms: i64, output_bytes: u32, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; LENGTH_BYTES]);
        out.push(self.tag());
        out.extend_from_slice(&uptime_ms.to_le_bytes());
        out.extend_from_slice(&output_bytes.to_le_bytes());
        match self {
            Self::Row { stream, data } => {
                out.push(stream_code(*stream));
                out.extend_from_slice(data.as_bytes());
            }
            Self::Redraw { stream, row, text, cont } => {
                out.extend_from_slice(&[stream_code(*stream), u8::from(*cont)]);
                out.extend_from_slice(&row.to_le_bytes());
                out.extend_from_slice(text.as_bytes());
            }
            Self::Frame { kind, data } => {
                out.push(u8::try_from(kind.len()).unwrap_or(0));
                out.extend_from_slice(kind.as_bytes());
                out.extend_from_slice(data.as_bytes());
            }
            Self::Output { stream, line } => {
                out.push(stream_code(*stream));
                out.extend_from_slice(line.as_bytes());
            }
            Self::Bytes { stream, bytes } => {
                out.push(stream_code(*stream));
                out.extend_from_slice(bytes);
            }
            Self::Event(report) => out.extend(serde_json::to_vec(report).unwrap_or_default()),
            Self::Discarded | Self::OutputEnded | Self::Finished | Self::Unknown => {}
        }
        let length = u32::try_from(out.len() - start - LENGTH_BYTES).unwrap_or(u32::MAX);
        out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    }

    const fn tag(&self) -> u8 {
        match self {
            Self::Row { .. } => b'r',
            Self::Redraw { .. } => b'd',
            Self::Frame { .. } => b'f',
            Self::Output { .. } => b'o',
            Self::Bytes { .. } => b'b',
            Self::Discarded => b'x',
            Self::OutputEnded => b'e',
            Self::Event(_) => b'v',
            Self::Finished => b'.',
            Self::Unknown => b'?',
        }
    }
}

/// Takes one record from the front of `bytes`, which begin at the offset `at`. Returns it with its length in bytes;
/// `None` if it is incomplete.
///
/// # Errors
/// [`BadRecord`].
pub fn decode(bytes: &[u8], at: u64) -> Result<Option<(TimedRecord, usize)>, BadRecord> {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = u32::from_le_bytes(*length) as usize;
    if !(HEADER_BYTES..=MAX_RECORD_BYTES).contains(&length) {
        return Err(BadRecord);
    }
    let Some(body) = rest.get(..length) else { return Ok(None) };
    let (tag, body) = body.split_first().ok_or(BadRecord)?;
    let (uptime_ms, body) = body.split_first_chunk::<8>().ok_or(BadRecord)?;
    let (output_bytes, content) = body.split_first_chunk::<4>().ok_or(BadRecord)?;
    let record = decode_content(*tag, content)?;
    let (uptime_ms, output_bytes) = (i64::from_le_bytes(*uptime_ms), u32::from_le_bytes(*output_bytes));
    let size = LENGTH_BYTES + length;
    Ok(Some((TimedRecord { record, uptime_ms, output_bytes, end: at + size as u64 }, size)))
}

fn decode_content(tag: u8, content: &[u8]) -> Result<Record, BadRecord> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| BadRecord);
    let of_stream = || content.split_first().map(|(code, rest)| (stream_of(*code), rest)).ok_or(BadRecord);
    Ok(match tag {
        b'r' => {
            let (stream, data) = of_stream()?;
            Record::Row { stream, data: text(data)? }
        }
        b'd' => {
            let (stream, rest) = of_stream()?;
            let (cont, rest) = rest.split_first().ok_or(BadRecord)?;
            let (row, rest) = rest.split_first_chunk::<8>().ok_or(BadRecord)?;
            Record::Redraw { stream, row: u64::from_le_bytes(*row), text: text(rest)?, cont: *cont != 0 }
        }
        b'f' => {
            let (length, rest) = content.split_first().ok_or(BadRecord)?;
            let (kind, data) = rest.split_at_checked(usize::from(*length)).ok_or(BadRecord)?;
            Record::Frame { kind: text(kind)?, data: text(data)? }
        }
        b'o' => {
            let (stream, line) = of_stream()?;
            Record::Output { stream, line: text(line)? }
        }
        b'b' => {
            let (stream, bytes) = of_stream()?;
            Record::Bytes { stream, bytes: bytes.to_vec() }
        }
        b'x' => Record::Discarded,
        b'e' => Record::OutputEnded,
        // An event of a later version is skipped.
        b'v' => serde_json::from_slice(content).map_or(Record::Unknown, Record::Event),
        b'.' => Record::Finished,
        _ => Record::Unknown,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::command::report::Exit;

    fn record() -> impl Strategy<Value = Record> {
        let stream = || prop_oneof![Just(LogStream::Stdout), Just(LogStream::Stderr), Just(LogStream::Output)];
        prop_oneof![
            (stream(), any::<String>()).prop_map(|(stream, data)| Record::Row { stream, data }),
            (stream(), any::<u64>(), any::<String>(), any::<bool>())
                .prop_map(|(stream, row, text, cont)| Record::Redraw { stream, row, text, cont }),
            ("[a-z_]{1,12}", any::<String>()).prop_map(|(kind, data)| Record::Frame { kind, data }),
            (stream(), any::<String>()).prop_map(|(stream, line)| Record::Output { stream, line }),
            (stream(), any::<Vec<u8>>()).prop_map(|(stream, bytes)| Record::Bytes { stream, bytes }),
            Just(Record::Discarded),
            Just(Record::OutputEnded),
            any::<i32>().prop_map(|code| Record::Event(SupervisorReport::Exited(Exit::with_code(code)))),
            Just(Record::Finished),
        ]
    }

    proptest! {
        #[test]
        fn records_are_read_as_written(
            records in prop::collection::vec((record(), any::<i64>(), any::<u32>()), 0..8),
            at in 0..u64::MAX / 2,
        ) {
            let mut bytes = Vec::new();
            records.iter().for_each(|(record, uptime, output)| record.encode(*uptime, *output, &mut bytes));
            let (mut rest, mut at) = (&bytes[..], at);
            for (record, uptime_ms, output_bytes) in records {
                let (read, size) = decode(rest, at).unwrap().unwrap();
                prop_assert!(decode(&rest[..size - 1], at).unwrap().is_none());
                (rest, at) = (&rest[size..], at + size as u64);
                prop_assert_eq!(read, TimedRecord { record, uptime_ms, output_bytes, end: at });
            }
            prop_assert!(rest.is_empty() && decode(rest, at).unwrap().is_none());
        }

        #[test]
        fn records_of_any_bytes_do_not_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes, 0);
        }
    }

    #[test]
    fn record_of_a_later_version_is_skipped() {
        let mut bytes = Vec::new();
        Record::Unknown.encode(1, 2, &mut bytes);
        assert_eq!(decode(&bytes, 0).unwrap().unwrap().0.record, Record::Unknown);
        bytes[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(decode(&bytes, 0).is_err());
    }

    /// Version 1 of the protocol: servers of later versions read these bytes.
    #[test]
    fn record_bytes_of_version_1_stay() {
        let mut bytes = Vec::new();
        Record::Redraw { stream: LogStream::Stderr, row: 258, text: "é".into(), cont: true }.encode(5, 6, &mut bytes);
        let expected = [25, 0, 0, 0, b'd', 5, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 2, 1, 2, 1, 0, 0, 0, 0, 0, 0, 195, 169];
        assert_eq!(bytes, expected);
    }
}
