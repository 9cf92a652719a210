//! The response of `GET /events`, read piece by piece.
//!
//! By `fetch`, not by `EventSource`: that dispatches everything that has arrived in a single task, so a run that prints
//! fast would freeze the page. Here the next piece is read when the page has applied the last one and was drawn. Until
//! then it waits at the server, which does not queue it either.

use std::rc::Rc;

use js_sys::{Reflect, Uint8Array};
use leptos::task::spawn_local;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, ReadableStreamDefaultReader, RequestCache, RequestInit, Response};

use super::is_visible;
use super::timer::{MAX_FRAME_WAIT_MS, next_frame_or};
use crate::feed::tabs::StreamSignal;
use crate::model::backoff::retry_after;
use crate::model::sse::SseParser;

/// An open connection. Dropping it closes it.
#[derive(Debug)]
pub struct Stream {
    abort: AbortController,
}

impl Stream {
    /// Opens a connection. While `is_busy`, nothing more is read. The last signal is [`StreamSignal::Closed`]. `None`
    /// if the browser cannot.
    pub fn open(
        url: &str,
        on_signal: impl Fn(StreamSignal) + 'static,
        is_busy: impl Fn() -> bool + 'static,
    ) -> Option<Self> {
        let abort = AbortController::new().ok()?;
        let init = RequestInit::new();
        init.set_signal(Some(&abort.signal()));
        init.set_cache(RequestCache::NoStore);
        let response = web_sys::window()?.fetch_with_str_and_init(url, &init);
        let on_signal = Rc::new(on_signal);
        spawn_local(async move {
            // An error closes the stream like an end does.
            let _ = read(JsFuture::from(response), on_signal.as_ref(), is_busy).await;
            on_signal(StreamSignal::Closed);
        });
        Some(Self { abort })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

/// Reads the response to its end.
///
/// # Errors
/// The connection failed or was closed.
async fn read(
    response: JsFuture,
    on_signal: &impl Fn(StreamSignal),
    is_busy: impl Fn() -> bool,
) -> Result<(), JsValue> {
    let response: Response = response.await?.dyn_into()?;
    match response.status() {
        200 => {}
        204 => {
            on_signal(StreamSignal::Complete);
            return Ok(());
        }
        status => {
            let header = response.headers().get("Retry-After")?;
            let retry_after_ms = header.and_then(|header| retry_after(&header)).unwrap_or(0);
            on_signal(StreamSignal::Refused { status, retry_after_ms });
            return Ok(());
        }
    }
    let Some(body) = response.body() else { return Ok(()) };
    let reader: ReadableStreamDefaultReader = body.get_reader().dyn_into()?;
    let mut parser = SseParser::new("");
    loop {
        let chunk = JsFuture::from(reader.read()).await?;
        if Reflect::get(&chunk, &"done".into())?.is_truthy() {
            return Ok(());
        }
        let bytes: Uint8Array = Reflect::get(&chunk, &"value".into())?.dyn_into()?;
        on_signal(StreamSignal::Events(parser.push(&bytes.to_vec())));
        // A hidden page is not drawn, and nobody waits for it.
        while is_visible() && is_busy() {
            next_frame_or(MAX_FRAME_WAIT_MS).await;
        }
    }
}
