//! Turns the bytes of one output into records: masks secrets, and reads rows and reports as a terminal would. Pure:
//! times are durations since any moment.

use std::sync::Arc;
use std::time::Duration;

use super::super::handover::record::Record;
use super::super::output_masker::{OutputMasker, ReportMasker};
use crate::model::{FramePayload, Log, LogStream};
use crate::secrets::Patterns;
use crate::terminal::{Event, Lines};

/// How long an unfinished line is held back.
const PARTIAL_LINE_DELAY: Duration = Duration::from_millis(200);

/// The least time between two redraws.
const REDRAW_INTERVAL: Duration = Duration::from_secs(1);

/// About how many bytes of redraws are reported per [`REDRAW_INTERVAL`]. Long rows are redrawn less often.
const REDRAW_BYTES_PER_INTERVAL: usize = 4096;

/// The most time between two redraws.
const MAX_REDRAW_INTERVAL: Duration = Duration::from_secs(4);

/// The parser of one output.
#[derive(Debug)]
pub struct OutputParser {
    stream: LogStream,
    masker: OutputMasker,
    report_masker: ReportMasker,
    lines: Lines,
    events: Vec<Event>,
    /// Since when an unfinished line is held back.
    held_since: Option<Duration>,
    /// No row is redrawn before this moment.
    next_redraw: Option<Duration>,
}

impl OutputParser {
    /// The parser of an output in which these secrets are masked.
    pub fn new(stream: LogStream, secrets: Option<Arc<Patterns>>) -> Self {
        Self {
            stream,
            masker: OutputMasker::new(secrets.clone()),
            report_masker: ReportMasker::new(secrets),
            lines: Lines::new(stream.may_report()),
            events: Vec::new(),
            held_since: None,
            next_redraw: None,
        }
    }

    /// Takes bytes that were read now.
    pub fn push(&mut self, bytes: &[u8], now: Duration, out: &mut Vec<Record>) {
        self.lines.push(self.masker.push(bytes), &mut self.events);
        // Without an event, what is held back is older than this read.
        let since = self.held_since.filter(|_| self.events.is_empty());
        let is_held = self.lines.has_new() || self.masker.has_held_bytes() || self.report_masker.has_held_bytes();
        self.held_since = is_held.then(|| since.unwrap_or(now));
        self.flush(now, out);
    }

    /// When to call [`Self::flush`] if nothing more is read.
    pub fn due(&self, now: Duration) -> Option<Duration> {
        let held = self.held_since.map(|since| since + PARTIAL_LINE_DELAY);
        let redraw = self.lines.has_redraws().then(|| self.next_redraw.unwrap_or(now));
        held.into_iter().chain(redraw).min()
    }

    /// Returns what was held back for long enough.
    pub fn flush(&mut self, now: Duration, out: &mut Vec<Record>) {
        let before = self.events.len();
        let is_paused = self.held_since.is_some_and(|since| since + PARTIAL_LINE_DELAY <= now);
        if is_paused {
            self.held_since = None;
            self.lines.push(self.masker.flush(), &mut self.events);
            self.lines.flush(&mut self.events);
        }
        if self.lines.has_redraws() && self.next_redraw.is_none_or(|next| next <= now) {
            self.lines.redraw(&mut self.events);
        }
        if self.events.len() > before {
            let size = self.events[before..].iter().map(Event::size).sum::<usize>();
            let wait = REDRAW_INTERVAL.mul_f64((size as f64 / REDRAW_BYTES_PER_INTERVAL as f64).max(1.0));
            self.next_redraw = Some(now + wait.min(MAX_REDRAW_INTERVAL));
        }
        self.report(out);
        if is_paused {
            out.extend(self.report_masker.flush().map(frame));
        } else if self.report_masker.has_held_bytes() {
            self.held_since.get_or_insert(now);
        }
    }

    /// Returns the rest at the end of the output.
    pub fn finish(mut self, out: &mut Vec<Record>) {
        self.lines.push(self.masker.finish(), &mut self.events);
        std::mem::replace(&mut self.lines, Lines::new(false)).finish(&mut self.events);
        self.report(out);
        out.extend(self.report_masker.finish().map(frame));
    }

    fn report(&mut self, out: &mut Vec<Record>) {
        let stream = self.stream;
        for event in self.events.drain(..) {
            match event {
                Event::Row { text, cont } => {
                    let log = FramePayload::Log(Log { stream, line: text, cont, replaces: None });
                    out.push(Record::Row { stream, data: log.data() });
                }
                Event::Redraw { row, text, cont } => out.push(Record::Redraw { stream, row, text, cont }),
                Event::Report(line) => match FramePayload::parse_report(&line) {
                    // Only the server knows whether there is room for the value.
                    Some(FramePayload::Output(_)) => {
                        out.extend(self.report_masker.flush().map(frame));
                        out.push(Record::Output { stream, line });
                    }
                    Some(payload) => out.extend(self.report_masker.push(payload).into_iter().map(frame)),
                    None => {}
                },
            }
        }
    }
}

fn frame(payload: FramePayload) -> Record {
    Record::Frame { kind: payload.kind().to_owned(), data: payload.data() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn row(line: &str) -> Record {
        Record::Row { stream: LogStream::Output, data: format!("{{\"stream\":\"output\",\"line\":\"{line}\"}}") }
    }

    fn pushed(parser: &mut OutputParser, text: &str, now: Duration) -> Vec<Record> {
        let mut out = Vec::new();
        parser.push(text.as_bytes(), now, &mut out);
        out
    }

    #[test]
    fn unfinished_line_is_held_back_for_a_moment() {
        let mut parser = OutputParser::new(LogStream::Output, None);
        assert_eq!(pushed(&mut parser, "one\ntw", ms(1000)), [row("one")]);
        assert_eq!(parser.due(ms(1000)), Some(ms(1200)));
        assert_eq!(pushed(&mut parser, "o", ms(1100)), []);
        // Without a new line it is as old as its first byte.
        assert_eq!(parser.due(ms(1100)), Some(ms(1200)));
        let mut out = Vec::new();
        parser.flush(ms(1200), &mut out);
        assert_eq!((out, parser.due(ms(1200))), (vec![row("two")], None));
    }

    #[test]
    fn redraws_are_reported_at_intervals_and_at_the_end() {
        let mut parser = OutputParser::new(LogStream::Output, None);
        let redraw = |text: &str| Record::Redraw { stream: LogStream::Output, row: 0, text: text.into(), cont: false };
        let mut out = Vec::new();
        parser.push(b"10%", ms(0), &mut out);
        parser.flush(ms(200), &mut out);
        parser.push(b"\r20%", ms(300), &mut out);
        assert_eq!(out, [row("10%")]);
        assert_eq!(parser.due(ms(300)), Some(ms(1200)));
        parser.flush(ms(1200), &mut out);
        parser.push(b"\r30%", ms(1300), &mut out);
        parser.finish(&mut out);
        assert_eq!(out, [row("10%"), redraw("20%"), redraw("30%")]);
    }

    #[test]
    fn secret_in_pieces_is_masked_and_outputs_are_left_to_the_server() {
        let secrets = Arc::new(Patterns::new(["hunter-22"]));
        let mut parser = OutputParser::new(LogStream::Output, Some(secrets));
        let mut out = pushed(&mut parser, "a hunt", ms(0));
        out.extend(pushed(&mut parser, "er-22 b\n::output x=hunter-22\n", ms(1)));
        parser.finish(&mut out);
        let output = Record::Output { stream: LogStream::Output, line: "::output x=***".into() };
        assert_eq!(out, [row("a *** b"), output]);
    }
}
