//! Where a command prints to: pipes, or a pseudo-terminal, and how their other ends are read.

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

use super::commands::{Output, Outputs};
use crate::model::{LogStream, OutputMode};

/// The size of every pseudo-terminal, in characters: as many rows as the screen has that reads it, so that both agree where a row is. Fixed, so
/// that the same command prints the same lines each time.
pub const TERMINAL_SIZE: (u16, u16) = (120, crate::terminal::ROWS as u16);

/// What a command on a pseudo-terminal finds in `TERM`.
pub const TERMINAL_TYPE: &str = "xterm-256color";

/// The ends of a command's outputs that the command gets.
pub struct CommandStdio {
    pub(super) stdout: Stdio,
    pub(super) stderr: Stdio,
}

/// The output of what a command may leave behind: the same that the command has.
pub struct LeftoverOutput {
    stream: LogStream,
    end: OwnedFd,
}

impl LeftoverOutput {
    /// The output, which ends with this signal.
    ///
    /// # Errors
    /// No more file descriptors.
    pub fn open(self, ended: &CancellationToken) -> io::Result<(LogStream, Output)> {
        Ok((self.stream, Box::new(OutputPipe::new(self.end, ended)?)))
    }
}

/// Makes the outputs of one command: the ends to read, which end with this signal at the latest; the same for what it leaves behind,
/// if that is wanted; and the ends to give to the command.
///
/// # Errors
/// No more file descriptors or pseudo-terminals.
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

/// A pseudo-terminal of the fixed size: its master, and the side that is a terminal.
fn open_terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    // No descriptor may slip into another command that is started at the same time: its end would be waited for.
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let terminal = open(ptsname(&master, Vec::new())?, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    let (columns, rows) = TERMINAL_SIZE;
    tcsetwinsize(&terminal, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?;
    let mut modes = tcgetattr(&terminal)?;
    // A line feed stays one: the carriage return that terminals put before it is no part of what was printed.
    modes.output_modes.remove(OutputModes::ONLCR);
    tcsetattr(&terminal, OptionalActions::Now, &modes)?;
    Ok((master, terminal))
}

/// The most bytes that a pipe can hold, and so the most that were printed and not read when the last process ended.
const LARGEST_PIPE: usize = 1 << 20;

/// The end of an output that is read. It ends with its last writer; or, once `ended` is cancelled, when it has been read to where it
/// is empty: then nothing of the command is left that could print, and a stranger who has it open is not waited for.
struct OutputPipe {
    pipe: Receiver,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    /// MountKind many bytes may still be read, once it has ended.
    rest: Option<usize>,
}

impl OutputPipe {
    fn new(end: OwnedFd, ended: &CancellationToken) -> io::Result<Self> {
        fcntl_setfl(&end, fcntl_getfl(&end)? | OFlags::NONBLOCK)?;
        // The side of a terminal that is read is read like a pipe.
        let pipe = Receiver::from_owned_fd_unchecked(end)?;
        Ok(Self { pipe, ended: Box::pin(ended.clone().cancelled_owned()), rest: None })
    }

    /// Reads what is there, and does not wait: the runtime may not have heard yet that something is.
    fn read_rest(&mut self, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
        let room = buffer.initialize_unfilled();
        let rest = self.rest.get_or_insert(LARGEST_PIPE);
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
            // The last process that had the terminal open has closed it.
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

    /// All that was printed before the end is read, and who has the output open after it is not waited for.
    #[tokio::test]
    async fn an_output_ends_with_its_command_and_not_with_a_stranger() {
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

    /// One that never stops printing does not keep it open.
    #[tokio::test]
    async fn an_output_that_is_flooded_by_a_stranger_ends() {
        let (reader, mut writer) = io::pipe().unwrap();
        let ended = CancellationToken::new();
        let mut output = OutputPipe::new(reader.into(), &ended).unwrap();
        ended.cancel();
        let flood = std::thread::spawn(move || while writer.write_all(&[b'x'; 4096]).is_ok() {});
        let mut read = Vec::new();
        output.read_to_end(&mut read).await.unwrap();
        assert!(read.len() <= 2 * LARGEST_PIPE);
        drop(output);
        flood.join().unwrap();
    }
}
