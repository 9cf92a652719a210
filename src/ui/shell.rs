//! The document around the app.

use leptos::config::LeptosOptions;
use leptos::nonce::use_nonce;
use leptos::prelude::*;
use leptos_meta::MetaTags;

use super::{App, account};
use crate::base;

/// The intervals that the server writes on every page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSettings {
    /// Milliseconds between two polls.
    pub poll_ms: u32,
    /// Milliseconds of silence after which a stream sends a heartbeat.
    pub heartbeat_ms: u32,
}

/// Shows the reader's choice of theme before anything is drawn (the key is that of `browser/web/theme.rs`). A base path
/// has no character that means something here.
fn theme() -> String {
    let key = base::name("runtrail-theme");
    format!("try{{let t=localStorage.getItem('{key}');if(t)document.documentElement.dataset.theme=t}}catch{{}}")
}

/// What may become markup in the page (Trusted Types): the templates of its own components, which have no scripts, no
/// handlers and no frames. Which scripts may run is said by their nonce.
const TRUSTED_TYPES: &str = "if(window.trustedTypes)trustedTypes.createPolicy('default',{createHTML:h=>\
     /\\x3c(script|iframe|object|embed)|\\x3c[^>]*\\s(on\\w+|srcdoc)\\s*=|javascript:/i.test(h)?'':h,createScript:s=>s,createScriptURL:u=>u})";

/// Forms that are sent before the page has come to life have the key of the login in their address (the key is that of
/// `browser/web/login_key.rs`, the parameter that of `http/guard/shown.rs`).
fn key_of_forms() -> String {
    let key = base::name("runtrail-key");
    format!(
        "addEventListener('submit',e=>{{let f=e.target;if(e.defaultPrevented||f.method!='post')return;try{{let \
         k=localStorage.getItem('{key}');if(k){{let u=new URL(f.action);u.searchParams.set('_key',k);f.action=u}}}}catch{{}}}})"
    )
}

/// The document.
pub fn shell(options: LeptosOptions, page: PageSettings) -> impl IntoView {
    let base = base::current().as_str();
    let me = serde_json::to_string(&account::me()).unwrap_or_default();
    view! {
        <!DOCTYPE html>
        <html lang="en" data-base=base data-poll-ms=page.poll_ms data-heartbeat-ms=page.heartbeat_ms data-me=me>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <script nonce=use_nonce() inner_html=TRUSTED_TYPES></script>
                <script nonce=use_nonce() inner_html=theme()></script>
                <script nonce=use_nonce() inner_html=key_of_forms()></script>
                <link rel="icon" href=base::path("/favicon.svg") type="image/svg+xml"/>
                <link rel="stylesheet" id="leptos" href=base::path("/pkg/runtrail.css")/>
                <AutoReload options=options.clone()/>
                <HydrationScripts options root=base/>
                <MetaTags/>
            </head>
            <body>
                <App base/>
            </body>
        </html>
    }
}
