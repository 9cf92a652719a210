//! Starts a command's shell as soon as the system has the resources.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::shortage::{FIRST_SHORTAGE_RETRY_DELAY, MAX_SHORTAGE_RETRY_DELAY, REPORT_SHORTAGE_AFTER, Transient};

/// Why nothing was started.
#[derive(Debug)]
pub(super) enum SpawnError {
    /// The error does not pass.
    Failed(io::Error),
    /// The server asked for the end, or is gone.
    Cancelled,
}

/// Calls `spawn` until it succeeds or fails with an error that does not pass. Calls `report` once if a shortage lasts.
///
/// Any message from the server during a shortage asks for the end: none other makes sense then.
pub(super) fn spawn_with_retry<T>(
    pipe: &mut UnixStream,
    mut spawn: impl FnMut() -> io::Result<T>,
    report: impl FnOnce(&mut UnixStream, &io::Error),
) -> Result<T, SpawnError> {
    let (began, mut wait, mut report) = (Instant::now(), FIRST_SHORTAGE_RETRY_DELAY, Some(report));
    loop {
        let error = match spawn() {
            Ok(spawned) => return Ok(spawned),
            Err(error) if error.is_transient() => error,
            Err(error) => return Err(SpawnError::Failed(error)),
        };
        if began.elapsed() >= REPORT_SHORTAGE_AFTER
            && let Some(report) = report.take()
        {
            report(pipe, &error);
        }
        if has_message(pipe, wait) {
            return Err(SpawnError::Cancelled);
        }
        wait = (wait * 2).min(MAX_SHORTAGE_RETRY_DELAY);
    }
}

/// Waits for a message from the server or the end of the pipe. Returns whether either came in time.
fn has_message(pipe: &mut UnixStream, limit: Duration) -> bool {
    let timeout = Timespec::try_from(limit).ok();
    let mut waits = [PollFd::new(pipe, PollFlags::IN)];
    // After EINTR the spawn is retried a little early.
    let is_ready = poll(&mut waits, timeout.as_ref()).is_ok_and(|ready| ready > 0);
    is_ready && !matches!(pipe.read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use nix::errno::Errno;

    use super::*;

    fn short() -> io::Error {
        Errno::EAGAIN.into()
    }

    #[test]
    fn spawn_waits_out_a_shortage_and_reports_it_once() {
        let (mut pipe, _server) = UnixStream::pair().unwrap();
        let (mut spawns, mut reports) = (0, 0);
        let spawn = || {
            spawns += 1;
            // The delays are 50, 100, 200, 400 and 800 ms, so it is reported before the seventh attempt.
            if spawns < 7 { Err(short()) } else { Ok(spawns) }
        };
        let spawned = spawn_with_retry(&mut pipe, spawn, |_, error| {
            reports += 1;
            assert_eq!(error.raw_os_error(), Some(Errno::EAGAIN as i32));
        });
        assert_eq!((spawned.unwrap(), reports), (7, 1));
    }

    #[test]
    fn spawn_does_not_retry_a_lasting_error() {
        let (mut pipe, _server) = UnixStream::pair().unwrap();
        let spawned = spawn_with_retry(&mut pipe, || Err::<(), _>(Errno::ENOENT.into()), |_, _| {});
        assert!(matches!(spawned, Err(SpawnError::Failed(error)) if error.kind() == io::ErrorKind::NotFound));
    }

    #[test]
    fn spawn_stops_when_the_server_sends_or_closes() {
        let (mut pipe, mut server) = UnixStream::pair().unwrap();
        server.write_all(b"t").unwrap();
        let spawned = spawn_with_retry(&mut pipe, || Err::<(), _>(short()), |_, _| {});
        assert!(matches!(spawned, Err(SpawnError::Cancelled)));
        drop(server);
        let spawned = spawn_with_retry(&mut pipe, || Err::<(), _>(short()), |_, _| {});
        assert!(matches!(spawned, Err(SpawnError::Cancelled)));
    }
}
