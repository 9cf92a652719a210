//! The command line: `serve` and `worker`, the commands on a database (`vacuum`, `backup`, `restore`), and those that
//! call a running server. See [`run`].

mod backup;
mod connect;
mod drain;
mod health;
mod login;
mod program;
mod token;
mod vacuum;

use connect::{CallError, ConnectArgs, ServerClient};
use drain::DrainArgs;
use login::LoginArgs;
pub use program::run;
use token::TokenArgs;
