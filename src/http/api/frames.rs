//! The frames of a run, as JSON and as text (docs/CONTRACT.md, "Runs").

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::http::extract::{ApiResult, QueryParams, QueryResult, RunIdPath, parse_limit};
use crate::http::state::AppState;
use crate::model::{LogStream, Problem};

/// How many frames of a log are read at a time.
const LOG_PAGE_FRAMES: u32 = 2000;

/// `GET /api/v1/runs/{id}/frames`
pub async fn list(State(app): State<AppState>, RunIdPath(id): RunIdPath, query: QueryResult) -> ApiResult<Response> {
    let mut query = QueryParams::read(query)?;
    let limit = parse_limit(query.take("limit"))?;
    let page = crate::runs::frames(&app.backend, &id, query.take("after").as_deref(), limit).await?;
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, page.to_json()).into_response())
}

/// `GET /api/v1/runs/{id}/log`: the text of all log frames up to the current head. Written page by page, so that memory
/// does not grow with the length of the log.
pub async fn log(State(app): State<AppState>, RunIdPath(id): RunIdPath) -> ApiResult<Response> {
    // Before the response begins, so that an unknown run is a 404.
    let head = crate::runs::get(&app.backend, &id).await?.head;
    let pages = futures::stream::try_unfold(LogWriter::new(app, id, head), LogWriter::next_page);
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_DISPOSITION, "inline; filename=\"log.txt\""),
    ];
    Ok((headers, Body::from_stream(pages)).into_response())
}

/// Writes log frames as text.
struct LogWriter {
    app: AppState,
    id: String,
    cursor: u64,
    head: u64,
    /// The output of the last row, whose line break is not written yet: the next frame may continue the row.
    unfinished_row: Option<LogStream>,
    is_done: bool,
}

impl LogWriter {
    fn new(app: AppState, id: String, head: u64) -> Self {
        Self { app, id, cursor: 0, head, unfinished_row: None, is_done: false }
    }

    async fn next_page(mut self) -> Result<Option<(Bytes, Self)>, Problem> {
        use crate::model::FramePayload::Log;
        if self.is_done {
            return Ok(None);
        }
        let (frames, reached) =
            crate::runs::final_log(&self.app.backend, &self.id, self.cursor, LOG_PAGE_FRAMES).await?;
        let mut text = String::new();
        for frame in frames.iter().filter(|frame| frame.seq <= self.head) {
            let Log(log) = frame.to_frame().payload else { continue };
            if self.unfinished_row.is_some() && !(log.cont && self.unfinished_row == Some(log.stream)) {
                text.push('\n');
            }
            text.push_str(&log.line);
            self.unfinished_row = Some(log.stream);
        }
        self.is_done = reached == self.cursor || reached >= self.head;
        self.cursor = reached;
        if self.is_done && self.unfinished_row.is_some() {
            text.push('\n');
        }
        Ok(Some((Bytes::from(text), self)))
    }
}
