//! For those who watch the server: is it alive, is it ready, and numbers in Prometheus' text form.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use tokio_util::sync::CancellationToken;

use super::App;
use crate::journal::Journal;
use crate::model::{DatabaseHealth, Problem, ProblemCode};
use crate::store::Store;

/// The program runs and answers.
pub async fn alive() -> &'static str {
    "ok\n"
}

/// How long nothing is written before the database is asked whether it takes anything.
const PROBE_AFTER: Duration = Duration::from_secs(2);

/// The server takes work: the database answers and takes what is written, and the server is not stopping.
pub async fn ready(State(app): State<App>) -> Response {
    if app.stop.is_cancelled() {
        return Problem::new(ProblemCode::ShuttingDown, "The server is stopping.").into_response();
    }
    if let Some(outage) = app.service.journal.health().outage() {
        // Whoever watches the server takes 503 for "not now", whatever the reason.
        return Problem { status: 503, ..Problem::from(&outage) }.into_response();
    }
    match app.service.store.ping().await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => Problem { status: 503, ..Problem::from(error) }.into_response(),
    }
}

/// Whether the database takes what is written: what the page asks every few seconds.
pub async fn database(State(app): State<App>) -> Json<DatabaseHealth> {
    Json(app.service.health())
}

/// Looks every few seconds whether the database takes what is written, so that an outage is known also while no run writes; and sets
/// room aside for a full disk, where there was none.
pub async fn watch(store: Store, journal: Journal, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PROBE_AFTER) => {}
        }
        if journal.health().outage().is_none() {
            store.restore_reserve(false).await;
        }
        // What is wrong is known by then; and without a writer there is nothing to know.
        let _ = journal.probe().await;
    }
}

/// The numbers.
///
/// The same text is read as OpenMetrics by who asks for that, and as Prometheus' older form by everyone else, to whom its
/// last line is a comment.
pub async fn metrics(State(app): State<App>, headers: HeaderMap) -> Response {
    let counts = match app.service.store.status_counts().await {
        Ok(counts) => counts,
        Err(error) => return Problem::from(error).into_response(),
    };
    let size = match app.service.store.size().await {
        Ok(size) => size,
        Err(error) => return Problem::from(error).into_response(),
    };
    let mut registry = Registry::with_prefix("runtrail");
    let runs = Family::<[(&str, &str); 1], Gauge<u64, AtomicU64>>::default();
    for status in crate::model::Status::ALL {
        let count = counts.iter().find(|(known, _)| *known == status).map_or(0, |(_, count)| *count);
        runs.get_or_create(&[("status", status.as_str())]).set(count);
    }
    registry.register("runs", "Runs by status", runs);
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let busy = count(app.service.engine.busy());
    registry.register("workers_busy", "Runs carried out by this instance now", ConstGauge::new(busy));
    registry.register("streams", "Streams open now", ConstGauge::new(app.streams.load(Ordering::Relaxed)));
    registry.register("connections", "Connections open now", ConstGauge::new(count(app.connections.count())));
    let turned = Family::<[(&str, &str); 1], Counter>::default();
    for (outcome, times) in app.connections.turned_away() {
        turned.get_or_create(&[("outcome", outcome)]).inc_by(times);
    }
    registry.register("connections_over_limit", "Connections beyond a limit by what became of them", turned);
    let (commits, frames) = app.service.journal.written();
    registry.register("journal_commits", "Transactions of the journal", ConstCounter::new(commits));
    registry.register("journal_frames", "Frames journaled", ConstCounter::new(frames));
    registry.register("database_bytes", "Bytes of the database", ConstGauge::new(size.bytes));
    registry.register("database_free_bytes", "Bytes inside it that hold nothing", ConstGauge::new(size.free_bytes));
    registry.register("database_wal_bytes", "Bytes of its write-ahead log", ConstGauge::new(size.wal_bytes));
    let kept = Family::<[(&str, &str); 1], Gauge<u64, AtomicU64>>::default();
    for (of, count) in app.service.journal.memory_entries().into_iter().chain([("crowds", app.crowds.count())]) {
        kept.get_or_create(&[("of", of)]).set(u64::try_from(count).unwrap_or(u64::MAX));
    }
    registry.register("memory_entries", "What is kept in memory for readers, by kind", kept);
    let deliveries = Family::<[(&str, &str); 1], Counter>::default();
    for (outcome, count) in app.deliveries.all() {
        deliveries.get_or_create(&[("outcome", outcome)]).inc_by(count);
    }
    registry.register("deliveries", "Tries to deliver a notification by outcome", deliveries);
    let mut text = String::new();
    if encode(&mut text, &registry).is_err() {
        return Problem::new(ProblemCode::Internal, "The numbers cannot be written.").into_response();
    }
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let kind = if accept.contains("application/openmetrics-text") {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4; charset=utf-8"
    };
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
