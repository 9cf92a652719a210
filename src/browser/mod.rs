//! The only code that touches web APIs: one API a file.
//!
//! In the browser each handle ends with what it stands for: dropping a [`Stream`] closes it, dropping a [`Timer`] stops it.
//! On the server the same names do nothing, so that the pages compile for both; effects, which alone call them, never run
//! there.

#[cfg(feature = "hydrate")]
mod channel;
#[cfg(feature = "hydrate")]
mod clipboard;
#[cfg(feature = "hydrate")]
mod clock;
#[cfg(feature = "hydrate")]
mod element;
#[cfg(feature = "hydrate")]
mod frames;
#[cfg(feature = "hydrate")]
mod listener;
#[cfg(feature = "hydrate")]
mod location;
#[cfg(feature = "hydrate")]
mod lock;
#[cfg(feature = "hydrate")]
mod login_key;
#[cfg(feature = "hydrate")]
mod notifications;
#[cfg(feature = "hydrate")]
mod page;
#[cfg(feature = "hydrate")]
mod random;
#[cfg(feature = "hydrate")]
mod session;
#[cfg(feature = "hydrate")]
mod stream;
#[cfg(feature = "hydrate")]
mod theme;
#[cfg(feature = "hydrate")]
mod timer;

#[cfg(feature = "hydrate")]
pub use self::{
    channel::Channel,
    clipboard::copy,
    clock::{now, steady, utc_offset},
    element::{ResizeListener, has_selection, set_style, show_element},
    frames::{Answer, NoAnswer, fetch_frames},
    listener::Listener,
    location::{hash, reload, root_data, set_hash, set_root_data},
    lock::{Lock, LockEvent, has_locks, held_locks},
    login_key::login_key,
    notifications::{ask_permission, permission, show_notification, want_notifications, wants_notifications},
    page::{PageEvent, PageEvents, is_visible},
    random::{random, random_key},
    session::{session_value, set_session_value},
    stream::{Stream, StreamSaid},
    theme::{apply_theme, stored_theme},
    timer::{MAX_FRAME_WAIT_MS, Timer, pause},
};

/// Whether the browser shows notifications of this page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// It does.
    Granted,
    /// The reader, or the browser, has refused it.
    Denied,
    /// Nobody has asked the reader.
    NotAsked,
    /// There are none: the browser has none, or none for pages that come over plain HTTP from another machine.
    Absent,
}

#[cfg(not(feature = "hydrate"))]
mod server;
#[cfg(not(feature = "hydrate"))]
pub use server::*;
