//! The pipes and pseudo-terminals that commands print to.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll, ready};

use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, OutputModes, Winsize, tcgetattr, tcsetattr, tcsetwinsize};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe::Receiver;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::launcher::{Output, Outputs};
use crate::model::{LogStream, OutputMode};

/// The size of every pseudo-terminal in characters. It has as many rows as the screen that interprets the output. It is
/// fixed, so that a command prints the same lines each time.
pub const TERMINAL_SIZE: (u16, u16) = (120, crate::terminal::ROWS as u16);

/// The value of `TERM` for commands on a pseudo-terminal.
pub const TERMINAL_TYPE: &str = "xterm-256color";

/// The ends that the command gets.
pub struct CommandStdio {
    pub(super) stdout: Stdio,
    pub(super) stderr: Stdio,
}

/// A second handle on an output, for processes that the command leaves in the background.
pub struct LeftoverOutput {
    stream: LogStream,
    end: OwnedFd,
}

impl LeftoverOutput {
    /// Opens the output. It ends at the latest when `ended` is cancelled.
    ///
    /// # Errors
    /// No file descriptors are left.
    pub fn open(self, ended: &CancellationToken) -> io::Result<(LogStream, Output)> {
        Ok((self.stream, Box::new(OutputPipe::new(self.end, ended)?)))
    }
}

/// Creates the outputs of one command: the ends to read, which end at the latest when `ended` is cancelled; a second
/// set of them if the command may leave processes in the background; and the ends for the command.
///
/// # Errors
/// No file descriptors or pseudo-terminals are left.
pub fn open_outputs(
    mode: OutputMode,
    background: bool,
    ended: &CancellationToken,
) -> io::Result<(Outputs, Vec<LeftoverOutput>, CommandStdio)> {
    let (readers, ends) = match mode {
        OutputMode::Merged => {
            let (reader, writer) = io::pipe()?;
            let ends = CommandStdio { stdout: writer.try_clone()?.into(), stderr: writer.into() };
            (vec![(LogStream::Output, OwnedFd::from(reader))], ends)
        }
        OutputMode::Separate => {
            let ((out, stdout), (err, stderr)) = (io::pipe()?, io::pipe()?);
            let readers = vec![(LogStream::Stdout, out.into()), (LogStream::Stderr, err.into())];
            (readers, CommandStdio { stdout: stdout.into(), stderr: stderr.into() })
        }
        OutputMode::Tty => {
            let (master, terminal) = open_terminal()?;
            let ends = CommandStdio { stdout: terminal.try_clone()?.into(), stderr: terminal.into() };
            (vec![(LogStream::Output, master)], ends)
        }
    };
    let (mut outputs, mut left): (Outputs, _) = (Vec::new(), Vec::new());
    for (stream, end) in readers {
        if background {
            left.push(LeftoverOutput { stream, end: end.try_clone()? });
        }
        outputs.push((stream, Box::new(OutputPipe::new(end, ended)?)));
    }
    Ok((outputs, left, ends))
}

/// Opens a pseudo-terminal of the fixed size. Returns its master and its terminal side.
fn open_terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    // Close-on-exec: another command started at the same time must not inherit a descriptor, since the output would not
    // end before that command.
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let terminal = open(ptsname(&master, Vec::new())?, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    let (columns, rows) = TERMINAL_SIZE;
    tcsetwinsize(&terminal, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?;
    let mut modes = tcgetattr(&terminal)?;
    // Without ONLCR a line feed is not preceded by a carriage return that the command did not print.
    modes.output_modes.remove(OutputModes::ONLCR);
    tcsetattr(&terminal, OptionalActions::Now, &modes)?;
    Ok((master, terminal))
}

/// The most bytes that a pipe can hold, and so the most that can be unread when the last process has ended.
const MAX_PIPE_BYTES: usize = 1 << 20;

/// The read end of an output. It ends with its last writer. Once `ended` is cancelled, all processes of the command
/// have ended, and it ends as soon as it is empty, whoever else has it open.
struct OutputPipe {
    pipe: Receiver,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    /// How many bytes may still be read after `ended`.
    rest: Option<usize>,
}

impl OutputPipe {
    fn new(end: OwnedFd, ended: &CancellationToken) -> io::Result<Self> {
        fcntl_setfl(&end, fcntl_getfl(&end)? | OFlags::NONBLOCK)?;
        // The master of a pseudo-terminal is read like a pipe.
        let pipe = Receiver::from_owned_fd_unchecked(end)?;
        Ok(Self { pipe, ended: Box::pin(ended.clone().cancelled_owned()), rest: None })
    }

    /// Reads without waiting: the runtime may not have noticed yet that there is something to read.
    fn read_rest(&mut self, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
        let room = buffer.initialize_unfilled();
        let rest = self.rest.get_or_insert(MAX_PIPE_BYTES);
        let most = room.len().min(*rest);
        let count = loop {
            match rustix::io::read(&self.pipe, &mut room[..most]) {
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::IO) => break 0,
                read => break read?,
            }
        };
        *rest -= count;
        buffer.advance(count);
        Ok(())
    }
}

impl AsyncRead for OutputPipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.rest.is_some() || self.ended.as_mut().poll(context).is_ready() {
            return Poll::Ready(self.read_rest(buffer));
        }
        match ready!(Pin::new(&mut self.pipe).poll_read(context, buffer)) {
            // The last process with the terminal open has closed it.
            Err(error) if error.raw_os_error() == Some(nix::libc::EIO) => Poll::Ready(Ok(())),
            read => Poll::Ready(read),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn output_ends_with_its_command() {
        let (reader, mut writer) = io::pipe().unwrap();
        let ended = CancellationToken::new();
        let mut output = OutputPipe::new(reader.into(), &ended).unwrap();
        let mut read = String::new();
        writer.write_all(b"first ").unwrap();
        assert_eq!(output.read(&mut [0; 6]).await.unwrap(), 6);
        writer.write_all(b"second").unwrap();
        ended.cancel();
        output.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "second");
        drop(writer);
    }

    #[tokio::test]
    async fn output_flooded_by_another_process_ends() {
        let (reader, mut writer) = io::pipe().unwrap();
        let ended = CancellationToken::new();
        let mut output = OutputPipe::new(reader.into(), &ended).unwrap();
        ended.cancel();
        let flood = std::thread::spawn(move || while writer.write_all(&[b'x'; 4096]).is_ok() {});
        let mut read = Vec::new();
        output.read_to_end(&mut read).await.unwrap();
        assert!(read.len() <= 2 * MAX_PIPE_BYTES);
        drop(output);
        flood.join().unwrap();
    }
}
