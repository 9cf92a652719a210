//! The question whether a run may go on, and the two answers.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_router::components::A;

use super::{LeftOut, Tab};
use crate::calls::{Approve, Reject};
use crate::model::{Code, Problem, Question, Run, RunId};
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
        Some(Err(failed)) if failed.code == Code::NotWaiting => {
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
    let busy = Signal::derive(move || approve.pending().get() || reject.pending().get());
    let asked = Memo::new(move |_| follow.state.with(|state| state.run.approval.clone()));
    let patches = Memo::new(move |_| follow.state.with(|state| state.tally.patches));
    let banner = move |Question { seq, question }: Question| {
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
                        <A href=look.clone() scroll=false attr:class="text-accent underline-offset-2 hover:underline">
                            "Look at the changes"
                        </A>
                    </p>
                </div>
                <div class="flex gap-2 max-sm:w-full [&>form]:max-sm:flex-1 [&_button]:max-sm:w-full">
                    <form
                        method="post"
                        action=Reject::url()
                        on:submit={
                            let id = no.clone();
                            move |event| {
                                event.prevent_default();
                                if !busy.get_untracked() {
                                    reject.dispatch(Reject { id: id.clone(), seq });
                                }
                            }
                        }
                    >
                        <input type="hidden" name="id" value=no.clone()/>
                        <input type="hidden" name="seq" value=seq/>
                        <button class="button button-danger" data-testid="reject" disabled=busy>
                            {Icon::Close.draw()}
                            "Reject"
                        </button>
                    </form>
                    <form
                        method="post"
                        action=Approve::url()
                        on:submit={
                            let id = yes.clone();
                            move |event| {
                                event.prevent_default();
                                if !busy.get_untracked() {
                                    approve.dispatch(Approve { id: id.clone(), seq, exclude: left_out.text() });
                                }
                            }
                        }
                    >
                        <input type="hidden" name="id" value=yes.clone()/>
                        <input type="hidden" name="seq" value=seq/>
                        <button
                            class="button button-primary"
                            data-testid="approve"
                            disabled=busy
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
