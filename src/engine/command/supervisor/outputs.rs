//! Reads the outputs of a command and turns them into records.

use std::os::fd::AsFd;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use super::super::handover::record::Record;
use super::super::pipe::OutputEnds;
use super::output_parser::OutputParser;
use crate::model::LogStream;
use crate::secrets::Patterns;

/// How many bytes are read at once.
const READ_BYTES: usize = 64 * 1024;

/// The most bytes that a pipe can hold, and so the most that can be unread when the last process has ended.
const MAX_PIPE_BYTES: usize = 1 << 20;

/// One output.
#[derive(Debug)]
struct OpenOutput {
    stream: LogStream,
    /// `None` after its end.
    end: Option<OwnedFd>,
    /// `None` if bytes are passed on as they are.
    parser: Option<OutputParser>,
}

/// The outputs of one command.
#[derive(Debug)]
pub struct OutputReader {
    outputs: Vec<OpenOutput>,
    secrets: Option<Arc<Patterns>>,
    is_parsed: bool,
    /// How many more bytes count. What is printed beyond is read and discarded, so that the command does not block
    /// while it is being ended.
    allowance: u64,
    /// Bytes that no record stands for yet.
    uncounted: u32,
    buffer: Vec<u8>,
}

impl OutputReader {
    /// Reads these ends, and masks these secrets. Bytes are parsed, or passed on as they are.
    pub fn new(ends: OutputEnds, secrets: Option<Arc<Patterns>>, is_parsed: bool, allowance: u64) -> Self {
        let mut reader =
            Self { outputs: Vec::new(), secrets, is_parsed, allowance, uncounted: 0, buffer: vec![0; READ_BYTES] };
        let open = |(stream, end)| OpenOutput { stream, end: Some(end), parser: reader.parser(stream) };
        reader.outputs = ends.into_iter().map(open).collect();
        reader
    }

    fn parser(&self, stream: LogStream) -> Option<OutputParser> {
        self.is_parsed.then(|| OutputParser::new(stream, self.secrets.clone()))
    }

    /// The ends that may still be read, each with its index.
    pub fn ends(&self) -> impl Iterator<Item = (usize, BorrowedFd<'_>)> {
        self.outputs.iter().enumerate().filter_map(|(index, output)| Some((index, output.end.as_ref()?.as_fd())))
    }

    /// Reads once from the output with this index.
    pub fn read(&mut self, index: usize, now: Duration, out: &mut Vec<Record>) {
        self.read_up_to(index, READ_BYTES, now, out);
    }

    /// How many bytes of output the next record stands for.
    pub fn take_count(&mut self) -> u32 {
        std::mem::take(&mut self.uncounted)
    }

    /// When to call [`Self::flush`] if nothing more is read.
    pub fn due(&self, now: Duration) -> Option<Duration> {
        self.outputs.iter().filter_map(|output| output.parser.as_ref()?.due(now)).min()
    }

    /// Returns what was held back for long enough.
    pub fn flush(&mut self, now: Duration, out: &mut Vec<Record>) {
        let parsers = self.outputs.iter_mut().filter_map(|output| output.parser.as_mut());
        parsers
            .filter(|parser| parser.due(now).is_some_and(|due| due <= now))
            .for_each(|parser| parser.flush(now, out));
    }

    /// Ends what the command itself has printed. Its background processes print on.
    pub fn end_of_command(&mut self, now: Duration, out: &mut Vec<Record>) {
        self.finish(now, out);
        out.push(Record::OutputEnded);
        for index in 0..self.outputs.len() {
            self.outputs[index].parser = self.parser(self.outputs[index].stream);
        }
    }

    /// Ends all outputs, whoever else has them open: every process of the command has ended.
    pub fn end(&mut self, now: Duration, out: &mut Vec<Record>) {
        self.finish(now, out);
        self.outputs.clear();
    }

    /// Reads what is there without waiting, and returns what was held back.
    fn finish(&mut self, now: Duration, out: &mut Vec<Record>) {
        for index in 0..self.outputs.len() {
            let mut left = MAX_PIPE_BYTES;
            while left > 0 {
                match self.read_up_to(index, left, now, out) {
                    0 => break,
                    read => left -= read,
                }
            }
            if let Some(parser) = self.outputs[index].parser.take() {
                parser.finish(out);
            }
        }
    }

    /// Reads once. Returns how many bytes that were.
    fn read_up_to(&mut self, index: usize, most: usize, now: Duration, out: &mut Vec<Record>) -> usize {
        let Some(OpenOutput { stream, end: Some(end), .. }) = self.outputs.get(index) else { return 0 };
        let (stream, most) = (*stream, most.min(READ_BYTES));
        let read = loop {
            match rustix::io::read(end, &mut self.buffer[..most]) {
                Err(Errno::INTR) => {}
                read => break read,
            }
        };
        let count = match read {
            Err(Errno::AGAIN) => return 0,
            // The last process with the pipe or terminal open has closed it.
            Ok(0) | Err(_) => {
                self.outputs[index].end = None;
                return 0;
            }
            Ok(count) => count,
        };
        let before = self.allowance;
        let taken = usize::try_from(before).unwrap_or(usize::MAX).min(count);
        self.allowance -= taken as u64;
        self.uncounted = self.uncounted.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        let bytes = &self.buffer[..taken];
        match &mut self.outputs[index].parser {
            Some(parser) => parser.push(bytes, now, out),
            None if taken > 0 => out.push(Record::Bytes { stream, bytes: bytes.to_vec() }),
            None => {}
        }
        // Told once: the server ends the command then.
        if taken < count && before > 0 {
            out.push(Record::Discarded);
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::super::pipe::{CommandStdio, open_outputs};
    use super::*;
    use crate::model::OutputMode;

    fn reader(allowance: u64) -> (OutputReader, std::fs::File) {
        let (ends, CommandStdio { stdout, .. }) = open_outputs(OutputMode::Separate).unwrap();
        (OutputReader::new(ends, None, false, allowance), stdout.into())
    }

    fn text(records: &[Record]) -> String {
        let bytes = records.iter().filter_map(|record| match record {
            Record::Bytes { bytes, .. } => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        });
        bytes.collect()
    }

    #[test]
    fn output_ends_with_its_command() {
        let (mut reader, mut writer) = reader(u64::MAX);
        let mut out = Vec::new();
        writer.write_all(b"first ").unwrap();
        reader.read(0, Duration::ZERO, &mut out);
        writer.write_all(b"second").unwrap();
        reader.end(Duration::ZERO, &mut out);
        assert_eq!((text(&out), reader.take_count(), reader.ends().count()), ("first second".into(), 12, 0));
        drop(writer);
    }

    #[test]
    fn output_flooded_by_another_process_ends() {
        let (mut reader, mut writer) = reader(u64::MAX);
        let flood = std::thread::spawn(move || while writer.write_all(&[b'x'; 4096]).is_ok() {});
        let mut out = Vec::new();
        reader.end(Duration::ZERO, &mut out);
        assert!(text(&out).len() <= MAX_PIPE_BYTES);
        flood.join().unwrap();
    }

    #[test]
    fn output_beyond_the_limit_is_read_and_discarded() {
        let (mut reader, mut writer) = reader(5);
        let mut out = Vec::new();
        for part in ["abc", "defg", "hij"] {
            writer.write_all(part.as_bytes()).unwrap();
            reader.read(0, Duration::ZERO, &mut out);
        }
        assert_eq!((text(&out), reader.take_count()), ("abcde".into(), 10));
        assert_eq!(out.iter().filter(|record| **record == Record::Discarded).count(), 1);
    }

    #[test]
    fn background_output_follows_that_of_the_command() {
        let (mut reader, mut writer) = reader(u64::MAX);
        let mut out = Vec::new();
        writer.write_all(b"own").unwrap();
        reader.end_of_command(Duration::ZERO, &mut out);
        writer.write_all(b"left").unwrap();
        reader.read(0, Duration::ZERO, &mut out);
        let place = out.iter().position(|record| *record == Record::OutputEnded).unwrap();
        assert_eq!((text(&out[..place]), text(&out[place..])), ("own".into(), "left".into()));
    }
}
