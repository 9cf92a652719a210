//! `GET /runs/{id}/events`: the stream of one run.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::broadcast_registry::GroupReader;
use super::{AppState, EventBatch, EventSource, respond};
use crate::access::Principal;
use crate::http::connections::SharedSocket;
use crate::http::extract::RunIdPath;
use crate::journal::{FrameEncoding, ReadStep};
use crate::model::{Cursor, Problem, sse};
use crate::runs::run_id;
use crate::store::StoreError;

/// `GET /runs/{id}/events`
pub async fn run_events(
    State(app): State<AppState>,
    RunIdPath(id): RunIdPath,
    headers: HeaderMap,
    query: Result<Query<HashMap<String, String>>, QueryRejection>,
    Extension(socket): Extension<Arc<SharedSocket>>,
    Extension(principal): Extension<Principal>,
) -> Result<Response, Problem> {
    let query = query.map(|Query(query)| query).unwrap_or_default();
    // A header that is no text cannot be a cursor either.
    let last_event_id = headers.get("last-event-id").map(|id| id.to_str().unwrap_or("?"));
    let cursor = Cursor::from_request(last_event_id, query.get("after").map(String::as_str))?;
    let run = run_id(&id)?;
    let (reader, head) = crate::runs::open_reader(&app.backend, &run, cursor, FrameEncoding::Single).await?;
    if head.status.is_finished() && cursor.0 == head.head {
        // 204 tells EventSource not to reconnect.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let ready = sse::ready_event(cursor.0, head.head, head.status, head.attempt);
    let reader = GroupReader::new(&app.broadcasts, &run, reader, &socket);
    Ok(respond(&app, principal, socket, ready, RunSource(reader)))
}

struct RunSource(GroupReader);

impl EventSource for RunSource {
    async fn next(&mut self) -> Result<EventBatch, StoreError> {
        Ok(match self.0.next().await? {
            ReadStep::Frames(frames) => EventBatch::Events(frames),
            ReadStep::End(head) => EventBatch::Last(sse::end_event(head.status, head.head)),
        })
    }

    fn heartbeat(&self) -> String {
        sse::heartbeat_event(self.0.head_seq())
    }
}
