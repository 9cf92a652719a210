//! The HTML document around the app.

use leptos::config::LeptosOptions;
use leptos::nonce::use_nonce;
use leptos::prelude::*;
use leptos_meta::MetaTags;

use super::App;
use super::current_user::current_user;
use crate::base;

/// Server settings that every page needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSettings {
    /// The interval of polls.
    pub poll_ms: u32,
    /// The interval of a stream's heartbeats.
    pub heartbeat_ms: u32,
}

/// Applies the stored theme before the first paint. The key is that of `browser/theme.rs`; a base path has no
/// character that needs escaping in a string literal.
fn theme_script() -> String {
    let key = base::name("runtrail-theme");
    format!("try{{let t=localStorage.getItem('{key}');if(t)document.documentElement.dataset.theme=t}}catch{{}}")
}

/// The Trusted Types policy. Only the templates of the app's own components become HTML; they have no scripts, event
/// handlers or frames. Which scripts may run depends on their nonce.
const TRUSTED_TYPES_SCRIPT: &str = "if(window.trustedTypes)trustedTypes.createPolicy('default',{createHTML:h=>\
     /\\x3c(script|iframe|object|embed)|\\x3c[^>]*\\s(on\\w+|srcdoc)\\s*=|javascript:/i.test(h)?'':h,createScript:s=>s,createScriptURL:u=>u})";

/// Adds the session key to the address of forms that are submitted before hydration. The key is that of
/// `browser/key.rs`, the parameter that of `http/guard/credential.rs`.
fn session_key_script() -> String {
    let key = base::name("runtrail-key");
    format!(
        "addEventListener('submit',e=>{{let f=e.target;if(e.defaultPrevented||f.method!='post')return;try{{let \
         k=localStorage.getItem('{key}');if(k){{let u=new URL(f.action);u.searchParams.set('_key',k);f.action=u}}}}catch{{}}}})"
    )
}

/// Renders the document.
pub fn shell(options: LeptosOptions, page: PageSettings) -> impl IntoView {
    let base = base::current().as_str();
    let me = serde_json::to_string(&current_user()).unwrap_or_default();
    view! {
        <!DOCTYPE html>
        <html lang="en" data-base=base data-poll-ms=page.poll_ms data-heartbeat-ms=page.heartbeat_ms data-me=me>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <script nonce=use_nonce() inner_html=TRUSTED_TYPES_SCRIPT></script>
                <script nonce=use_nonce() inner_html=theme_script()></script>
                <script nonce=use_nonce() inner_html=session_key_script()></script>
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
