//! The channel between the tabs of one browser (BroadcastChannel).

use wasm_bindgen::JsCast;
use web_sys::{BroadcastChannel, MessageEvent};

use super::listener::Listener;
use crate::base;

/// An open channel. Dropping it closes it.
///
/// It also delivers what it posts, so that a tab can tell that its channel works. A `BroadcastChannel` does not deliver
/// to itself, so there are two.
#[derive(Debug)]
pub struct Channel {
    sender: BroadcastChannel,
    receiver: BroadcastChannel,
    _listener: Listener,
}

impl Channel {
    /// Opens the channel with this name, which the pages of this server share. `None` if the browser has no channels.
    pub fn open(name: &str, on_text: impl Fn(String) + 'static) -> Option<Self> {
        let name = base::name(name);
        let (sender, receiver) = (BroadcastChannel::new(&name).ok()?, BroadcastChannel::new(&name).ok()?);
        let listener = Listener::on(&receiver, "message", move |event| {
            if let Some(text) = event.dyn_ref::<MessageEvent>().and_then(|event| event.data().as_string()) {
                on_text(text);
            }
        });
        Some(Self { sender, receiver, _listener: listener })
    }

    /// Posts a text to all tabs.
    pub fn post(&self, text: &str) {
        // Fails only on a closed channel.
        let _ = self.sender.post_message(&text.into());
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.sender.close();
        self.receiver.close();
    }
}
