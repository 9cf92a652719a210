//! The command line: `serve`, `worker`, `vacuum`, and the commands that call a running server. See [`run`].

mod connect;
mod drain;
mod login;
mod program;
mod token;
mod vacuum;

use connect::{CallError, ConnectArgs, ServerClient};
use drain::DrainArgs;
use login::LoginArgs;
pub use program::run;
use token::TokenArgs;
