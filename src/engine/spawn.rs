//! Starts a command's shell, as soon as the system has a process to spare.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::shortage::{FIRST_WAIT, LONGEST_WAIT, TELL_AFTER, Transient};

/// Why nothing was started.
#[derive(Debug)]
pub(super) enum SpawnError {
    /// The system refuses for good.
    Failed(io::Error),
    /// The server asked for the end, or went away.
    Cancelled,
}

/// Calls `spawn` until it succeeds or fails for good. `tell` is called once, when a shortage has lasted for a while.
///
/// Any word from the server during a shortage asks for the end: there is nothing else that it could want.
pub(super) fn spawn_with_retry<T>(
    pipe: &mut UnixStream,
    mut spawn: impl FnMut() -> io::Result<T>,
    tell: impl FnOnce(&mut UnixStream, &io::Error),
) -> Result<T, SpawnError> {
    let (began, mut wait, mut tell) = (Instant::now(), FIRST_WAIT, Some(tell));
    loop {
        let error = match spawn() {
            Ok(spawned) => return Ok(spawned),
            Err(error) if error.is_transient() => error,
            Err(error) => return Err(SpawnError::Failed(error)),
        };
        if began.elapsed() >= TELL_AFTER
            && let Some(tell) = tell.take()
        {
            tell(pipe, &error);
        }
        if is_spoken_to(pipe, wait) {
            return Err(SpawnError::Cancelled);
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Waits for a word from the server, or for its end. Whether either came in this time.
fn is_spoken_to(pipe: &mut UnixStream, limit: Duration) -> bool {
    let timeout = Timespec::try_from(limit).ok();
    let mut waits = [PollFd::new(pipe, PollFlags::IN)];
    // Interrupted, it is tried again a little early.
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
    fn shortage_is_waited_for_and_told_once() {
        let (mut pipe, _server) = UnixStream::pair().unwrap();
        let (mut tries, mut told) = (0, 0);
        let spawn = || {
            tries += 1;
            // 50, 100, 200, 400, 800 ms: told of before the seventh.
            if tries < 7 { Err(short()) } else { Ok(tries) }
        };
        let spawned = spawn_with_retry(&mut pipe, spawn, |_, error| {
            told += 1;
            assert_eq!(error.raw_os_error(), Some(Errno::EAGAIN as i32));
        });
        assert_eq!((spawned.unwrap(), told), (7, 1));
    }

    #[test]
    fn lasting_error_is_not_waited_for() {
        let (mut pipe, _server) = UnixStream::pair().unwrap();
        let spawned = spawn_with_retry(&mut pipe, || Err::<(), _>(Errno::ENOENT.into()), |_, _| {});
        assert!(matches!(spawned, Err(SpawnError::Failed(error)) if error.kind() == io::ErrorKind::NotFound));
    }

    #[test]
    fn server_that_speaks_or_goes_away_ends_the_wait() {
        let (mut pipe, mut server) = UnixStream::pair().unwrap();
        server.write_all(b"t").unwrap();
        let spawned = spawn_with_retry(&mut pipe, || Err::<(), _>(short()), |_, _| {});
        assert!(matches!(spawned, Err(SpawnError::Cancelled)));
        drop(server);
        let spawned = spawn_with_retry(&mut pipe, || Err::<(), _>(short()), |_, _| {});
        assert!(matches!(spawned, Err(SpawnError::Cancelled)));
    }
}
