//! One connection of the stream. When and whether there is another one is not decided here.
//!
//! Read by `fetch`, piece by piece, not by `EventSource`: that hands over everything that has arrived as one event after
//! another in a single task, so that a run that prints fast makes the page deaf. Here the next piece is asked for only when
//! the page has worked off the last one and was drawn; until then it waits at the server, which keeps no queue either.

use std::rc::Rc;

use js_sys::{Reflect, Uint8Array};
use leptos::task::spawn_local;
use serde::Deserialize;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, ReadableStreamDefaultReader, RequestCache, RequestInit, Response};

use super::is_visible;
use super::timer::next_frame_or;
use crate::model::sse::{Event, Parser};
use crate::model::{Code, Status};

/// How long the next piece waits for the page to be drawn, in milliseconds: a page that was just hidden is drawn no more.
const UNDRAWN: u64 = 50;

/// What the stream said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Its first event.
    Ready {
        /// The last seq there is.
        head: u64,
        /// Where the run stands.
        status: Status,
    },
    /// A frame's JSON, not read yet.
    Frame(String),
    /// It is alive.
    Heartbeat,
    /// The run is finished and all is delivered.
    End,
    /// It cannot go on.
    Problem(Code),
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
    head: u64,
    status: Status,
}

#[derive(Deserialize)]
struct Problem {
    code: Code,
}

/// What an event says; `None` for one that is not of the form its name promises, or that this version does not know.
fn said(event: Event) -> Option<Said> {
    match event.event.as_str() {
        "message" => Some(Said::Frame(event.data)),
        "heartbeat" => Some(Said::Heartbeat),
        "end" => Some(Said::End),
        "ready" => serde_json::from_str(&event.data).ok().map(|Ready { head, status }| Said::Ready { head, status }),
        "problem" => serde_json::from_str(&event.data).ok().map(|Problem { code }| Said::Problem(code)),
        _ => None,
    }
}

impl Stream {
    /// Opens a connection; all that it says goes to `heard`, and nothing while `busy` says so. `None` if the browser cannot.
    pub fn open(url: &str, heard: impl Fn(Said) + 'static, busy: impl Fn() -> bool + 'static) -> Option<Self> {
        let abort = AbortController::new().ok()?;
        let init = RequestInit::new();
        init.set_signal(Some(&abort.signal()));
        init.set_cache(RequestCache::NoStore);
        let answer = web_sys::window()?.fetch_with_str_and_init(url, &init);
        let heard = Rc::new(heard);
        spawn_local(async move {
            // However it ends, the last word is that it did; after `End` or a problem nobody listens any more.
            let _ = listen(JsFuture::from(answer), heard.as_ref(), busy).await;
            heard(Said::Lost);
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
async fn listen(answer: JsFuture, heard: &impl Fn(Said), busy: impl Fn() -> bool) -> Result<(), JsValue> {
    let response: Response = answer.await?.dyn_into()?;
    match response.status() {
        200 => {}
        // All is delivered: the run is finished.
        204 => {
            heard(Said::End);
            return Ok(());
        }
        401 => {
            heard(Said::Problem(Code::Unauthorized));
            return Ok(());
        }
        _ => return Ok(()),
    }
    let Some(body) = response.body() else { return Ok(()) };
    let reader: ReadableStreamDefaultReader = body.get_reader().dyn_into()?;
    let mut parser = Parser::new("");
    loop {
        let piece = JsFuture::from(reader.read()).await?;
        if Reflect::get(&piece, &"done".into())?.is_truthy() {
            return Ok(());
        }
        let bytes: Uint8Array = Reflect::get(&piece, &"value".into())?.dyn_into()?;
        parser.push(&bytes.to_vec()).into_iter().filter_map(said).for_each(heard);
        // A hidden page is not drawn, and nobody waits for it.
        while is_visible() && busy() {
            next_frame_or(UNDRAWN).await;
        }
    }
}
