//! The pipes and pseudo-terminals that commands print to.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, OutputModes, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

use crate::model::{LogStream, OutputMode};

/// The size of every pseudo-terminal in characters. It has as many rows as the screen that interprets the output. It is
/// fixed, so that a command prints the same lines each time.
pub const TERMINAL_SIZE: (u16, u16) = (120, crate::terminal::ROWS as u16);

/// The value of `TERM` for commands on a pseudo-terminal.
pub const TERMINAL_TYPE: &str = "xterm-256color";

/// The ends that the command gets.
#[derive(Debug)]
pub struct CommandStdio {
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// The ends to read, which do not block, each with the name that its lines get.
pub type OutputEnds = Vec<(LogStream, OwnedFd)>;

/// Creates the outputs of one command.
///
/// # Errors
/// No file descriptors or pseudo-terminals are left.
pub fn open_outputs(mode: OutputMode) -> io::Result<(OutputEnds, CommandStdio)> {
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
            let ends = CommandStdio { stdout: terminal.try_clone()?, stderr: terminal };
            (vec![(LogStream::Output, master)], ends)
        }
    };
    for (_, end) in &readers {
        fcntl_setfl(end, fcntl_getfl(end)? | OFlags::NONBLOCK)?;
    }
    Ok((readers, ends))
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
