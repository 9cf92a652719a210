//! The program: flags, then serve.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use runtrail::cli::{self, CallError, LoginArgs, TokenArgs};
use runtrail::codemod;
use runtrail::engine::{own_process, supervisor};
use runtrail::http::{
    self,
    config::{DataArgs, ServeArgs},
    vacuum::vacuum,
};

/// A thousand readers that attach at once need much memory for a moment, and little afterwards; the system's allocator keeps it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A dashboard for long, multi-phase runs: started once, watched from many tabs, never lost.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the dashboard and carry out runs.
    Serve(Box<ServeArgs>),
    /// Make the database as small as it can be, while no server uses it.
    ///
    /// Needs about the database's size of free room, twice if temporary files are on the same disk. A running server gives room back by
    /// itself, little by little; this also has a database of an earlier version do so.
    Vacuum(DataArgs),
    /// Print a link that logs one browser in, once and within 15 minutes.
    Login(LoginArgs),
    /// Create, list and revoke tokens.
    Token(TokenArgs),
    /// The leash of one phase's command; the server starts it by itself.
    #[command(hide = true)]
    Supervise(supervisor::SuperviseArgs),
    /// A phase of a built-in pipeline; a run starts it by itself.
    #[command(hide = true)]
    Work {
        /// The pipeline.
        pipeline: String,
        /// The phase.
        phase: String,
    },
}

fn main() -> ExitCode {
    match Cli::parse().command {
        // Before any runtime is there: the leash is one plain process.
        Command::Supervise(args) => supervisor::supervise(&args),
        Command::Work { pipeline, phase } => work(&pipeline, &phase),
        Command::Serve(args) => serve(*args),
        Command::Login(args) => call(cli::login(&args)),
        Command::Token(args) => call(cli::token(&args)),
        Command::Vacuum(args) => match vacuum(&args) {
            Ok(done) => {
                println!("{done}");
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error.to_string()),
        },
    }
}

fn work(pipeline: &str, phase: &str) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(codemod::work(pipeline, phase)),
        Err(error) => fail(&format!("cannot start: {error}")),
    }
}

/// Carries a command out that asks a server, and prints what it says.
fn call(command: impl Future<Output = Result<String, CallError>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}")),
    };
    match runtime.block_on(command) {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error.to_string()),
    }
}

fn serve(args: ServeArgs) -> ExitCode {
    http::keep_inherited_files();
    let filter = tracing_subscriber::EnvFilter::try_from_env("RUNTRAIL_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    // Before there is a command that could look.
    if let Err(error) = own_process::hide() {
        tracing::warn!(%error, "commands can look into the server's variables and files");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}")),
    };
    let served = runtime.block_on(http::serve(args));
    // What still runs after an orderly end is past its time.
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
