//! HTTP: the only code that knows axum. It reads requests, calls the use cases and writes responses; it starts no work.
//!
//! [`router`] lists the routes: [`api`] is the JSON API, [`hooks`] receives webhooks, [`stream`] sends server-sent
//! events, [`pages`] renders the dashboard. [`guard`] wraps all of them with the access rules, [`connections`] accepts
//! connections and bounds their number.

mod api;
mod assets;
mod base_path;
mod body;
mod connections;
mod extract;
mod guard;
mod health;
mod hooks;
mod metrics;
mod pages;
mod problem;
mod router;
mod security_txt;
mod state;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::base;
use crate::model::workers::InstanceRole;
use crate::notifications::NotificationCounts;
use crate::runs::Backend;
use guard::{Guard, GuardConfig};
use state::AppState;

pub use axum::http::HeaderName;
pub use connections::ConnectionLimits;
pub use guard::{Authority, InvalidAllowHost, TrustedProxies, UserRole};
pub use router::route_paths;
pub use security_txt::parse_contact;

/// What the HTTP server is configured with.
pub struct HttpOptions {
    /// The bound address.
    pub addr: SocketAddr,
    /// Cancelled when the server stops.
    pub stop: CancellationToken,
    /// How long a stream may be silent before it sends a heartbeat.
    pub heartbeat: Duration,
    /// How often the page polls.
    pub poll_interval: Duration,
    pub connection_limits: ConnectionLimits,
    /// `None` with `--no-token`.
    pub access: Option<Access>,
    /// Whether the server's own token is too long to guess.
    pub has_strong_token: bool,
    pub login_url: Arc<str>,
    /// Host names of the server besides its address and localhost.
    pub allowed_hosts: Vec<String>,
    pub trusted_proxies: TrustedProxies,
    pub public_url: Option<String>,
    /// Whether all people reach the server over TLS.
    pub is_https_only: bool,
    /// The contacts of `security.txt`.
    pub security_contacts: Vec<String>,
    /// A worker serves health checks and metrics only.
    pub role: InstanceRole,
    /// Notification attempts by outcome, for `/metrics`.
    pub notification_counts: Arc<NotificationCounts>,
}

/// The router and what it needs to serve connections.
pub struct HttpServer {
    router: Router,
    connections: Arc<connections::ConnectionRegistry>,
    stop: CancellationToken,
}

impl HttpServer {
    /// Builds the router. [`base::set`] must have been called, since the routes are mounted below the base path.
    ///
    /// # Errors
    /// [`InvalidAllowHost`]: one of `allowed_hosts` is not a host name.
    pub fn new(backend: Backend, options: HttpOptions) -> Result<Self, InvalidAllowHost> {
        let guard = Guard::new(GuardConfig {
            addr: options.addr,
            allowed_hosts: options.allowed_hosts,
            access: options.access.clone(),
            has_strong_token: options.has_strong_token,
            proxies: options.trusted_proxies,
            stop: options.stop.clone(),
            is_https_only: options.is_https_only,
            has_pages: options.role == InstanceRole::Serve,
        })?;
        let connections = Arc::new(connections::ConnectionRegistry::new(options.connection_limits));
        let state = AppState {
            backend,
            stop: options.stop.clone(),
            heartbeat: options.heartbeat,
            poll_interval: options.poll_interval,
            streams: Arc::default(),
            broadcasts: stream::BroadcastRegistry::default(),
            hooks: Arc::default(),
            deliveries: options.notification_counts,
            connections: Arc::clone(&connections),
            access: options.access,
            login_url: options.login_url,
        };
        let router = match options.role {
            InstanceRole::Serve => {
                let security_txt = security_txt::routes(options.security_contacts, options.public_url);
                router::router(state, options.addr).merge(security_txt)
            }
            InstanceRole::Worker => router::worker_router(state),
        };
        let router = base_path::nest(base::current(), guard::protect(router, Arc::new(guard)));
        Ok(Self { router, connections, stop: options.stop })
    }

    /// Serves until the server stops, then until every connection has ended.
    pub async fn serve(self, listener: TcpListener) {
        connections::serve(listener, self.router, self.connections, self.stop).await;
    }
}
