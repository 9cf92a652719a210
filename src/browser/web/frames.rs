//! The poll: `GET /api/v1/runs/{id}/frames`.

use gloo_net::http::Request;
use serde::Deserialize;
use serde_json::value::RawValue;
use web_sys::AbortSignal;

use crate::base;
use crate::feed::{FeedEvent, PollError};
use crate::model::backoff::retry_after;
use crate::model::{Cursor, Pin, Problem, ProblemCode, RunId, Status};

/// A poll that takes longer has failed, in milliseconds.
const POLL_TIMEOUT_MS: u32 = 15_000;

/// A page of frames. They are not parsed: there may be many, and the page must stay responsive.
#[derive(Debug)]
pub struct RawFramePage {
    /// The JSON of each frame, in order.
    pub frames: Vec<String>,
    /// The JSON of later frames that redraw rows of these.
    pub redraws: Vec<String>,
    head: u64,
    status: Status,
    pin: Pin,
}

impl RawFramePage {
    /// The frames, then what the server says about the run.
    pub fn into_events(self) -> [FeedEvent; 2] {
        let Self { frames, head, status, pin, .. } = self;
        [FeedEvent::Frames { frames }, FeedEvent::Polled { head, is_active: status.is_active(), pin }]
    }
}

#[derive(Deserialize)]
struct ResponseBody {
    frames: Vec<Box<RawValue>>,
    #[serde(default)]
    redraws: Vec<Box<RawValue>>,
    head: u64,
    status: Status,
    // `Pin` is not flattened: serde would then parse the frames first.
    #[serde(default)]
    pinned: bool,
    #[serde(default)]
    pins: u64,
}

/// Requests at most `limit` frames after the cursor.
///
/// # Errors
/// The server did not answer, has no such run, or has fewer frames than the cursor.
pub async fn fetch_frames(run: &RunId, after: Cursor, limit: u64) -> Result<RawFramePage, PollError> {
    let url = base::path(&format!("/api/v1/runs/{run}/frames?after={}&limit={limit}", after.0));
    let failed = PollError::Unavailable { retry_after_ms: 0 };
    let signal = AbortSignal::timeout_with_u32(POLL_TIMEOUT_MS);
    let response = Request::get(&url).abort_signal(Some(&signal)).send().await.map_err(|_| failed)?;
    let header = response.headers().get("Retry-After");
    let retry_after_ms = header.and_then(|header| retry_after(&header)).unwrap_or(0);
    let text = response.text().await.map_err(|_| failed)?;
    if response.ok() {
        let body: ResponseBody = serde_json::from_str(&text).map_err(|_| failed)?;
        let ResponseBody { frames, redraws, head, status, pinned, pins } = body;
        let texts = |frames: Vec<Box<RawValue>>| frames.iter().map(|frame| frame.get().to_owned()).collect();
        let pin = Pin { pinned, pins };
        return Ok(RawFramePage { frames: texts(frames), redraws: texts(redraws), head, status, pin });
    }
    match serde_json::from_str::<Problem>(&text).map(|problem| problem.code) {
        Ok(ProblemCode::CursorAhead) => Err(PollError::CursorAhead),
        Ok(ProblemCode::RunNotFound) => Err(PollError::RunNotFound),
        Ok(_) | Err(_) => Err(PollError::Unavailable { retry_after_ms }),
    }
}
