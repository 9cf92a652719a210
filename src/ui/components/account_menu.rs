//! The account menu: the current user, the admin pages and logout.

use leptos::prelude::*;

use super::icon::Icon;
use super::popover::Popover;
use crate::base;
use crate::model::{AuthMethod, Role};
use crate::ui::current_user::current_user;

/// A `<details>` element, so that it works without JavaScript.
#[component]
pub fn AccountMenu() -> impl IntoView {
    let me = current_user();
    let popover = Popover::new();
    let is_admin = me.role.allows(Role::Admin);
    let has_tokens = me.via != AuthMethod::Open;
    let who = match me.via {
        AuthMethod::Open => "No token required".to_owned(),
        AuthMethod::Session | AuthMethod::Token | AuthMethod::Proxy => me.name.clone(),
    };
    let link = |page: &'static str, href: String, text: &'static str| {
        view! {
            <a
                href=href
                class="rounded px-3 py-1.5 hover:bg-raised"
                data-testid=format!("account-{page}")
                on:click=move |_| popover.close()
            >
                {text}
            </a>
        }
    };
    view! {
        <details class="relative" node_ref=popover.details>
            <summary
                class="button button-icon list-none [&::-webkit-details-marker]:hidden"
                aria-label="Account"
                title=who.clone()
                data-testid="account"
            >
                {Icon::Person.draw()}
            </summary>
            <div class="card absolute top-full right-0 z-30 mt-1.5 flex w-60 flex-col p-1.5 text-sm shadow-lg">
                <p class="px-3 pt-1.5 pb-2">
                    <span class="block truncate font-medium" data-testid="account-name">{who}</span>
                    <span class="block text-xs text-soft">{role_words(me.role)}</span>
                </p>
                {(is_admin && has_tokens).then(|| link("access", base::path("/access"), "Tokens and sessions"))}
                {is_admin.then(|| link("audit", base::path("/audit"), "Audit log"))}
                {(me.via == AuthMethod::Session).then(|| view! {
                    <form method="post" action=base::path("/logout") class="mt-1 border-t border-line pt-1">
                        <button class="w-full rounded px-3 py-1.5 text-left hover:bg-raised" data-testid="log-out">"Log out"</button>
                    </form>
                })}
            </div>
        </details>
    }
}

pub fn role_words(role: Role) -> &'static str {
    match role {
        Role::Viewer => "Viewer: can view runs",
        Role::Operator => "Operator: can start and cancel runs",
        Role::Approver => "Approver: can also approve",
        Role::Admin => "Admin: full access",
    }
}
