//! How a reader connects, waits and polls.

use super::*;

/// How a reader behaves.
#[derive(Clone, Debug)]
pub struct ReaderOptions {
    /// Silence after which a stream is given up. Bytes that end no event are silence.
    pub watchdog: Duration,
    /// A stream's limit once this many connections were given up; then nothing is in the way any more.
    pub patience: (u32, Duration),
    pub version: Version,
    /// How the cursor is sent.
    pub told: CursorStyle,
    /// Polls once in so many failures.
    pub polls: u64,
    /// How many frames a poll asks for.
    pub page: u64,
    /// How many bytes are read at once.
    pub gulp: usize,
    /// Does not close an abandoned connection, but reads it later.
    pub keeps: bool,
}

/// How a reconnect sends the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorStyle {
    /// `?after=`, new each time.
    Url,
    /// `Last-Event-ID`, with the first URL, as `EventSource` does.
    Header,
}

impl ReaderOptions {
    /// A reader without anything odd about it.
    pub fn plain() -> Self {
        Self {
            watchdog: Duration::from_secs(20),
            patience: (0, Duration::from_secs(20)),
            version: Version::Http11,
            told: CursorStyle::Url,
            polls: 2,
            page: 1000,
            gulp: 16 * 1024,
            keeps: false,
        }
    }

    /// Some reader, patient after so many failures.
    pub fn any(rng: &mut Rng, failures: u32) -> Self {
        Self {
            watchdog: Duration::from_millis(rng.between(150, 500)),
            patience: (failures, Duration::from_secs(20)),
            version: *rng.pick(&[Version::Http11, Version::Http11, Version::Http11, Version::Http10]),
            told: *rng.pick(&[CursorStyle::Url, CursorStyle::Header]),
            polls: rng.between(1, 5),
            page: *rng.pick(&[1, 7, 100, 1000, 5000]),
            gulp: usize::try_from(1 << rng.between(7, 14)).unwrap(),
            keeps: rng.one_in(3),
        }
    }
}
