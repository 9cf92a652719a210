//! The connection chip: how the page receives updates.

use leptos::prelude::*;

use crate::feed::ConnectionState;
use crate::feed::tabs::TabRole;

const fn label(link: ConnectionState) -> &'static str {
    match link {
        ConnectionState::Connecting => "Connecting",
        ConnectionState::Live => "Live",
        ConnectionState::Retrying => "Reconnecting",
        ConnectionState::Polling => "Polling",
        ConnectionState::Ended => "Ended",
        ConnectionState::Offline => "Offline",
    }
}

const fn explanation(link: ConnectionState) -> &'static str {
    match link {
        ConnectionState::Connecting => "Connecting…",
        ConnectionState::Live => "Live: updates appear instantly.",
        ConnectionState::Retrying => "Can't reach the server. Retrying; nothing will be lost.",
        ConnectionState::Polling => "Live updates unavailable. Checking every few seconds; nothing will be lost.",
        ConnectionState::Ended => "Run finished. A re-run will show up here automatically.",
        ConnectionState::Offline => "You're offline. The page will catch up when you're back.",
    }
}

/// How tabs share the connection.
const fn shared(role: TabRole) -> &'static str {
    match role {
        TabRole::Leader => " Your other tabs share this tab's connection.",
        TabRole::Follower => " Updates arrive through another tab.",
        TabRole::Solo => "",
    }
}

/// The chip. Hidden once there is nothing left to receive.
#[component]
pub fn ConnectionChip(
    link: RwSignal<ConnectionState>,
    /// The tab's role in the connection that the tabs of this browser share.
    role: RwSignal<TabRole>,
) -> impl IntoView {
    view! {
        <div
            class="chip relative rounded focus-visible:outline-2 noscript:hidden"
            class:hidden=move || link.get() == ConnectionState::Ended
            data-testid="connection"
            data-state=move || link.get().as_str()
            data-role=move || role.get().as_str()
            tabindex="0"
            aria-describedby="connection-meaning"
        >
            <span class="chip-dot" aria-hidden="true"></span>
            <span role="status">{move || label(link.get())}</span>
            <span class="tip" role="tooltip" id="connection-meaning">
                {move || explanation(link.get())} {move || shared(role.get())}
            </span>
        </div>
    }
}
