//! Access rules for every request (docs/CONTRACT.md, "Access"). The server runs commands, so every website that is open
//! in the operator's browser is a potential attacker.
//!
//! The rules are layers around the whole router, from the outside in: [`headers`] adds security headers to every
//! response, [`body`] bounds request bodies, [`host`] rejects foreign host names (DNS rebinding), [`proxy`] applies
//! what trusted proxies forward, [`origin`] rejects requests of other sites (request forgery), and [`admission`]
//! authenticates and authorizes. [`login`] is the login form, and [`attempt_limiter`] slows down guessing.
//!
//! Each rule is a pure decision, tested with a table of cases, and a thin layer around it.

mod admission;
mod attempt_limiter;
mod authority;
mod client;
mod credential;
pub mod headers;
mod host;
mod login;
mod origin;
mod proxy;
mod return_path;
mod route_class;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::body;
use crate::access::Access;

pub use attempt_limiter::{AttemptLimiter, AttemptVerdict};
pub use authority::Authority;
pub use client::Client;
pub use host::InvalidAllowHost;
pub use proxy::{TrustedProxies, UserRole};

/// What the guard is configured with.
pub struct GuardConfig {
    /// The bound address.
    pub addr: SocketAddr,
    /// Host names of the server besides its address and localhost.
    pub allowed_hosts: Vec<String>,
    /// `None` with `--no-token`.
    pub access: Option<Access>,
    /// Whether the server's own token is too long to guess.
    pub has_strong_token: bool,
    pub proxies: TrustedProxies,
    /// Cancelled when the server stops.
    pub stop: CancellationToken,
    /// Whether all people reach the server over TLS. Then its cookies are always `Secure`.
    pub is_https_only: bool,
    /// Whether there are pages, and so a login.
    pub has_pages: bool,
}

/// The state of the layers.
#[derive(Debug)]
pub struct Guard {
    hosts: host::ServedHosts,
    access: Option<Access>,
    has_strong_token: bool,
    proxies: TrustedProxies,
    stop: CancellationToken,
    attempts: AttemptLimiter,
    is_https_only: bool,
    has_pages: bool,
}

impl Guard {
    /// # Errors
    /// [`InvalidAllowHost`]: one of the allowed hosts is not a host name.
    pub fn new(config: GuardConfig) -> Result<Self, InvalidAllowHost> {
        let GuardConfig { addr, allowed_hosts, access, has_strong_token, proxies, stop, is_https_only, has_pages } =
            config;
        let hosts = host::ServedHosts::new(addr, &allowed_hosts)?;
        let attempts = AttemptLimiter::default();
        Ok(Self { hosts, access, has_strong_token, proxies, stop, attempts, is_https_only, has_pages })
    }

    /// Asks the limiter about a token that `client` sends now.
    fn check_attempt(&self, client: Client, is_valid: bool) -> AttemptVerdict {
        self.attempts.check(client, is_valid, self.has_strong_token, Instant::now())
    }
}

/// Wraps a router, including its fallbacks, with the rules.
pub fn protect(router: Router, guard: Arc<Guard>) -> Router {
    // The last layer is the outermost.
    router
        .layer(from_fn_with_state(Arc::clone(&guard), admission::check))
        .layer(from_fn_with_state(Arc::clone(&guard), origin::check))
        .layer(from_fn_with_state(Arc::clone(&guard), proxy::apply_forwarded))
        .layer(from_fn_with_state(Arc::clone(&guard), host::check))
        .layer(from_fn(body::limit))
        .layer(from_fn_with_state(guard, headers::add))
}
