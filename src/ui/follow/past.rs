//! Fetches what came before the frames that the server rendered: in the background if it is little, else as it is scrolled to.

use std::cell::Cell;
use std::rc::{Rc, Weak};

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::engine::Engine;
use super::{BOUND, MOST};
use crate::browser::{NoAnswer, fetch_frames, pause, steady};
use crate::model::{Cursor, Frame};

/// Frames per request.
const PAGE: u64 = 1000;
/// How long frames are read at a stretch, in milliseconds.
const TURN: u64 = 6;
/// The wait after a failure, in milliseconds.
const AGAIN: u64 = 3000;

/// How far the fetching is.
#[derive(Default)]
pub(super) struct Past {
    busy: Cell<bool>,
    reading: Cell<bool>,
}

impl Past {
    /// Whether the reader looks at what came before, so that it should stay.
    pub(super) fn reading(&self) -> bool {
        self.reading.get()
    }

    /// See [`Past::reading`].
    pub(super) fn set_reading(&self, reading: bool) {
        self.reading.set(reading);
    }
}

/// Fetches all older frames, if the whole journal is within the bound.
pub(super) fn fill(engine: &Rc<Engine>) {
    start(engine, false);
}

/// Fetches one more page of older frames.
pub(super) fn load_page(engine: &Rc<Engine>) {
    start(engine, true);
}

fn start(engine: &Rc<Engine>, beyond: bool) {
    if engine.past.busy.replace(true) {
        return;
    }
    let weak = Rc::downgrade(engine);
    spawn_local(async move {
        let mut pages = usize::from(beyond);
        while fetch_page(&weak, &mut pages).await {}
        if let Some(engine) = weak.upgrade() {
            engine.past.busy.set(false);
        }
    });
}

/// Whether there is more to fetch.
async fn fetch_page(weak: &Weak<Engine>, pages: &mut usize) -> bool {
    let Some((run, first)) = weak.upgrade().and_then(|engine| wanted(&engine, *pages)) else { return false };
    *pages = pages.saturating_sub(1);
    let after = first.saturating_sub(1 + PAGE);
    let wanted = first - 1 - after;
    let mut texts = Vec::new();
    // Large frames come fewer at a time.
    while (texts.len() as u64) < wanted {
        let had = texts.len() as u64;
        match fetch_frames(&run, Cursor(after + had), wanted - had).await {
            Ok(answer) if answer.frames.is_empty() => return false,
            Ok(answer) => texts.extend(answer.frames),
            Err(NoAnswer::Failed { floor }) => {
                pause(floor.max(AGAIN)).await;
                return true;
            }
            // The live side sees the same and deals with it.
            Err(NoAnswer::Ahead | NoAnswer::Gone) => return false,
        }
    }
    let Some(frames) = read(texts).await else { return false };
    let Some(engine) = weak.upgrade() else { return false };
    let taken = engine.follow.journal.try_update_value(|journal| journal.prepend(frames));
    engine.show();
    // Not in place: the oldest frames were let go meanwhile, so another page is wanted.
    matches!(taken, Some(Ok(1..)) | Some(Err(_)))
}

/// The run, and the seq of the first frame held, if older ones are to be fetched.
fn wanted(engine: &Engine, pages: usize) -> Option<(crate::model::RunId, u64)> {
    let numbers = engine.follow.journal.try_with_value(|journal| journal.numbers())?;
    let fits = if pages > 0 { numbers.frames < MOST } else { numbers.last <= BOUND as u64 };
    (numbers.first > 1 && fits).then(|| (engine.run.clone(), numbers.first))
}

/// Reads frames a few at a time. `None` if one of them is no frame.
async fn read(texts: Vec<String>) -> Option<Vec<Frame>> {
    let mut frames = Vec::with_capacity(texts.len());
    let mut end = steady() + TURN;
    for text in texts {
        frames.push(serde_json::from_str(&text).ok()?);
        if steady() >= end {
            pause(0).await;
            end = steady() + TURN;
        }
    }
    Some(frames)
}
