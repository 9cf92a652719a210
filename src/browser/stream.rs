//! One connection of the stream. When and whether there is another one is not decided here: a native `EventSource` would
//! give up for good on any answer but 200, so it is closed at its first error.

use std::rc::Rc;

use serde::Deserialize;
use wasm_bindgen::JsCast;
use web_sys::{EventSource, MessageEvent};

use super::Listener;
use crate::model::{Code, Status};

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
    source: EventSource,
    _listeners: [Listener; 6],
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

fn data(event: &web_sys::Event) -> Option<String> {
    event.dyn_ref::<MessageEvent>()?.data().as_string()
}

fn read<T: for<'a> Deserialize<'a>>(event: &web_sys::Event) -> Option<T> {
    serde_json::from_str(&data(event)?).ok()
}

impl Stream {
    /// Opens a connection; all that it says goes to `heard`. `None` if the browser refuses the address.
    pub fn open(url: &str, heard: impl Fn(Said) + 'static) -> Option<Self> {
        let source = EventSource::new(url).ok()?;
        let heard = Rc::new(heard);
        let on = |name, said: fn(&web_sys::Event) -> Option<Said>| {
            let heard = Rc::clone(&heard);
            Listener::on(&source, name, move |event| {
                if let Some(said) = said(&event) {
                    heard(said);
                }
            })
        };
        let listeners = [
            on("ready", |event| read(event).map(|Ready { head, status }| Said::Ready { head, status })),
            on("message", |event| data(event).map(Said::Frame)),
            on("heartbeat", |_| Some(Said::Heartbeat)),
            on("end", |_| Some(Said::End)),
            on("problem", |event| read(event).map(|Problem { code }| Said::Problem(code))),
            on("error", |_| Some(Said::Lost)),
        ];
        Some(Self { source, _listeners: listeners })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.source.close();
    }
}
