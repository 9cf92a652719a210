//! The connection chip: how the page gets its frames, in a word, and what that means.

use leptos::prelude::*;

use crate::feed::ConnectionState;
use crate::feed::tabs::TabRole;

/// The word for people.
const fn word(link: ConnectionState) -> &'static str {
    match link {
        ConnectionState::Connecting => "Connecting",
        ConnectionState::Live => "Live",
        ConnectionState::Retrying => "Reconnecting",
        ConnectionState::Polling => "Polling",
        ConnectionState::Ended => "Ended",
        ConnectionState::Offline => "Offline",
    }
}

const fn meaning(link: ConnectionState) -> &'static str {
    match link {
        ConnectionState::Connecting => "The live stream is being opened.",
        ConnectionState::Live => "Activity appears the moment it is written.",
        ConnectionState::Retrying => {
            "The server does not answer. The page keeps trying and will catch up; nothing is lost."
        }
        ConnectionState::Polling => {
            "The live stream is blocked or away, so the page asks every few seconds and keeps trying. Nothing is lost."
        }
        ConnectionState::Ended => {
            "The run is finished and all of its activity is here. A re-run is followed by itself."
        }
        ConnectionState::Offline => "This browser has no network. The page catches up as soon as it is back.",
    }
}

const fn part(role: TabRole) -> &'static str {
    match role {
        TabRole::Leader => " This tab holds the connection for all of this browser's tabs.",
        TabRole::Follower => " Another tab of this browser holds the connection.",
        TabRole::Solo => "",
    }
}

/// The connection chip.
#[component]
pub fn ConnectionChip(
    /// How the page is connected.
    link: RwSignal<ConnectionState>,
    /// The tab's part in the browser's one connection.
    role: RwSignal<TabRole>,
) -> impl IntoView {
    view! {
        <div
            class="chip relative rounded focus-visible:outline-2 noscript:hidden"
            data-testid="connection"
            data-state=move || link.get().as_str()
            data-role=move || role.get().as_str()
            tabindex="0"
            aria-describedby="connection-meaning"
        >
            <span class="chip-dot" aria-hidden="true"></span>
            <span role="status">{move || word(link.get())}</span>
            <span class="tip" role="tooltip" id="connection-meaning">
                {move || meaning(link.get())} {move || part(role.get())}
            </span>
        </div>
    }
}
