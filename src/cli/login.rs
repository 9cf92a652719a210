//! `runtrail login`: creates a login link.

use clap::Args;

use super::connect::{CallError, ConnectArgs, ServerClient};
use crate::model::access::LoginCode;

/// Print a link that logs one browser in, once and within 15 minutes.
#[derive(Args, Clone, Debug)]
pub struct LoginArgs {
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Creates a login link; its address.
///
/// # Errors
/// [`CallError`].
pub async fn login(args: &LoginArgs) -> Result<String, CallError> {
    let link: LoginCode = ServerClient::new(&args.connect)?.post("/api/v1/login-links", &()).await?;
    Ok(link.url)
}
