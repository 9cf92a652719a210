//! The process of the command, as the supervisor starts it.

use std::process::{Command, Stdio};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::SigSet;

use super::super::child::{
    become_user, die_with_parent, give_outputs, join_cgroup, set_no_new_privileges, start_session,
};
use super::super::pipe::CommandStdio;
use super::SuperviseArgs;
use crate::model::OutputMode;

/// The shell that runs commands.
pub const SHELL: &str = "/bin/sh";

/// Lowers the limits of this process to those of the command, which inherits them.
pub fn set_limits(args: &SuperviseArgs) {
    if let Some(limit) = args.open_files
        && let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE)
    {
        // Lowering a limit is always allowed.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, limit.min(most), most);
    }
    if let Some(umask) = args.umask {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
    }
}

/// The process to start, which prints to `stdio` and has this signal mask.
///
/// # Errors
/// A sentence that says what is missing.
pub fn shell_command(args: &SuperviseArgs, stdio: CommandStdio, mask: SigSet) -> Result<Command, String> {
    // An absolute path, since a phase may set its own PATH.
    let mut shell = match args.wrap.split_first() {
        None => Command::new(SHELL),
        Some((program, rest)) => {
            let mut wrapped = Command::new(program);
            wrapped.args(rest).args(["--", SHELL]);
            wrapped
        }
    };
    let CommandStdio { stdout, stderr } = stdio;
    if let Some(ids) = &args.ids {
        // The command may also open its outputs by their names in /dev.
        give_outputs(ids, [&stdout, &stderr]);
    }
    shell.args(["-c", &args.command]).stdin(Stdio::null()).stdout(stdout).stderr(stderr);
    start_session(&mut shell, args.output == OutputMode::Tty, mask);
    if let Some(group) = &args.group {
        let joined = join_cgroup(&mut shell, group);
        joined.map_err(|error| format!("its control group {} cannot be joined: {error}", group.display()))?;
    }
    if let Some(ids) = &args.ids {
        become_user(&mut shell, ids);
    }
    // A change of user clears the parent-death signal, so it is set afterwards.
    die_with_parent(&mut shell);
    if args.no_new_privileges {
        set_no_new_privileges(&mut shell);
    }
    Ok(shell)
}

/// Why the shell cannot be started.
pub fn describe_spawn_error(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => format!("the shell {SHELL} is missing: install it"),
        _ => format!("the shell {SHELL} cannot be started: {error}"),
    }
}
