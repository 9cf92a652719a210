//! The question whether a run may go on, and the two answers.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::{LeftOut, Tab};
use crate::base;
use crate::calls::{Approve, Reject};
use crate::model::{ApprovalRequest, Problem, ProblemCode, Role, Run, RunId};
use crate::ui::account::can;
use crate::ui::components::icon::Icon;
use crate::ui::components::notice::{NOT_KNOWN, of_action};
use crate::ui::components::visible::visible;
use crate::ui::follow::Follow;
use crate::ui::format;

/// What a person is asked; nothing while nobody is.
#[component]
pub fn ApprovalBanner(
    /// The run.
    id: RunId,
    /// Its page, which is told what came of the answer.
    follow: Follow,
    /// The patches that the operator leaves out.
    left_out: LeftOut,
    /// What went wrong last.
    problem: RwSignal<Option<Problem>>,
) -> impl IntoView {
    let approve = ServerAction::<Approve>::new();
    let reject = ServerAction::<Reject>::new();
    let hear = move |answer: Option<Result<Run, Problem>>| match answer {
        Some(Ok(run)) => {
            problem.set(None);
            follow.heard(run.status.is_active());
        }
        // Someone else was first: the page shows what came of it.
        Some(Err(failed)) if failed.code == ProblemCode::NotWaiting => {
            problem.set(None);
            follow.heard(true);
        }
        Some(Err(failed)) => problem.set(Some(of_action(failed, NOT_KNOWN))),
        None => {}
    };
    Effect::new(move |_| hear(approve.value().get()));
    Effect::new(move |_| hear(reject.value().get()));
    // A form that came back with its failure, where no script runs.
    let failed = approve.value().get_untracked().or_else(|| reject.value().get_untracked()).and_then(Result::err);
    if failed.is_some() {
        problem.set(failed);
    }
    let (note, may_answer) = (RwSignal::new(String::new()), can(Role::Approver));
    let busy = Signal::derive(move || approve.pending().get() || reject.pending().get());
    let forbidden = Signal::derive(move || busy.get() || !may_answer);
    let asked = Memo::new(move |_| follow.state.with(|state| state.run.approval.clone()));
    let patches = Memo::new(move |_| follow.state.with(|state| state.review_counts.patches));
    let banner = move |ApprovalRequest { seq, question }: ApprovalRequest| {
        let (yes, no) = (id.to_string(), id.to_string());
        let look = Tab::Changes.address(&id, None);
        view! {
            <section
                class="flex flex-wrap items-center gap-x-4 gap-y-2 rounded-lg bg-warn-wash px-4 py-2.5"
                aria-label="Approval"
                data-testid="approval"
            >
                <span class="text-warn">{Icon::Warning.draw()}</span>
                <div class="min-w-0 flex-1 basis-52">
                    <p class="text-sm font-semibold break-words">{visible(&question)}</p>
                    <p class="text-xs text-soft" class:hidden=move || patches.get() == 0>
                        {move || {
                            let out = left_out.count();
                            let out = (out > 0).then(|| format!(", {} left out", format::count(out)));
                            format!("{}{}. ", format::counted(patches.get(), "patch"), out.unwrap_or_default())
                        }}
                        <a href=look.clone() data-noscroll class="text-accent underline-offset-2 hover:underline">
                            "Look at the changes"
                        </a>
                    </p>
                </div>
                {(!may_answer).then(|| view! {
                    <p class="text-xs text-soft" data-testid="approval-role">"Somebody with the role approver answers this."</p>
                })}
                <label class="basis-56 text-sm max-sm:w-full" class:hidden=!may_answer>
                    <span class="sr-only">"Note"</span>
                    <input
                        class="field field-small"
                        name="note"
                        form="approval-yes"
                        maxlength="2000"
                        placeholder="Note (optional)"
                        autocomplete="off"
                        data-testid="approval-note"
                        prop:value=note
                        on:input=move |event| note.set(event_target_value(&event))
                    />
                </label>
                <div
                    class="flex gap-2 max-sm:w-full [&>form]:max-sm:flex-1 [&_button]:max-sm:w-full"
                    class:hidden=!may_answer
                >
                    <form
                        method="post"
                        action=base::path(Reject::url())
                        on:submit={
                            let id = no.clone();
                            move |event| {
                                event.prevent_default();
                                if !busy.get_untracked() {
                                    let note = note.get_untracked();
                                    reject.dispatch(Reject { id: id.clone(), seq, note });
                                }
                            }
                        }
                    >
                        <input type="hidden" name="id" value=no.clone()/>
                        <input type="hidden" name="seq" value=seq/>
                        <button class="button button-danger" data-testid="reject" disabled=forbidden>
                            {Icon::Close.draw()}
                            "Reject"
                        </button>
                    </form>
                    <form
                        id="approval-yes"
                        method="post"
                        action=base::path(Approve::url())
                        on:submit={
                            let id = yes.clone();
                            move |event| {
                                event.prevent_default();
                                if !busy.get_untracked() {
                                    let (exclude, note) = (left_out.text(), note.get_untracked());
                                    approve.dispatch(Approve { id: id.clone(), seq, exclude, note });
                                }
                            }
                        }
                    >
                        <input type="hidden" name="id" value=yes.clone()/>
                        <input type="hidden" name="seq" value=seq/>
                        <button
                            class="button button-primary"
                            data-testid="approve"
                            disabled=forbidden
                        >
                            {Icon::Tick.draw()}
                            {move || if busy.get() { "Answering…" } else { "Approve" }}
                        </button>
                    </form>
                </div>
            </section>
        }
    };
    move || asked.get().map(banner.clone())
}
