//! Commands that ask a running server: `runtrail login` and `runtrail token`.

mod connect;
mod token;

use clap::Args;

pub use connect::{CallError, ConnectArgs};
pub use token::{TokenArgs, token};

use crate::model::access::LoginCode;
use connect::Connection;

/// Print a link that logs one browser in, once and within 15 minutes.
#[derive(Args, Clone, Debug)]
pub struct LoginArgs {
    /// The server.
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Has the server make a login link.
///
/// # Errors
/// [`CallError`].
pub async fn login(args: &LoginArgs) -> Result<String, CallError> {
    let link: LoginCode = Connection::new(&args.connect)?.post("/api/v1/login-links", &()).await?;
    Ok(link.url)
}
