//! `GET /runs/{id}/events`: the stream of one run.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::crowds::Listener;
use super::{App, Source, Told, answer};
use crate::access::Granted;
use crate::http::api::RunPath;
use crate::http::connections::LentSocket;
use crate::journal::{Form, Step};
use crate::model::{Cursor, Problem, sse};
use crate::runs::run_id;
use crate::store::StoreError;

/// `GET /runs/{id}/events`
pub async fn events(
    State(app): State<App>,
    RunPath(id): RunPath,
    headers: HeaderMap,
    query: Result<Query<HashMap<String, String>>, QueryRejection>,
    Extension(socket): Extension<Arc<LentSocket>>,
    Extension(granted): Extension<Granted>,
) -> Result<Response, Problem> {
    let query = query.map(|Query(query)| query).unwrap_or_default();
    // A header that is no text is no number either.
    let last_event_id = headers.get("last-event-id").map(|id| id.to_str().unwrap_or("?"));
    let cursor = Cursor::from_request(last_event_id, query.get("after").map(String::as_str))?;
    let run = run_id(&id)?;
    let (reader, pulse) = app.service.read(&run, cursor, Form::Plain).await?;
    if pulse.status.is_finished() && cursor.0 == pulse.head {
        // Tells EventSource to stay away.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let ready = sse::ready_event(cursor.0, pulse.head, pulse.status, pulse.attempt);
    let listener = Listener::new(&app.crowds, &run, reader, &socket);
    Ok(answer(&app, granted, socket, ready, One(listener)))
}

struct One(Listener);

impl Source for One {
    async fn next(&mut self) -> Result<Told, StoreError> {
        Ok(match self.0.next().await? {
            Step::Frames(pieces) => Told::Events(pieces),
            Step::End(pulse) => Told::Last(sse::end_event(pulse.status, pulse.head)),
        })
    }

    fn heartbeat(&self) -> String {
        sse::heartbeat_event(self.0.head())
    }
}
