//! Who may come in (CONTRACT.md). The server runs commands, so any website open in the operator's browser is an attacker.
//!
//! Four rules around the whole router, from the outside in: [`headers`] dresses every answer, also a refusal; [`host`]
//! refuses names that are not ours (DNS rebinding), [`origin`] what another site's page asks for but pages (request
//! forgery), [`admission`] everybody who is not known or whose role does not allow it; [`login`] gives people a form and [`slow`]
//! makes guessing hopeless. [`bind`] sees to it that without a secret only this machine is served, and [`proxy`] knows whom a
//! trusted proxy speaks for.
//!
//! Between them, [`body::bound`] bounds what any of them, or of the routes, reads of a body.
//!
//! Knows axum and the words, nothing of runs. Each rule is a pure decision with its table of cases, and a thin layer.

mod admission;
mod authority;
pub mod bind;
mod client;
pub mod headers;
mod host;
mod landing;
mod login;
mod origin;
mod proxy;
mod shown;
mod slow;
mod want;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use tokio_util::sync::CancellationToken;

use super::body;
use crate::access::Access;

pub use admission::forbidden;
pub use authority::Authority;
pub use client::Client;
pub use host::BadHost;
pub use proxy::{Proxies, UserRole};
pub use slow::{Slowdown, Verdict};

/// What the guard is made from.
pub struct GuardConfig {
    /// The address that is bound, with the port it got.
    pub addr: SocketAddr,
    /// `--allow-host`: further names that this server is reached by.
    pub allow_hosts: Vec<String>,
    /// Who may use the server; everybody if `None`.
    pub access: Option<Access>,
    /// Whether its own token is too long to be guessed.
    pub is_strong: bool,
    /// The proxies that are trusted.
    pub proxies: Proxies,
    /// What ends everything.
    pub stop: CancellationToken,
    /// Whether people reach the server over TLS only, so that its cookies are always `Secure`.
    pub secure: bool,
}

/// What the rules know. One for the whole server.
#[derive(Debug)]
pub struct Guard {
    hosts: host::Hosts,
    access: Option<Access>,
    is_strong: bool,
    proxies: Proxies,
    stop: CancellationToken,
    slowdown: slow::Slowdown,
    secure: bool,
}

impl Guard {
    /// A guard for a server bound to this address.
    ///
    /// # Errors
    /// [`BadHost`]: one of the hosts is none. [`bind::check`] says before anything is bound what must not be served.
    pub fn new(config: GuardConfig) -> Result<Self, BadHost> {
        let GuardConfig { addr, allow_hosts, access, is_strong, proxies, stop, secure } = config;
        let hosts = host::Hosts::new(addr, &allow_hosts)?;
        Ok(Self { hosts, access, is_strong, proxies, stop, slowdown: slow::Slowdown::default(), secure })
    }
}

/// Puts the rules around a router, its fallbacks included.
pub fn protect(router: Router, guard: Arc<Guard>) -> Router {
    // The last layer is the outermost.
    router
        .layer(from_fn_with_state(Arc::clone(&guard), admission::check))
        .layer(from_fn_with_state(Arc::clone(&guard), origin::check))
        .layer(from_fn_with_state(Arc::clone(&guard), proxy::note))
        .layer(from_fn_with_state(Arc::clone(&guard), host::check))
        .layer(from_fn(body::bound))
        .layer(from_fn_with_state(guard, headers::add))
}
