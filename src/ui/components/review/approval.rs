//! The approval banner: the question of a run that awaits approval, with a note and the two decisions.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::{Exclusions, Tab};
use crate::calls::{Approve, Reject};
use crate::model::{ApprovalRequest, ProblemCode, Role, RunId};
use crate::ui::components::action_feedback::ActionFeedback;
use crate::ui::components::icon::Icon;
use crate::ui::components::invisible::mark_invisible;
use crate::ui::components::post_form::PostForm;
use crate::ui::current_user::has_role;
use crate::ui::follow::LiveRun;
use crate::ui::format;

/// The `id` of the approve form, which the note's field belongs to.
const APPROVE_FORM: &str = "approval-yes";

/// The banner, while the run awaits approval.
#[component]
pub fn ApprovalBanner(id: RunId, follow: LiveRun, exclusions: Exclusions, feedback: ActionFeedback) -> impl IntoView {
    let approve = ServerAction::<Approve>::new();
    let reject = ServerAction::<Reject>::new();
    // Not in the banner: it disappears with the first response.
    Effect::new(move |_| {
        if let Some(response) = approve.value().get() {
            feedback.on_response(response.as_ref().map_err(Clone::clone), ProblemCode::NotWaiting);
        }
    });
    Effect::new(move |_| {
        if let Some(response) = reject.value().get() {
            feedback.on_response(response.as_ref().map_err(Clone::clone), ProblemCode::NotWaiting);
        }
    });
    feedback.take_rendered(reject);
    feedback.take_rendered(approve);
    let note = RwSignal::new(String::new());
    let question = Memo::new(move |_| follow.state.with(|state| state.run.approval.clone()));
    let patches = Memo::new(move |_| follow.state.with(|state| state.review_counts.patches));
    let banner = move |ApprovalRequest { seq, question }: ApprovalRequest| {
        let may_decide = has_role(Role::Approver);
        view! {
            <section
                class="flex flex-wrap items-center gap-x-4 gap-y-2 rounded-lg bg-warn-wash px-4 py-2.5"
                aria-label="Approval"
                data-testid="approval"
            >
                <span class="text-warn">{Icon::Warning.draw()}</span>
                <div class="min-w-0 flex-1 basis-52">
                    <p class="text-sm font-semibold break-words">{mark_invisible(&question)}</p>
                    <PatchCount id=id.clone() patches exclusions/>
                </div>
                {(!may_decide).then(|| view! {
                    <p class="text-xs text-soft" data-testid="approval-role">"Only approvers can answer this."</p>
                })}
                <label class="basis-56 text-sm max-sm:w-full" class:hidden=!may_decide>
                    <span class="sr-only">"Note"</span>
                    <input
                        class="field field-small"
                        name="note"
                        form=APPROVE_FORM
                        maxlength="2000"
                        placeholder="Note (optional)"
                        autocomplete="off"
                        data-testid="approval-note"
                        prop:value=note
                        on:input=move |event| note.set(event_target_value(&event))
                    />
                </label>
                <Decisions id=id.clone() seq note exclusions approve reject/>
            </section>
        }
    };
    move || question.get().map(banner.clone())
}

/// How many patches there are and how many are excluded, with a link to them.
#[component]
fn PatchCount(id: RunId, patches: Memo<u64>, exclusions: Exclusions) -> impl IntoView {
    let text = move || {
        let excluded = exclusions.count();
        let excluded = (excluded > 0).then(|| format!(", {} excluded", format::count(excluded)));
        format!("{}{}. ", format::counted(patches.get(), "patch"), excluded.unwrap_or_default())
    };
    view! {
        <p class="text-xs text-soft" class:hidden=move || patches.get() == 0>
            {text}
            <a href=Tab::Changes.address(&id, None) data-noscroll class="text-accent underline-offset-2 hover:underline">
                "Review changes"
            </a>
        </p>
    }
}

#[component]
fn Decisions(
    id: RunId,
    /// The seq of the question that the user sees.
    seq: u64,
    note: RwSignal<String>,
    exclusions: Exclusions,
    approve: ServerAction<Approve>,
    reject: ServerAction<Reject>,
) -> impl IntoView {
    let may_decide = has_role(Role::Approver);
    let is_pending = Signal::derive(move || approve.pending().get() || reject.pending().get());
    let is_disabled = Signal::derive(move || is_pending.get() || !may_decide);
    let (id, reject_id) = (id.to_string(), id.to_string());
    let on_reject = {
        let id = id.clone();
        move |()| {
            if !is_pending.get_untracked() {
                reject.dispatch(Reject { id: id.clone(), seq, note: note.get_untracked() });
            }
        }
    };
    let on_approve = {
        let id = id.clone();
        move |()| {
            if !is_pending.get_untracked() {
                let (exclude, note) = (exclusions.to_text(), note.get_untracked());
                approve.dispatch(Approve { id: id.clone(), seq, exclude, note });
            }
        }
    };
    view! {
        <div
            class="flex gap-2 max-sm:w-full [&>form]:max-sm:flex-1 [&_button]:max-sm:w-full"
            class:hidden=!may_decide
        >
            <PostForm url=Reject::url() on_submit=Callback::new(on_reject)>
                <input type="hidden" name="id" value=reject_id/>
                <input type="hidden" name="seq" value=seq/>
                <button class="button button-danger" data-testid="reject" disabled=is_disabled>
                    {Icon::Close.draw()}
                    "Reject"
                </button>
            </PostForm>
            <PostForm id=APPROVE_FORM url=Approve::url() on_submit=Callback::new(on_approve)>
                <input type="hidden" name="id" value=id/>
                <input type="hidden" name="seq" value=seq/>
                <button class="button button-primary" data-testid="approve" disabled=is_disabled>
                    {Icon::Tick.draw()}
                    {move || if is_pending.get() { "Saving…" } else { "Approve" }}
                </button>
            </PostForm>
        </div>
    }
}
