//! Starts the server again in its process, which keeps its number: service managers and terminals see one program.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use rustix::fs::Mode;

/// How this program was started.
#[derive(Clone, Debug)]
pub struct StartedAs {
    /// The path of its file. By now another version may be there.
    program: PathBuf,
    arguments: Vec<OsString>,
    /// The umask and the limit of open files, which the server changes for itself.
    umask: u32,
    open_files: Option<u64>,
}

impl StartedAs {
    /// Remembers how the program was started.
    ///
    /// # Errors
    /// The file of the program cannot be found.
    pub fn now(umask: u32) -> io::Result<Self> {
        let arguments: Vec<OsString> = std::env::args_os().collect();
        // A name with a slash may be a link to the current version.
        let named = arguments.first().map(PathBuf::from).filter(|name| name.components().count() > 1);
        let program = match named.map(std::path::absolute) {
            Some(path) => path?,
            None => std::env::current_exe()?,
        };
        let open_files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        Ok(Self { program, arguments: arguments.into_iter().skip(1).collect(), umask, open_files })
    }

    /// Starts the program again. Returns only if that fails.
    pub fn exec(self) -> io::Error {
        rustix::process::umask(Mode::from_raw_mode(self.umask));
        if let Some(open_files) = self.open_files {
            let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
            limit.current = Some(open_files);
            let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, limit);
        }
        Command::new(self.program).args(self.arguments).exec()
    }
}
