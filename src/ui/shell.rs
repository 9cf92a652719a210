//! The document around the app.

use leptos::config::LeptosOptions;
use leptos::nonce::use_nonce;
use leptos::prelude::*;
use leptos_meta::MetaTags;

use super::App;

/// What the server tells every page about its rhythm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSettings {
    /// Milliseconds between two polls.
    pub poll_ms: u32,
    /// Milliseconds of silence after which a stream says that it is alive.
    pub heartbeat_ms: u32,
}

/// Shows the reader's choice of theme before anything is drawn (the key is that of `browser/theme.rs`).
const THEME: &str =
    "try{let t=localStorage.getItem('runtrail-theme');if(t)document.documentElement.dataset.theme=t}catch{}";

/// The document.
pub fn shell(options: LeptosOptions, page: PageSettings) -> impl IntoView {
    view! {
        <!DOCTYPE html>
        <html lang="en" data-poll-ms=page.poll_ms data-heartbeat-ms=page.heartbeat_ms>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <script nonce=use_nonce() inner_html=THEME></script>
                <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
                <link rel="stylesheet" id="leptos" href="/pkg/runtrail.css"/>
                <AutoReload options=options.clone()/>
                <HydrationScripts options/>
                <MetaTags/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}
