//! Who may come in (CONTRACT.md). The server runs commands, so any website open in the operator's browser is an attacker.
//!
//! Four rules around the whole router, from the outside in: [`headers`] dresses every answer, also a refusal; [`host`]
//! refuses names that are not ours (DNS rebinding), [`origin`] what another site's page asks for but pages (request
//! forgery), [`token`] everyone without the secret, if there is one; [`login`] gives people a form for it and [`slow`]
//! makes guessing it hopeless. [`bind`] sees to it that without a secret only this machine is served.
//!
//! Between them, [`body::bound`] bounds what any of them, or of the routes, reads of a body.
//!
//! Knows axum and the words, nothing of runs. Each rule is a pure decision with its table of cases, and a thin layer.

mod authority;
pub mod bind;
mod client;
pub mod headers;
mod host;
mod landing;
mod login;
mod origin;
mod slow;
mod token;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};

use super::body;

pub use authority::Authority;
pub use bind::BindError;
pub use client::Client;
pub use host::BadHost;
pub use slow::{Slowdown, Verdict};

/// What the guard is made from.
pub struct GuardConfig {
    /// The address that is bound, with the port it got.
    pub addr: SocketAddr,
    /// `--allow-host`: further names that this server is reached by.
    pub allow_hosts: Vec<String>,
    /// `--token`: the secret, if there is one.
    pub token: Option<String>,
    /// Whether people reach the server over TLS only, so that its cookies are always `Secure`.
    pub secure: bool,
}

/// Why there is no guard, and so must be no server. Each says what to do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// The address must not be served.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// An `--allow-host` is no host.
    #[error(transparent)]
    Host(#[from] BadHost),
}

/// What the rules know. One for the whole server.
#[derive(Debug)]
pub struct Guard {
    hosts: host::Hosts,
    token: Option<token::Token>,
    slowdown: slow::Slowdown,
    secure: bool,
}

impl Guard {
    /// A guard for a server bound to this address.
    ///
    /// # Errors
    /// [`GuardError`]: nothing must be served like this. [`bind::check`] says most of it before anything is bound.
    pub fn new(config: GuardConfig) -> Result<Self, GuardError> {
        bind::check(config.addr, config.token.as_deref())?;
        let hosts = host::Hosts::new(config.addr, &config.allow_hosts)?;
        // A variable read from a file brings the file's last newline, which no header can carry.
        let secret = config.token.as_deref().map(str::trim);
        if secret.is_some_and(|secret| secret.len() < bind::SHORT_TOKEN) {
            tracing::warn!(
                "the token is shorter than {} characters and can be guessed; a better one: `openssl rand -hex 16`",
                bind::SHORT_TOKEN
            );
        }
        Ok(Self {
            hosts,
            token: secret.map(token::Token::new),
            slowdown: slow::Slowdown::default(),
            secure: config.secure,
        })
    }
}

/// Puts the rules around a router, its fallbacks included.
pub fn protect(router: Router, guard: Arc<Guard>) -> Router {
    // The last layer is the outermost.
    router
        .layer(from_fn_with_state(Arc::clone(&guard), token::check))
        .layer(from_fn_with_state(Arc::clone(&guard), origin::check))
        .layer(from_fn_with_state(Arc::clone(&guard), host::check))
        .layer(from_fn(body::bound))
        .layer(from_fn_with_state(guard, headers::add))
}
