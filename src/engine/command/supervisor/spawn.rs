//! Starts a command's shell as soon as the system has the resources.

use std::io;
use std::time::{Duration, Instant};

use super::super::shortage::{FIRST_RETRY_DELAY, MAX_RETRY_DELAY, REPORT_AFTER, Transient};

/// Why nothing was started.
#[derive(Debug)]
pub(super) enum SpawnError {
    /// The error does not pass.
    Failed(io::Error),
    /// The server asked for the end, or is gone.
    Cancelled,
}

/// Who starts a command.
pub(super) trait Spawner {
    /// Reports that the command is delayed.
    fn report_delay(&mut self, error: &io::Error);

    /// Waits for so long. Returns whether the command's end was asked for in the meantime.
    fn wait_for_end(&mut self, limit: Duration) -> bool;
}

/// Calls `spawn` until it succeeds or fails with an error that does not pass. Reports a shortage once if it lasts.
pub(super) fn spawn_with_retry<T>(
    spawner: &mut impl Spawner,
    mut spawn: impl FnMut() -> io::Result<T>,
) -> Result<T, SpawnError> {
    let (began, mut wait, mut is_reported) = (Instant::now(), FIRST_RETRY_DELAY, false);
    loop {
        let error = match spawn() {
            Ok(spawned) => return Ok(spawned),
            Err(error) if error.is_transient() => error,
            Err(error) => return Err(SpawnError::Failed(error)),
        };
        if began.elapsed() >= REPORT_AFTER && !std::mem::replace(&mut is_reported, true) {
            spawner.report_delay(&error);
        }
        if spawner.wait_for_end(wait) {
            return Err(SpawnError::Cancelled);
        }
        wait = (wait * 2).min(MAX_RETRY_DELAY);
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;

    /// Counts reports, and asks for the end after so many waits.
    struct Counting {
        reports: u32,
        waits_left: u32,
    }

    impl Spawner for Counting {
        fn report_delay(&mut self, error: &io::Error) {
            assert_eq!(error.raw_os_error(), Some(Errno::EAGAIN as i32));
            self.reports += 1;
        }

        fn wait_for_end(&mut self, limit: Duration) -> bool {
            std::thread::sleep(limit);
            self.waits_left = self.waits_left.saturating_sub(1);
            self.waits_left == 0
        }
    }

    fn short() -> io::Error {
        Errno::EAGAIN.into()
    }

    #[test]
    fn spawn_waits_out_a_shortage_and_reports_it_once() {
        let (mut spawner, mut spawns) = (Counting { reports: 0, waits_left: 100 }, 0);
        let spawned = spawn_with_retry(&mut spawner, || {
            spawns += 1;
            // The delays are 50, 100, 200, 400 and 800 ms, so it is reported before the seventh attempt.
            if spawns < 7 { Err(short()) } else { Ok(spawns) }
        });
        assert_eq!((spawned.unwrap(), spawner.reports), (7, 1));
    }

    #[test]
    fn spawn_does_not_retry_a_lasting_error() {
        let mut spawner = Counting { reports: 0, waits_left: 1 };
        let spawned = spawn_with_retry(&mut spawner, || Err::<(), _>(Errno::ENOENT.into()));
        assert!(matches!(spawned, Err(SpawnError::Failed(error)) if error.kind() == io::ErrorKind::NotFound));
    }

    #[test]
    fn spawn_stops_when_the_end_is_asked_for() {
        let mut spawner = Counting { reports: 0, waits_left: 1 };
        assert!(matches!(spawn_with_retry(&mut spawner, || Err::<(), _>(short())), Err(SpawnError::Cancelled)));
    }
}
