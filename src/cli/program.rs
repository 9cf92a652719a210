//! The commands of the program.

use std::fmt::Display;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::backup::{self, BackupArgs, RestoreArgs};
use super::drain::drain;
use super::health::{HealthArgs, health};
use super::login::login;
use super::token::token;
use super::vacuum::vacuum;
use super::{DrainArgs, LoginArgs, TokenArgs};
use crate::codemod;
use crate::config::{DataArgs, ServeArgs};
use crate::engine::{own_process, supervisor};
use crate::model::workers::InstanceRole;
use crate::startup;

/// A dashboard for long, multi-phase runs: started once, watched from many tabs, never lost.
#[derive(Parser)]
#[command(version, about)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the dashboard and execute runs.
    Serve(Box<ServeArgs>),
    /// Execute runs of a database that servers share, and serve health checks and metrics only.
    ///
    /// Needs PostgreSQL beside a server. A SQLite database has room for one program: a worker starts on it only while
    /// no server does.
    #[command(mut_arg("addr", |addr| addr.default_value("127.0.0.1:3001")))]
    Worker(Box<ServeArgs>),
    /// Let a running server finish what it executes, take no more runs, and end.
    Drain(DrainArgs),
    /// Compact the database while no server uses it.
    ///
    /// Needs free space of about the size of the database, twice that if temporary files are on the same disk. A
    /// running server returns free space gradually; this command also enables that for a database of an earlier
    /// version.
    Vacuum(DataArgs),
    /// Back up the database and the server's token to one file, whether a server runs or not.
    ///
    /// The backup is one state of the database, checked before it gets its name. It contains secrets of active runs and
    /// is readable by its owner only. Files of runs are not in it.
    Backup(BackupArgs),
    /// Restore a backup, while no server uses the database.
    Restore(RestoreArgs),
    /// Exit with code 0 if a server is ready to take requests.
    Health(HealthArgs),
    /// Print a link that logs one browser in, once and within 15 minutes.
    Login(LoginArgs),
    /// Create, list and revoke tokens.
    Token(TokenArgs),
    /// The supervisor of one command; the server starts it.
    #[command(hide = true)]
    Supervise(supervisor::SuperviseArgs),
    /// A phase of a built-in pipeline; a run starts it.
    #[command(hide = true)]
    Work {
        /// The pipeline.
        pipeline: String,
        /// The phase.
        phase: String,
    },
}

/// Executes the command of the command line.
pub fn run() -> ExitCode {
    match CommandLine::parse().command {
        // Starts no runtime: the supervisor is single-threaded.
        Command::Supervise(args) => supervisor::supervise(&args),
        Command::Work { pipeline, phase } => work(&pipeline, &phase),
        Command::Serve(args) => serve(*args, InstanceRole::Serve),
        Command::Worker(args) => serve(*args, InstanceRole::Worker),
        Command::Drain(args) => print_result(drain(&args)),
        Command::Login(args) => print_result(login(&args)),
        Command::Token(args) => print_result(token(&args)),
        Command::Health(args) => print_result(health(&args)),
        Command::Vacuum(args) => print_report(vacuum(&args)),
        Command::Backup(args) => print_report(backup::backup(&args)),
        Command::Restore(args) => print_report(backup::restore(&args)),
    }
}

fn print_report(result: Result<impl Display, impl Display>) -> ExitCode {
    match result {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error.to_string()),
    }
}

fn work(pipeline: &str, phase: &str) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(codemod::work(pipeline, phase)),
        Err(error) => fail(&format!("cannot start the async runtime: {error}")),
    }
}

/// Runs a command that calls a server, and prints its result.
fn print_result(command: impl Future<Output = Result<String, impl Display>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start the async runtime: {error}")),
    };
    print_report(runtime.block_on(command))
}

fn serve(args: ServeArgs, role: InstanceRole) -> ExitCode {
    startup::close_inherited_files_on_exec();
    let filter = tracing_subscriber::EnvFilter::try_from_env("RUNTRAIL_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    // Before any command runs.
    if let Err(error) = own_process::hide() {
        tracing::warn!(%error, "cannot hide this process: commands can read the server's environment and open files in /proc");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start the async runtime: {error}")),
    };
    let served = runtime.block_on(startup::serve(args, role));
    // Tasks that are still running after the shutdown are abandoned.
    runtime.shutdown_background();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(sentence: &str) -> ExitCode {
    eprintln!("runtrail: {sentence}");
    ExitCode::FAILURE
}
