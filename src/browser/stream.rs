//! One connection of the stream. When and whether there is another one is not decided here.
//!
//! Read by `fetch`, piece by piece, not by `EventSource`: that hands over everything that has arrived as one event after
//! another in a single task, so that a run that prints fast makes the page deaf. Here the next piece is asked for only when
//! the page has worked off the last one and was drawn; until then it waits at the server, which keeps no queue either.

use std::collections::BTreeMap;
use std::rc::Rc;

use js_sys::{Reflect, Uint8Array};
use leptos::task::spawn_local;
use serde::Deserialize;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, ReadableStreamDefaultReader, RequestCache, RequestInit, Response};

use super::is_visible;
use super::timer::{UNDRAWN, next_frame_or};
use crate::feed::backoff::retry_after;
use crate::model::sse::{SseEvent, SseParser, StreamPosition};
use crate::model::{ProblemCode, RunId};

/// What the stream said (CONTRACT.md, "Many runs over one connection").
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamSaid {
    /// Its first event.
    Ready {
        /// Where each run stands.
        runs: Vec<StreamPosition>,
        /// Whether it tells of the list.
        list: bool,
    },
    /// A frame.
    Frame {
        /// Its run.
        run: RunId,
        /// Its place in the run's journal.
        seq: u64,
        /// Its JSON, not read yet.
        json: String,
    },
    /// It is alive.
    Heartbeat {
        /// The last seq of each run.
        heads: BTreeMap<RunId, u64>,
    },
    /// This run is finished and all of it is delivered, or it was deleted.
    End(RunId),
    /// A run of the list, as JSON.
    List(String),
    /// All runs are finished and all of them is delivered.
    Nothing,
    /// The server gave no stream.
    Refused {
        /// A run is not there any more, or its history does not reach the cursor.
        not_there: bool,
        /// For how many milliseconds the server asked to be left alone.
        floor: u64,
    },
    /// It cannot go on.
    Problem(ProblemCode),
    /// It failed or was closed.
    Lost,
}

/// An open connection; dropping it closes it.
#[derive(Debug)]
pub struct Stream {
    abort: AbortController,
}

#[derive(Deserialize)]
struct Ready {
    runs: Vec<StreamPosition>,
    list: bool,
}

#[derive(Deserialize)]
struct Heartbeat {
    heads: BTreeMap<RunId, u64>,
}

#[derive(Deserialize)]
struct End {
    run: RunId,
}

#[derive(Deserialize)]
struct Problem {
    code: ProblemCode,
    /// Given if the problem is this run's alone: it was deleted.
    run: Option<RunId>,
}

/// What an event says; `None` for one that is not of the form its name promises, or that this version does not know.
fn said(event: SseEvent) -> Option<StreamSaid> {
    let data = &event.data;
    match event.event.as_str() {
        "message" => {
            let (run, seq) = event.last_event_id.rsplit_once(':')?;
            Some(StreamSaid::Frame { run: run.parse().ok()?, seq: seq.parse().ok()?, json: event.data })
        }
        "heartbeat" => serde_json::from_str(data).ok().map(|Heartbeat { heads }| StreamSaid::Heartbeat { heads }),
        "end" => serde_json::from_str(data).ok().map(|End { run }| StreamSaid::End(run)),
        "list" => Some(StreamSaid::List(event.data)),
        "ready" => serde_json::from_str(data).ok().map(|Ready { runs, list }| StreamSaid::Ready { runs, list }),
        "problem" => serde_json::from_str(data).ok().map(|Problem { code, run }| match run {
            // Its page asks once more and learns why.
            Some(run) => StreamSaid::End(run),
            None => StreamSaid::Problem(code),
        }),
        _ => None,
    }
}

impl Stream {
    /// Opens a connection; what it says goes to `heard`, all of a piece at once, and nothing while `busy` says so. `None` if
    /// the browser cannot.
    pub fn open(
        url: &str,
        heard: impl Fn(Vec<StreamSaid>) + 'static,
        busy: impl Fn() -> bool + 'static,
    ) -> Option<Self> {
        let abort = AbortController::new().ok()?;
        let init = RequestInit::new();
        init.set_signal(Some(&abort.signal()));
        init.set_cache(RequestCache::NoStore);
        let answer = web_sys::window()?.fetch_with_str_and_init(url, &init);
        let heard = Rc::new(heard);
        spawn_local(async move {
            // However it ends, the last word is that it did; after a problem nobody listens any more.
            let _ = listen(JsFuture::from(answer), heard.as_ref(), busy).await;
            heard(vec![StreamSaid::Lost]);
        });
        Some(Self { abort })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

/// Reads to the end of the answer.
///
/// # Errors
/// The connection failed or was closed.
async fn listen(answer: JsFuture, heard: &impl Fn(Vec<StreamSaid>), busy: impl Fn() -> bool) -> Result<(), JsValue> {
    let response: Response = answer.await?.dyn_into()?;
    match response.status() {
        200 => {}
        // All is delivered: the runs are finished.
        204 => {
            heard(vec![StreamSaid::Nothing]);
            return Ok(());
        }
        401 => {
            heard(vec![StreamSaid::Problem(ProblemCode::Unauthorized)]);
            return Ok(());
        }
        status => {
            let floor = response.headers().get("Retry-After")?.and_then(|header| retry_after(&header)).unwrap_or(0);
            heard(vec![StreamSaid::Refused { not_there: matches!(status, 404 | 409), floor }]);
            return Ok(());
        }
    }
    let Some(body) = response.body() else { return Ok(()) };
    let reader: ReadableStreamDefaultReader = body.get_reader().dyn_into()?;
    let mut parser = SseParser::new("");
    loop {
        let piece = JsFuture::from(reader.read()).await?;
        if Reflect::get(&piece, &"done".into())?.is_truthy() {
            return Ok(());
        }
        let bytes: Uint8Array = Reflect::get(&piece, &"value".into())?.dyn_into()?;
        heard(parser.push(&bytes.to_vec()).into_iter().filter_map(said).collect());
        // A hidden page is not drawn, and nobody waits for it.
        while is_visible() && busy() {
            next_frame_or(UNDRAWN).await;
        }
    }
}
