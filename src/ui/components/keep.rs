//! Whether a run stays: the pin, and its end for good.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::icon::Icon;
use super::notice::{NOT_KNOWN, of_action};
use super::popover::Popover;
use crate::base;
use crate::calls::{DeleteRun, PinRun};
use crate::model::{Problem, ProblemCode, RunId, Status};
use crate::ui::follow::Follow;

/// Pins the run, or no longer.
#[component]
pub fn PinButton(
    /// The run.
    id: RunId,
    /// The page, which knows whether it is pinned.
    follow: Follow,
    /// What went wrong last.
    problem: RwSignal<Option<Problem>>,
) -> impl IntoView {
    let pin = ServerAction::<PinRun>::new();
    Effect::new(move |_| match pin.value().get() {
        Some(Ok(run)) => {
            problem.set(None);
            follow.learn_pin(run.pin);
        }
        Some(Err(failed)) => follow.failed(failed, problem),
        None => {}
    });
    problem.update(|problem| *problem = problem.take().or_else(|| pin.value().get_untracked().and_then(Result::err)));
    let pinned = Memo::new(move |_| follow.pin.get().pinned);
    let words = move || {
        if pinned.get() { "Pinned: it stays when old runs go" } else { "Pin it, so that it stays when old runs go" }
    };
    let id = id.to_string();
    let given = id.clone();
    view! {
        <form
            method="post"
            action=base::path(PinRun::url())
            on:submit=move |event| {
                event.prevent_default();
                if !pin.pending().get_untracked() {
                    pin.dispatch(PinRun { id: given.clone(), pinned: !pinned.get_untracked() });
                }
            }
        >
            <input type="hidden" name="id" value=id/>
            <input type="hidden" name="pinned" value=move || (!pinned.get()).to_string()/>
            <button
                class="button aria-pressed:text-accent aria-pressed:[&>svg]:fill-current"
                data-testid="pin"
                aria-pressed=move || pinned.get().to_string()
                aria-label="Pin"
                title=words
                disabled=move || pin.pending().get()
            >
                {Icon::Pin.draw()}
            </button>
        </form>
    }
}

/// Deletes the run, after it was asked whether that is meant. A fold underneath: it works where no script runs.
#[component]
pub fn DeleteButton(
    /// The run.
    id: RunId,
    /// Where it stands: an active run is not deleted.
    #[prop(into)]
    status: Signal<Status>,
    /// The page, which knows whether it is pinned.
    follow: Follow,
    /// What went wrong last.
    problem: RwSignal<Option<Problem>>,
) -> impl IntoView {
    let delete = ServerAction::<DeleteRun>::new();
    let popover = Popover::new();
    // The server's answer leads to the list.
    Effect::new(move |_| {
        if let Some(Err(failed)) = delete.value().get() {
            popover.close();
            follow.failed(failed, problem);
        }
    });
    problem
        .update(|problem| *problem = problem.take().or_else(|| delete.value().get_untracked().and_then(Result::err)));
    let pinned = Memo::new(move |_| follow.pin.get().pinned);
    let id = id.to_string();
    let given = id.clone();
    view! {
        <details
            class="sm:relative"
            class:hidden=move || status.get().is_active()
            node_ref=popover.fold
        >
            <summary class="button w-fit list-none [&::-webkit-details-marker]:hidden" data-testid="delete">
                {Icon::Bin.draw()}
                <span class="max-sm:sr-only">"Delete"</span>
            </summary>
            <div class="card absolute inset-x-0 top-full z-30 mt-1.5 p-3 text-sm shadow-lg sm:left-auto sm:w-72">
                <p class:hidden=pinned>
                    "All of its attempts, their activity and its own folder go. There is no way back."
                </p>
                <p class:hidden=move || !pinned.get()>"It is pinned, so it stays. Unpin it first."</p>
                <div class="mt-3 flex justify-end gap-2">
                    <button type="button" class="button button-small noscript:hidden" on:click=move |_| popover.close()>
                        "Keep it"
                    </button>
                    <form
                        method="post"
                        action=base::path(DeleteRun::url())
                        class:hidden=pinned
                        on:submit=move |event| {
                            event.prevent_default();
                            if !delete.pending().get_untracked() {
                                delete.dispatch(DeleteRun { id: given.clone() });
                            }
                        }
                    >
                        <input type="hidden" name="id" value=id/>
                        <button
                            class="button button-small button-danger"
                            data-testid="delete-confirm"
                            disabled=move || pinned.get() || delete.pending().get()
                        >
                            "Delete the run"
                        </button>
                    </form>
                </div>
            </div>
        </details>
    }
}

/// Says that the run was deleted while its page is open.
#[component]
pub fn DeletedNotice(
    /// The page, which knows whether it was.
    follow: Follow,
) -> impl IntoView {
    move || {
        follow.gone.get().then(|| {
            view! {
                <div
                    role="alert"
                    class="flex gap-2 rounded-lg bg-warn-wash px-3 py-2 text-sm text-ink [&>svg]:mt-0.5 [&>svg]:text-warn"
                    data-testid="deleted"
                >
                    {Icon::Bin.draw()}
                    <p class="min-w-0">
                        <strong class="font-semibold">"This run was deleted. "</strong>
                        "What you see is what this page had of it; a reload finds nothing. "
                        <a class="whitespace-nowrap underline underline-offset-2 hover:text-accent" href=base::path("/")>"All runs"</a>
                    </p>
                </div>
            }
        })
    }
}

impl Follow {
    /// An action of this page was refused.
    fn failed(self, failed: Problem, problem: RwSignal<Option<Problem>>) {
        if failed.code == ProblemCode::RunNotFound {
            // Another tab was first.
            problem.set(None);
            self.vanish();
        } else {
            problem.set(Some(of_action(failed, NOT_KNOWN)));
        }
    }
}
