//! The commands of the program.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::login::login;
use super::service::{ServiceArgs, ServiceError, restart, stop};
use super::token::token;
use super::vacuum::vacuum;
use super::{CallError, LoginArgs, TokenArgs};
use crate::codemod;
use crate::config::{DataArgs, ServeArgs};
use crate::engine::{own_process, supervisor};
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
    /// Stop the server of a data folder and end its commands.
    Stop(ServiceArgs),
    /// Start the server of a data folder again, in the version that its file has now. Its commands go on.
    Restart(ServiceArgs),
    /// Compact the database while no server uses it.
    ///
    /// Needs free space of about the size of the database, twice that if temporary files are on the same disk. A
    /// running server returns free space gradually; this command also enables that for a database of an earlier
    /// version.
    Vacuum(DataArgs),
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
        Command::Serve(args) => serve(*args),
        Command::Login(args) => print_result(login(&args)),
        Command::Token(args) => print_result(token(&args)),
        Command::Stop(args) => print_service(stop(&args)),
        Command::Restart(args) => print_service(restart(&args)),
        Command::Vacuum(args) => match vacuum(&args) {
            Ok(report) => {
                println!("{report}");
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error.to_string()),
        },
    }
}

fn work(pipeline: &str, phase: &str) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(codemod::work(pipeline, phase)),
        Err(error) => fail(&format!("cannot start the async runtime: {error}")),
    }
}

fn print_service(result: Result<String, ServiceError>) -> ExitCode {
    match result {
        Ok(result) => {
            println!("{result}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error.to_string()),
    }
}

/// Runs a command that calls a server, and prints its result.
fn print_result(command: impl Future<Output = Result<String, CallError>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start the async runtime: {error}")),
    };
    match runtime.block_on(command) {
        Ok(result) => {
            println!("{result}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error.to_string()),
    }
}

fn serve(args: ServeArgs) -> ExitCode {
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
    let served = runtime.block_on(startup::serve(args));
    // Tasks that are still running after the shutdown are abandoned.
    runtime.shutdown_background();
    match served {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(started_as)) => fail(&format!("cannot start the server again: {}", started_as.exec())),
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(sentence: &str) -> ExitCode {
    eprintln!("runtrail: {sentence}");
    ExitCode::FAILURE
}
