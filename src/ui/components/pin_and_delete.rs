//! Pinning and deleting a run.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::action_feedback::ActionFeedback;
use super::icon::Icon;
use super::popover::Popover;
use super::post_form::PostForm;
use crate::base;
use crate::calls::{DeleteRun, PinRun};
use crate::model::{RunId, Status};
use crate::ui::follow::LiveRun;

/// Pins or unpins the run.
#[component]
pub fn PinButton(id: RunId, follow: LiveRun, feedback: ActionFeedback) -> impl IntoView {
    let pin = ServerAction::<PinRun>::new();
    Effect::new(move |_| match pin.value().get() {
        Some(Ok(run)) => {
            feedback.problem.set(None);
            follow.merge_pin(run.pin);
        }
        Some(Err(problem)) => feedback.fail(problem),
        None => {}
    });
    feedback.take_rendered(pin);
    let is_pinned = Memo::new(move |_| follow.pin.get().pinned);
    let title = move || {
        if is_pinned.get() { "Pinned: kept during cleanup" } else { "Pin: keep this run when old runs are cleaned up" }
    };
    let id = id.to_string();
    let on_submit = {
        let id = id.clone();
        move |()| {
            if !pin.pending().get_untracked() {
                pin.dispatch(PinRun { id: id.clone(), pinned: !is_pinned.get_untracked() });
            }
        }
    };
    view! {
        <PostForm url=PinRun::url() on_submit=Callback::new(on_submit)>
            <input type="hidden" name="id" value=id/>
            <input type="hidden" name="pinned" value=move || (!is_pinned.get()).to_string()/>
            <button
                class="button aria-pressed:text-accent aria-pressed:[&>svg]:fill-current"
                data-testid="pin"
                aria-pressed=move || is_pinned.get().to_string()
                aria-label="Pin"
                title=title
                disabled=move || pin.pending().get()
            >
                {Icon::Pin.draw()}
            </button>
        </PostForm>
    }
}

/// Deletes the run after a confirmation, which is a `<details>` element, so that it works without JavaScript.
#[component]
pub fn DeleteButton(
    id: RunId,
    #[prop(into)] status: Signal<Status>,
    follow: LiveRun,
    feedback: ActionFeedback,
) -> impl IntoView {
    let delete = ServerAction::<DeleteRun>::new();
    let popover = Popover::new();
    // On success the server redirects to the list.
    Effect::new(move |_| {
        if let Some(Err(problem)) = delete.value().get() {
            popover.close();
            feedback.fail(problem);
        }
    });
    feedback.take_rendered(delete);
    let is_pinned = Memo::new(move |_| follow.pin.get().pinned);
    let id = id.to_string();
    let on_submit = {
        let id = id.clone();
        move |()| {
            if !delete.pending().get_untracked() {
                delete.dispatch(DeleteRun { id: id.clone() });
            }
        }
    };
    view! {
        <details class="sm:relative" class:hidden=move || status.get().is_active() node_ref=popover.details>
            <summary class="button w-fit list-none [&::-webkit-details-marker]:hidden" data-testid="delete">
                {Icon::Bin.draw()}
                <span class="max-sm:sr-only">"Delete"</span>
            </summary>
            <div class="card absolute inset-x-0 top-full z-30 mt-1.5 p-3 text-sm shadow-lg sm:left-auto sm:w-72">
                <p class:hidden=is_pinned>"Deletes every attempt, its log and its working folder. This can't be undone."</p>
                <p class:hidden=move || !is_pinned.get()>"This run is pinned. Unpin it to delete it."</p>
                <div class="mt-3 flex justify-end gap-2">
                    <button type="button" class="button button-small noscript:hidden" on:click=move |_| popover.close()>
                        "Cancel"
                    </button>
                    <PostForm url=DeleteRun::url() on_submit=Callback::new(on_submit) hidden=is_pinned>
                        <input type="hidden" name="id" value=id/>
                        <button
                            class="button button-small button-danger"
                            data-testid="delete-confirm"
                            disabled=move || is_pinned.get() || delete.pending().get()
                        >
                            "Delete run"
                        </button>
                    </PostForm>
                </div>
            </div>
        </details>
    }
}

/// Shown when the run is deleted while its page is open.
#[component]
pub fn DeletedNotice(follow: LiveRun) -> impl IntoView {
    move || {
        follow.is_deleted.get().then(|| {
            view! {
                <div
                    role="alert"
                    class="flex gap-2 rounded-lg bg-warn-wash px-3 py-2 text-sm text-ink [&>svg]:mt-0.5 [&>svg]:text-warn"
                    data-testid="deleted"
                >
                    {Icon::Bin.draw()}
                    <p class="min-w-0">
                        <strong class="font-semibold">"This run was deleted. "</strong>
                        "You're seeing a local copy that will be gone after a reload. "
                        <a class="whitespace-nowrap underline underline-offset-2 hover:text-accent" href=base::path("/")>"All runs"</a>
                    </p>
                </div>
            }
        })
    }
}
