//! The JSON API (CONTRACT.md, "HTTP"): reads a request, asks the service, writes the answer.

use std::collections::HashMap;
use std::net::SocketAddr;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, FromRequestParts, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header, request::Parts};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::App;
use super::body::read_json;
use crate::access::Granted;
use crate::model::ParamInput;
use crate::model::attempt::AttemptPage;
use crate::model::compare::AttemptComparison;
use crate::model::queue::Queue;
use crate::model::{DatabaseUsage, LogStream, Pipeline, Problem, ProblemCode, Run, RunFilter, RunPage};
use crate::runs::{Actor, Asked, Begin, Kill, Reply};

/// How many frames the log is read by at a time.
const LOG_PAGE: u32 = 2000;

pub(super) type Answer<T> = Result<T, Problem>;
pub(super) type QueryMap = Result<Query<HashMap<String, String>>, axum::extract::rejection::QueryRejection>;

/// The run's id in an address, whatever it looks like.
pub struct RunPath(pub String);

impl<S: Send + Sync> FromRequestParts<S> for RunPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let Path(id) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::new(ProblemCode::RunNotFound, "There is no such run: its id is not UTF-8."))?;
        Ok(Self(id))
    }
}

/// Who makes a request through the API.
pub struct Caller(pub Actor);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Answer<Self> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
        // Every request passes the guard first.
        let granted = parts.extensions.get::<Granted>();
        let granted = granted.ok_or_else(|| Problem::new(ProblemCode::Internal, "The request came past the guard."))?;
        Ok(Self(granted.actor("the API", peer)))
    }
}

/// What a new run is asked for with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StartBody {
    pipeline: String,
    #[serde(default)]
    params: ParamInput,
    #[serde(default)]
    priority: Option<i32>,
}

/// What a re-run is asked for with.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RerunBody {
    from: Begin,
    params: Option<ParamInput>,
    /// Secrets that are given again, whatever the parameters are.
    secrets: ParamInput,
}

/// `GET /api/v1/pipelines`
pub async fn pipelines(State(app): State<App>) -> Json<Vec<Pipeline>> {
    Json(app.service.pipelines())
}

/// `GET /api/v1/queue`
pub async fn queue(State(app): State<App>) -> Answer<Json<Queue>> {
    app.service.queue().await.map(Json)
}

/// `POST /api/v1/runs`
pub async fn start(
    State(app): State<App>,
    Caller(by): Caller,
    headers: HeaderMap,
    request: Request,
) -> Answer<Response> {
    let key = match headers.get("idempotency-key").map(|key| key.to_str()) {
        None => None,
        Some(Ok(key)) => Some(key),
        Some(Err(_)) => return Err(Problem::new(ProblemCode::BadRequest, "The Idempotency-Key is not ASCII text.")),
    };
    let nothing =
        || Problem::new(ProblemCode::InvalidBody, "The body is empty; give {\"pipeline\": …, \"params\": {…}}.");
    let StartBody { pipeline, params, priority } = read_json(request).await?.ok_or_else(nothing)?;
    let (run, new) = app.service.start(&pipeline, params, priority, key, &by).await?;
    let location = [(header::LOCATION, format!("/api/v1/runs/{}", run.id))];
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, location, Json(run)).into_response())
}

/// `GET /api/v1/runs`
pub async fn list(State(app): State<App>, query: QueryMap) -> Answer<Json<RunPage>> {
    let mut query = read_query(query)?;
    let mut take = |name: &str| query.remove(name).filter(|value| !value.is_empty());
    let status = take("status").map(|word| word.parse()).transpose();
    let status = status.map_err(|error: crate::model::status::UnknownStatus| {
        Problem::new(ProblemCode::BadRequest, error.to_string())
    })?;
    let limit = read_limit(take("limit"))?;
    let filter = RunFilter { status, pipeline: take("pipeline"), q: take("q"), limit, before: take("before") };
    app.service.list(&filter).await.map(Json)
}

/// `GET /api/v1/runs/{id}`
pub async fn show(State(app): State<App>, RunPath(id): RunPath) -> Answer<Json<Run>> {
    app.service.show(&id).await.map(Json)
}

/// `GET /api/v1/runs/{id}/attempts`
pub async fn attempts(State(app): State<App>, RunPath(id): RunPath, query: QueryMap) -> Answer<Json<AttemptPage>> {
    let mut query = read_query(query)?;
    let limit = read_limit(query.remove("limit"))?;
    let before = read_attempt(query.remove("before"))?;
    app.service.attempts(&id, before, limit).await.map(Json)
}

/// `GET /api/v1/runs/{id}/compare`
pub async fn compare(State(app): State<App>, RunPath(id): RunPath, query: QueryMap) -> Answer<Json<AttemptComparison>> {
    let mut query = read_query(query)?;
    let (a, b) = (read_attempt(query.remove("a"))?, read_attempt(query.remove("b"))?);
    app.service.compare(&id, a, b).await.map(Json)
}

/// `POST /api/v1/runs/{id}/rerun`
pub async fn rerun(
    State(app): State<App>,
    RunPath(id): RunPath,
    Caller(by): Caller,
    request: Request,
) -> Answer<Response> {
    let RerunBody { from, params, secrets } = read_json(request).await?.unwrap_or_default();
    let run = app.service.rerun(&id, from, Asked { params, secrets, seen: None }, &by).await?;
    Ok((StatusCode::ACCEPTED, Json(run)).into_response())
}

/// `POST /api/v1/runs/{id}/cancel`
pub async fn cancel(State(app): State<App>, RunPath(id): RunPath, Caller(by): Caller) -> Answer<Response> {
    let run = app.service.cancel(&id, &by, Kill::IfAskedBefore).await?;
    Ok((StatusCode::ACCEPTED, Json(run)).into_response())
}

/// What an answer is given with.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AnswerBody {
    /// The paths of patches to leave out.
    exclude: Vec<String>,
    /// The seq of the question that is answered: `approval.seq` of the run.
    seq: Option<u64>,
    /// Why, in the words of who answers.
    note: Option<String>,
}

/// `POST /api/v1/runs/{id}/approve`
pub async fn approve(app: State<App>, id: RunPath, by: Caller, request: Request) -> Answer<Response> {
    answer(app, id, by, request, true).await
}

/// `POST /api/v1/runs/{id}/reject`
pub async fn reject(app: State<App>, id: RunPath, by: Caller, request: Request) -> Answer<Response> {
    answer(app, id, by, request, false).await
}

async fn answer(
    State(app): State<App>,
    RunPath(id): RunPath,
    Caller(by): Caller,
    request: Request,
    approved: bool,
) -> Answer<Response> {
    let AnswerBody { exclude, seq, note } = read_json(request).await?.unwrap_or_default();
    if !approved && !exclude.is_empty() {
        let detail = "Nothing is applied after a rejection, so there is nothing to `exclude`.";
        return Err(Problem::new(ProblemCode::BadRequest, detail));
    }
    let run = app.service.answer(&id, seq, Reply { approved, exclude, note }, &by).await?;
    Ok((StatusCode::ACCEPTED, Json(run)).into_response())
}

/// `DELETE /api/v1/runs/{id}`
pub async fn delete(State(app): State<App>, RunPath(id): RunPath, Caller(by): Caller) -> Answer<StatusCode> {
    app.service.delete(&id, &by).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/runs/{id}/pin`
pub async fn pin(State(app): State<App>, RunPath(id): RunPath, Caller(by): Caller) -> Answer<Json<Run>> {
    app.service.pin(&id, true, &by).await.map(Json)
}

/// `POST /api/v1/runs/{id}/unpin`
pub async fn unpin(State(app): State<App>, RunPath(id): RunPath, Caller(by): Caller) -> Answer<Json<Run>> {
    app.service.pin(&id, false, &by).await.map(Json)
}

/// `GET /api/v1/database`
pub async fn database(State(app): State<App>) -> Answer<Json<DatabaseUsage>> {
    app.service.database().await.map(Json)
}

/// `GET /api/v1/runs/{id}/frames`
pub async fn frames(State(app): State<App>, RunPath(id): RunPath, query: QueryMap) -> Answer<Response> {
    let mut query = read_query(query)?;
    let limit = read_limit(query.remove("limit"))?;
    let page = app.service.frames(&id, query.get("after").map(String::as_str), limit).await?;
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, page.to_json()).into_response())
}

/// `GET /api/v1/runs/{id}/log`: the text of all log frames up to now, page by page, so that a long one takes no memory.
pub async fn log(State(app): State<App>, RunPath(id): RunPath) -> Answer<Response> {
    // Asked once before the answer begins, so that an unknown run is a 404.
    let head = app.service.show(&id).await?.head;
    let pages = futures::stream::try_unfold(LogText::new(app, id, head), LogText::next);
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_DISPOSITION, "inline; filename=\"log.txt\""),
    ];
    Ok((headers, Body::from_stream(pages)).into_response())
}

/// Where the writing of a log stands.
struct LogText {
    app: App,
    id: String,
    cursor: u64,
    head: u64,
    /// The output whose line was written last and not yet ended: its continuation may follow.
    open: Option<LogStream>,
    done: bool,
}

impl LogText {
    fn new(app: App, id: String, head: u64) -> Self {
        Self { app, id, cursor: 0, head, open: None, done: false }
    }

    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Problem> {
        use crate::model::FramePayload::Log;
        if self.done {
            return Ok(None);
        }
        let (frames, reached) = self.app.service.settled(&self.id, self.cursor, LOG_PAGE).await?;
        let mut text = String::new();
        for frame in frames.iter().filter(|frame| frame.seq <= self.head) {
            let Log(log) = frame.to_frame().payload else { continue };
            if self.open.is_some() && !(log.cont && self.open == Some(log.stream)) {
                text.push('\n');
            }
            text.push_str(&log.line);
            self.open = Some(log.stream);
        }
        self.done = reached == self.cursor || reached >= self.head;
        self.cursor = reached;
        if self.done && self.open.is_some() {
            text.push('\n');
        }
        Ok(Some((Bytes::from(text), self)))
    }
}

pub(super) fn read_query(query: QueryMap) -> Answer<HashMap<String, String>> {
    query.map(|Query(query)| query).map_err(|error| Problem::new(ProblemCode::BadRequest, error.body_text()))
}

fn read_attempt(given: Option<String>) -> Answer<Option<u32>> {
    let fault =
        |text: &str| Problem::new(ProblemCode::BadRequest, format!("`{text}` is no attempt; they count from 1."));
    let read = |text: &str| text.parse().ok().filter(|&attempt| attempt > 0);
    given.filter(|text| !text.is_empty()).map(|text| read(&text).ok_or_else(|| fault(&text))).transpose()
}

pub(super) fn read_limit(given: Option<String>) -> Answer<Option<u32>> {
    let fault =
        |text: &str| Problem::new(ProblemCode::BadRequest, format!("The limit `{text}` is not a whole number."));
    given.map(|text| text.parse().map_err(|_| fault(&text))).transpose()
}
