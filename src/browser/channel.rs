//! The channel between the tabs of one browser (BroadcastChannel).

use wasm_bindgen::JsCast;
use web_sys::{BroadcastChannel, MessageEvent};

use super::Listener;
use crate::base;

/// Takes part in a channel until dropped.
///
/// What it posts it hears too: a channel does not tell its own object, so it has two. Who hears itself knows that the
/// channel works.
#[derive(Debug)]
pub struct Channel {
    mouth: BroadcastChannel,
    ear: BroadcastChannel,
    _listener: Listener,
}

impl Channel {
    /// Opens the channel of this name, which the pages of this server share; each text that is posted goes to `heard`. `None` if the browser has no channels.
    pub fn open(name: &str, heard: impl Fn(String) + 'static) -> Option<Self> {
        let name = base::name(name);
        let (mouth, ear) = (BroadcastChannel::new(&name).ok()?, BroadcastChannel::new(&name).ok()?);
        let listener = Listener::on(&ear, "message", move |event| {
            if let Some(text) = event.dyn_ref::<MessageEvent>().and_then(|event| event.data().as_string()) {
                heard(text);
            }
        });
        Some(Self { mouth, ear, _listener: listener })
    }

    /// Tells all tabs.
    pub fn post(&self, text: &str) {
        // Refused only once it is closed.
        let _ = self.mouth.post_message(&text.into());
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.mouth.close();
        self.ear.close();
    }
}
