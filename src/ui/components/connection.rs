//! The connection chip: how the page receives updates.

use leptos::prelude::*;

use crate::feed::Link;
use crate::feed::tabs::Role;

const fn label(link: Link) -> &'static str {
    match link {
        Link::Connecting => "Connecting",
        Link::Live => "Live",
        Link::Retrying => "Reconnecting",
        Link::Polling => "Polling",
        Link::Ended => "Ended",
        Link::Offline => "Offline",
    }
}

const fn explanation(link: Link) -> &'static str {
    match link {
        Link::Connecting => "Connecting…",
        Link::Live => "Live: updates appear instantly.",
        Link::Retrying => "Can't reach the server. Retrying; nothing will be lost.",
        Link::Polling => "Live updates unavailable. Checking every few seconds; nothing will be lost.",
        Link::Ended => "Run finished. A re-run will show up here automatically.",
        Link::Offline => "You're offline. The page will catch up when you're back.",
    }
}

/// How tabs share the connection.
const fn shared(role: Role) -> &'static str {
    match role {
        Role::Leader => " Your other tabs share this tab's connection.",
        Role::Follower => " Updates arrive through another tab.",
        Role::Solo => "",
    }
}

/// The chip. Hidden once there is nothing left to receive.
#[component]
pub fn ConnectionChip(
    link: RwSignal<Link>,
    /// The tab's role in the connection that the tabs of this browser share.
    role: RwSignal<Role>,
) -> impl IntoView {
    view! {
        <div
            class="chip relative rounded focus-visible:outline-2 noscript:hidden"
            class:hidden=move || link.get() == Link::Ended
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
