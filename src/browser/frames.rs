//! The poll: `GET /api/v1/runs/{id}/frames`.

use gloo_net::http::Request;
use serde::Deserialize;
use serde_json::value::RawValue;
use web_sys::AbortSignal;

use crate::base;
use crate::feed::backoff::retry_after;
use crate::model::{Cursor, Pin, Problem, ProblemCode, RunId, Status};

/// A poll that takes longer has failed.
const PATIENCE: u32 = 15_000;

/// What a poll brought. The frames are not read yet: there may be many, and the page must stay responsive.
#[derive(Debug)]
pub struct Answer {
    /// Each frame's JSON, in order.
    pub frames: Vec<String>,
    /// The JSON of frames after these that rows among them show now.
    pub redraws: Vec<String>,
    /// The last seq there is.
    pub head: u64,
    /// Where the run stands.
    pub status: Status,
    /// Whether the run is pinned.
    pub pin: Pin,
}

/// Why a poll brought nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The cursor is ahead: the server knows another history.
    Ahead,
    /// There is no such run.
    Gone,
    /// Anything else.
    Failed {
        /// For how many milliseconds the server asks to be left alone.
        floor: u64,
    },
}

/// The page of frames, its frames still text.
#[derive(Deserialize)]
struct Page {
    frames: Vec<Box<RawValue>>,
    #[serde(default)]
    redraws: Vec<Box<RawValue>>,
    head: u64,
    status: Status,
    // Not flattened: what is would be read before the frames are left as text.
    #[serde(default)]
    pinned: bool,
    #[serde(default)]
    pins: u64,
}

/// The frames after the cursor, at most `limit`.
pub async fn fetch_frames(run: &RunId, after: Cursor, limit: u64) -> Result<Answer, NoAnswer> {
    let url = base::path(&format!("/api/v1/runs/{run}/frames?after={}&limit={limit}", after.0));
    let failed = NoAnswer::Failed { floor: 0 };
    let signal = AbortSignal::timeout_with_u32(PATIENCE);
    let response = Request::get(&url).abort_signal(Some(&signal)).send().await.map_err(|_| failed)?;
    let floor = response.headers().get("Retry-After").and_then(|header| retry_after(&header)).unwrap_or(0);
    let text = response.text().await.map_err(|_| failed)?;
    if response.ok() {
        let Page { frames, redraws, head, status, pinned, pins } = serde_json::from_str(&text).map_err(|_| failed)?;
        let owned = |frames: Vec<Box<RawValue>>| frames.iter().map(|frame| frame.get().to_owned()).collect();
        return Ok(Answer { frames: owned(frames), redraws: owned(redraws), head, status, pin: Pin { pinned, pins } });
    }
    match serde_json::from_str::<Problem>(&text).map(|problem| problem.code) {
        Ok(ProblemCode::CursorAhead) => Err(NoAnswer::Ahead),
        Ok(ProblemCode::RunNotFound) => Err(NoAnswer::Gone),
        Ok(_) | Err(_) => Err(NoAnswer::Failed { floor }),
    }
}
