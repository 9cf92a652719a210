//! What request handlers share.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::connections::Register;
use super::hooks::HookLimits;
use super::stream::Crowds;
use crate::access::Access;
use crate::notifications::NotificationCounts;
use crate::runs::Backend;

/// The state of the router. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    pub backend: Backend,
    /// Cancelled when the server stops; streams end then.
    pub stop: CancellationToken,
    /// How long a stream may be silent before it sends a heartbeat.
    pub heartbeat: Duration,
    /// How often the page polls.
    pub poll_interval: Duration,
    /// The number of open streams.
    pub streams: Arc<AtomicU64>,
    pub crowds: Crowds,
    pub hooks: Arc<HookLimits>,
    /// Notification attempts by outcome.
    pub deliveries: Arc<NotificationCounts>,
    pub connections: Arc<Register>,
    /// `None` with `--no-token`.
    pub access: Option<Access>,
    pub login_url: Arc<str>,
}
