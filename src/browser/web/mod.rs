//! The web APIs, one file each.

mod channel;
mod clipboard;
mod clock;
mod element;
mod frames;
mod listener;
mod location;
mod lock;
mod login_key;
mod notifications;
mod page;
mod random;
mod session;
mod stream;
mod theme;
mod timer;

pub use self::{
    channel::Channel,
    clipboard::copy,
    clock::{now, steady, utc_offset},
    element::{ResizeListener, has_selection, set_style, show_element},
    frames::fetch_frames,
    location::{hash, reload, root_data, set_hash, set_root_data},
    lock::{Lock, LockEvent, has_locks, held_locks},
    login_key::login_key,
    notifications::{ask_permission, permission, show_notification, want_notifications, wants_notifications},
    page::{PageEvents, is_visible},
    random::{random, random_key},
    session::{session_value, set_session_value},
    stream::Stream,
    theme::{apply_theme, stored_theme},
    timer::{MAX_FRAME_WAIT_MS, Timer, pause},
};
