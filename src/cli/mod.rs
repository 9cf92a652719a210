//! Commands that call the API of a running server: `runtrail login` and `runtrail token`.

mod connect;
mod login;
mod token;

pub use connect::{CallError, ConnectArgs};
pub use login::{LoginArgs, login};
pub use token::{TokenArgs, token};
