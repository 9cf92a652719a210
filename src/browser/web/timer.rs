//! Timers that stop when they are dropped.

use js_sys::{Function, Promise};
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use wasm_bindgen_futures::JsFuture;

/// A scheduled call. Dropping it cancels the call.
#[derive(Debug)]
pub struct Timer {
    /// What makes the call: if there are several, the first to fire.
    sources: Vec<(Kind, i32)>,
    _call: Closure<dyn FnMut()>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Timeout,
    Interval,
    Frame,
}

/// The longest wait for the page to be drawn. A page that was just hidden is not drawn any more, and one behind another
/// window may still report that it is visible.
pub const MAX_FRAME_WAIT_MS: u64 = 50;

/// The longest timer that browsers support.
const MAX_TIMER_MS: u64 = i32::MAX as u64;

impl Timer {
    /// Calls once after so many milliseconds, or later: browsers throttle timers of hidden pages.
    pub fn after(milliseconds: u64, call: impl FnOnce() + 'static) -> Self {
        Self::new(&[Kind::Timeout], once(call), milliseconds)
    }

    /// Calls repeatedly, with so many milliseconds between.
    pub fn every(milliseconds: u64, call: impl Fn() + 'static) -> Self {
        Self::new(&[Kind::Interval], Closure::new(call), milliseconds)
    }

    /// Calls once before the page is drawn next, or after so many milliseconds.
    pub fn next_frame_or(milliseconds: u64, call: impl FnOnce() + 'static) -> Self {
        Self::new(&[Kind::Frame, Kind::Timeout], once(call), milliseconds)
    }

    fn new(kinds: &[Kind], call: Closure<dyn FnMut()>, milliseconds: u64) -> Self {
        let function: &Function = call.as_ref().unchecked_ref();
        let milliseconds = i32::try_from(milliseconds.min(MAX_TIMER_MS)).unwrap_or(i32::MAX);
        let set = |kind| {
            let window = web_sys::window()?;
            let id = match kind {
                Kind::Timeout => window.set_timeout_with_callback_and_timeout_and_arguments_0(function, milliseconds),
                Kind::Interval => window.set_interval_with_callback_and_timeout_and_arguments_0(function, milliseconds),
                Kind::Frame => window.request_animation_frame(function),
            };
            Some((kind, id.ok()?))
        };
        Self { sources: kinds.iter().copied().filter_map(set).collect(), _call: call }
    }
}

fn once(call: impl FnOnce() + 'static) -> Closure<dyn FnMut()> {
    let mut call = Some(call);
    Closure::new(move || {
        if let Some(call) = call.take() {
            call();
        }
    })
}

impl Drop for Timer {
    fn drop(&mut self) {
        let Some(window) = web_sys::window() else { return };
        for &(kind, id) in &self.sources {
            match kind {
                Kind::Timeout => window.clear_timeout_with_handle(id),
                Kind::Interval => window.clear_interval_with_handle(id),
                Kind::Frame => {
                    let _ = window.cancel_animation_frame(id);
                }
            }
        }
    }
}

/// Yields to the browser for so many milliseconds.
pub async fn pause(milliseconds: u64) {
    let milliseconds = i32::try_from(milliseconds.min(MAX_TIMER_MS)).unwrap_or(i32::MAX);
    let promise = Promise::new(&mut |resolve, _| {
        if let Some(window) = web_sys::window() {
            let _ = window.set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, milliseconds);
        }
    });
    let _ = JsFuture::from(promise).await;
}

/// Waits until the page is drawn next, or for so many milliseconds.
pub async fn next_frame_or(milliseconds: u64) {
    let milliseconds = i32::try_from(milliseconds.min(MAX_TIMER_MS)).unwrap_or(i32::MAX);
    let promise = Promise::new(&mut |resolve, _| {
        if let Some(window) = web_sys::window() {
            // The first of the two resolves the promise; the other has no effect.
            let _ = window.set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, milliseconds);
            let _ = window.request_animation_frame(&resolve);
        }
    });
    let _ = JsFuture::from(promise).await;
}
