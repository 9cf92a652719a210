//! Tokens and sessions, for admins.

use leptos::ev::SubmitEvent;
use leptos::html::{Input, Select};
use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;

use crate::base;
use crate::calls::access::{CreateToken, EndSession, RevokeToken, read_access};
use crate::model::Role;
use crate::model::access::{AccessList, CreatedToken, SessionView, TokenView};
use crate::model::visible::plain;
use crate::ui::components::copy::CopyButton;
use crate::ui::components::icon::Icon;
use crate::ui::components::load_error::LoadError;
use crate::ui::components::notice::{ProblemNotice, UNCONFIRMED, for_action};
use crate::ui::components::post_form::PostForm;
use crate::ui::components::time::Moment;

#[component]
pub fn AccessPage() -> impl IntoView {
    let create = ServerAction::<CreateToken>::new();
    let revoke = ServerAction::<RevokeToken>::new();
    let end = ServerAction::<EndSession>::new();
    let versions = move || (create.version().get(), revoke.version().get(), end.version().get());
    let list = Resource::new_blocking(versions, |_| read_access());
    let retry = Callback::new(move |()| list.refetch());
    let problem = move || {
        let created = create.value().get().and_then(Result::err);
        let revoked = revoke.value().get().and_then(Result::err);
        let ended = end.value().get().and_then(Result::err);
        created.or(revoked).or(ended).map(|problem| for_action(problem, UNCONFIRMED))
    };
    let created = move || create.value().get().and_then(Result::ok);
    let shown = move || {
        Suspend::new(async move {
            match list.await {
                Ok(list) => view! { <Lists list revoke end/> }.into_any(),
                Err(problem) => view! { <LoadError problem retry/> }.into_any(),
            }
        })
    };
    view! {
        <Title text="Tokens and sessions"/>
        <div class="mx-auto flex w-full max-w-[60rem] flex-col gap-5 px-4 py-5 lg:px-6">
            <h1 class="text-lg font-semibold tracking-tight">"Tokens and sessions"</h1>
            {move || problem().map(|problem| view! { <ProblemNotice problem/> })}
            {move || created().map(|created| view! { <NewToken created/> })}
            <p class="hidden text-sm text-soft noscript:block">
                "Creating a token here needs JavaScript. You can also run " <code class="font-mono text-[0.92em]">"runtrail token create"</code> "."
            </p>
            <CreateForm create/>
            <Transition fallback=|| view! { <p class="text-sm text-faint">"Loading…"</p> }>{shown}</Transition>
        </div>
    }
}

/// A token that was just created. Its secret is never shown again.
#[component]
fn NewToken(created: CreatedToken) -> impl IntoView {
    let CreatedToken { view: TokenView { name, .. }, token } = created;
    view! {
        <section class="rounded-lg bg-ok-wash px-4 py-3 text-sm" data-testid="new-token">
            <p>
                "Token " <strong class="font-semibold">{plain(&name)}</strong> " created. Copy it now; it won't be shown again."
            </p>
            <p class="mt-1.5 flex items-center gap-1">
                <code class="min-w-0 font-mono text-xs break-all select-all" data-testid="new-token-secret">{token.clone()}</code>
                <CopyButton text=token label="Copy token"/>
            </p>
        </section>
    }
}

#[component]
fn CreateForm(create: ServerAction<CreateToken>) -> impl IntoView {
    let (name, role, expires_in) = (NodeRef::<Input>::new(), NodeRef::<Select>::new(), NodeRef::<Select>::new());
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let (Some(name), Some(role), Some(expires_in)) =
            (name.get_untracked(), role.get_untracked(), expires_in.get_untracked())
        else {
            return;
        };
        let (Ok(role), false) = (role.value().parse(), create.pending().get_untracked()) else { return };
        create.dispatch(CreateToken { name: name.value(), role, expires_in: expires_in.value() });
        name.set_value("");
    };
    let roles = Role::ALL.map(|role| {
        let selected = role == Role::Operator;
        view! { <option value=role.as_str() selected=selected>{role.as_str()}</option> }
    });
    view! {
        <form
            method="post"
            action=base::path(CreateToken::url())
            class="card flex flex-wrap items-end gap-3 px-4 py-3 text-sm noscript:hidden"
            on:submit=submit
        >
            <label class="flex min-w-40 flex-1 flex-col gap-1">
                <span class="text-xs text-soft">"Name"</span>
                <input class="field field-small" name="name" required maxlength="100" autocomplete="off" placeholder="deploy-bot" data-testid="token-name" node_ref=name/>
            </label>
            <label class="flex flex-col gap-1">
                <span class="text-xs text-soft">"Role"</span>
                <select class="field field-small !w-auto" name="role" autocomplete="off" data-testid="token-role" node_ref=role>
                    {roles.into_iter().collect_view()}
                </select>
            </label>
            <label class="flex flex-col gap-1">
                <span class="text-xs text-soft">"Expires"</span>
                <select class="field field-small !w-auto" name="expires_in" autocomplete="off" data-testid="token-expires" node_ref=expires_in>
                    <option value="1d">"in 1 day"</option>
                    <option value="30d">"in 30 days"</option>
                    <option value="90d" selected=true>"in 90 days"</option>
                    <option value="365d">"in 1 year"</option>
                    <option value="">"never"</option>
                </select>
            </label>
            <button class="button button-small button-primary !h-auto self-stretch max-sm:flex-1" data-testid="create-token" disabled=move || create.pending().get()>
                "Create token"
            </button>
        </form>
    }
}

#[component]
fn Lists(list: AccessList, revoke: ServerAction<RevokeToken>, end: ServerAction<EndSession>) -> impl IntoView {
    let AccessList { tokens, sessions } = list;
    let has_no_tokens = tokens.is_empty();
    view! {
        <section class="flex flex-col gap-2">
            <h2 class="text-sm font-semibold">"Tokens"</h2>
            {has_no_tokens.then(|| view! {
                <p class="text-sm text-soft">"No tokens besides the server’s own. Create one for a program, or for a person to log in with."</p>
            })}
            <ul class="card divide-y divide-line empty:hidden">
                {tokens.into_iter().map(|token| view! { <TokenRow token revoke/> }).collect_view()}
            </ul>
        </section>
        <section class="flex flex-col gap-2">
            <h2 class="text-sm font-semibold">"Sessions"</h2>
            <ul class="card divide-y divide-line empty:hidden">
                {sessions.into_iter().map(|session| view! { <SessionRow session end/> }).collect_view()}
            </ul>
        </section>
    }
}

#[component]
fn TokenRow(token: TokenView, revoke: ServerAction<RevokeToken>) -> impl IntoView {
    let TokenView { id, name, role, created_at, created_by, expires_at, used_at } = token;
    let label = format!("Revoke token {}", plain(&name));
    let on_submit = {
        let id = id.clone();
        move |()| {
            if !revoke.pending().get_untracked() {
                revoke.dispatch(RevokeToken { id: id.clone() });
            }
        }
    };
    view! {
        <li class="flex flex-wrap items-center gap-x-4 gap-y-1 px-4 py-2.5 text-sm" data-testid="token" data-name=name.clone()>
            <div class="min-w-0 flex-1 basis-56">
                <p class="flex items-center gap-2">
                    <span class="truncate font-medium">{plain(&name)}</span>
                    <span class="tag">{role.as_str()}</span>
                </p>
                <p class="text-xs text-soft">
                    "Created " <Moment at=Signal::stored(Some(created_at))/> " by " {plain(&created_by)} ". "
                    {match used_at {
                        Some(_) => view! { "Last used " <Moment at=Signal::stored(used_at)/> ". " }.into_any(),
                        None => view! { "Never used. " }.into_any(),
                    }}
                    {match expires_at {
                        Some(_) => view! { "Expires " <Moment at=Signal::stored(expires_at)/> "." }.into_any(),
                        None => view! { "Never expires." }.into_any(),
                    }}
                </p>
            </div>
            <PostForm url=RevokeToken::url() on_submit=Callback::new(on_submit)>
                <input type="hidden" name="id" value=id/>
                <button class="button button-small button-danger" aria-label=label data-testid="revoke-token">{Icon::Bin.draw()} "Revoke"</button>
            </PostForm>
        </li>
    }
}

#[component]
fn SessionRow(session: SessionView, end: ServerAction<EndSession>) -> impl IntoView {
    let SessionView { id, name, role, address, agent, created_at, seen_at, current, .. } = session;
    let on_submit = {
        let id = id.clone();
        move |()| {
            if !end.pending().get_untracked() {
                end.dispatch(EndSession { id: id.clone() });
            }
        }
    };
    let browser = agent.as_deref().map(browser_of).unwrap_or_default();
    let from = [Some(browser), address].into_iter().flatten().filter(|text| !text.is_empty()).collect::<Vec<_>>();
    view! {
        <li class="flex flex-wrap items-center gap-x-4 gap-y-1 px-4 py-2.5 text-sm" data-testid="session" data-current=current.to_string()>
            <div class="min-w-0 flex-1 basis-56">
                <p class="flex items-center gap-2">
                    <span class="truncate font-medium">{plain(&name)}</span>
                    <span class="tag">{role.as_str()}</span>
                    {current.then(|| view! { <span class="tag" data-tone="ok">"current"</span> })}
                </p>
                <p class="text-xs text-soft" title=agent>
                    {from.join(", ")} ". Logged in " <Moment at=Signal::stored(Some(created_at))/> ", last active "
                    <Moment at=Signal::stored(Some(seen_at))/> "."
                </p>
            </div>
            <PostForm url=EndSession::url() on_submit=Callback::new(on_submit)>
                <input type="hidden" name="id" value=id/>
                <button class="button button-small" data-testid="end-session">"End session"</button>
            </PostForm>
        </li>
    }
}

/// The name of the browser in a user agent string; of an unknown one, the beginning of the string.
fn browser_of(agent: &str) -> String {
    // A user agent string also contains the names that follow here.
    let known =
        [("Firefox/", "Firefox"), ("Edg/", "Edge"), ("OPR/", "Opera"), ("Chrome/", "Chrome"), ("Safari/", "Safari")];
    let found = known.into_iter().find(|(word, _)| agent.contains(word));
    found.map_or_else(|| plain(agent).chars().take(40).collect(), |(_, name)| name.to_owned())
}
