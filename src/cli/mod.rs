//! The command line: `serve`, `vacuum`, and the commands that call a running server. See [`run`].

mod connect;
mod login;
mod program;
mod service;
mod token;
mod vacuum;

use connect::{CallError, ConnectArgs, ServerClient};
use login::LoginArgs;
pub use program::run;
use token::TokenArgs;
