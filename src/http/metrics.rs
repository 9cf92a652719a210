//! `GET /metrics` (docs/CONTRACT.md, "Operations").

use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use super::state::AppState;
use crate::model::{Problem, ProblemCode, Status};

/// `GET /metrics`. The text is valid in both of Prometheus' formats: the last line of OpenMetrics is a comment in the
/// older one.
pub async fn metrics(State(app): State<AppState>, headers: HeaderMap) -> Response {
    let registry = match collect(&app).await {
        Ok(registry) => registry,
        Err(problem) => return problem.into_response(),
    };
    let mut text = String::new();
    if encode(&mut text, &registry).is_err() {
        return Problem::new(ProblemCode::Internal, "The numbers cannot be written.").into_response();
    }
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let content_type = if accept.contains("application/openmetrics-text") {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4; charset=utf-8"
    };
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}

/// A gauge or counter with one label.
type Labelled<M> = Family<[(&'static str, &'static str); 1], M>;

async fn collect(app: &AppState) -> Result<Registry, Problem> {
    let (counts, size) = (app.backend.store.status_counts().await?, app.backend.store.size().await?);
    let stuck = crate::runs::shortages(&app.backend).await?.len();
    let mut registry = Registry::with_prefix("runtrail");
    let runs = Labelled::<Gauge<u64, AtomicU64>>::default();
    for status in Status::ALL {
        let count = counts.iter().find(|(known, _)| *known == status).map_or(0, |(_, count)| *count);
        runs.get_or_create(&[("status", status.as_str())]).set(count);
    }
    registry.register("runs", "Runs by status", runs);
    registry.register(
        "workers_busy",
        "Runs executed by this server now",
        ConstGauge::new(to_u64(app.backend.engine.busy())),
    );
    let (slots, busy) = (app.backend.engine.workers(), app.backend.engine.busy());
    let is_draining = app.backend.engine.draining_since().is_some();
    let free = if is_draining { 0 } else { slots.saturating_sub(busy) };
    registry.register("workers_slots", "Runs that this instance executes at once", ConstGauge::new(to_u64(slots)));
    registry.register("workers_free", "Runs that this instance would take now", ConstGauge::new(to_u64(free)));
    registry.register("draining", "Whether this instance is draining", ConstGauge::new(u64::from(is_draining)));
    registry.register(
        "runs_without_worker",
        "Pending runs that no live worker can take",
        ConstGauge::new(to_u64(stuck)),
    );
    registry.register("streams", "Open event streams", ConstGauge::new(app.streams.load(Ordering::Relaxed)));
    registry.register("connections", "Open connections", ConstGauge::new(to_u64(app.connections.count())));
    let over_limit = Labelled::<Counter>::default();
    for (outcome, count) in app.connections.rejections() {
        over_limit.get_or_create(&[("outcome", outcome)]).inc_by(count);
    }
    registry.register("connections_over_limit", "Connections beyond a limit, by outcome", over_limit);
    let (commits, frames) = app.backend.journal.written();
    registry.register("journal_commits", "Transactions of the journal", ConstCounter::new(commits));
    registry.register("journal_frames", "Frames written", ConstCounter::new(frames));
    registry.register("database_bytes", "Size of the database", ConstGauge::new(size.bytes));
    registry.register("database_free_bytes", "Unused bytes in the database", ConstGauge::new(size.free_bytes));
    registry.register("database_wal_bytes", "Size of the write-ahead log", ConstGauge::new(size.wal_bytes));
    let memory = Labelled::<Gauge<u64, AtomicU64>>::default();
    for (kind, count) in app.backend.journal.memory_entries().into_iter().chain([("crowds", app.broadcasts.count())]) {
        memory.get_or_create(&[("of", kind)]).set(to_u64(count));
    }
    registry.register("memory_entries", "Entries kept in memory for readers, by kind", memory);
    let notifications = Labelled::<Counter>::default();
    for (outcome, count) in app.deliveries.all() {
        notifications.get_or_create(&[("outcome", outcome)]).inc_by(count);
    }
    registry.register("deliveries", "Attempts to deliver a notification, by outcome", notifications);
    Ok(registry)
}

fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
