//! The actions of a run page: resume, re-run, cancel, kill.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;

use super::action_feedback::ActionFeedback;
use super::icon::Icon;
use super::post_form::PostForm;
use crate::base;
use crate::calls::{Cancel, Rerun};
use crate::model::{Problem, ProblemCode, Run, RunId, Status, run};

/// The buttons. Those that do not apply to the status are hidden and disabled.
#[component]
pub fn RunActions(
    id: RunId,
    #[prop(into)] status: Signal<Status>,
    /// The cancel request of an attempt that has not ended.
    #[prop(into)]
    cancel: Signal<Option<run::Cancellation>>,
    /// The current attempt. Two clicks on the same attempt make one re-run.
    #[prop(into)]
    attempt: Signal<u32>,
    /// The phase that a re-run can resume from, if that is not the first.
    #[prop(into)]
    unfinished: Signal<Option<String>>,
    /// The address of the form for a re-run with changes, if the pipeline still exists.
    edit: Signal<Option<String>>,
    /// The attempt in the page's address.
    attempt_in_url: Memo<Option<u32>>,
    feedback: ActionFeedback,
) -> impl IntoView {
    let rerun = ServerAction::<Rerun>::new();
    let navigate = use_navigate();
    Effect::new(move |_| {
        let Some(response) = rerun.value().get() else { return };
        let run = response.as_ref().ok().cloned();
        let is_done = feedback.on_response(response.as_ref().map_err(Clone::clone), ProblemCode::RunActive);
        // The page shows an earlier attempt: go to the new one.
        if let Some(run) = run.filter(|_| is_done && attempt_in_url.get_untracked().is_some()) {
            let page = base::path(&format!("/runs/{}", run.id));
            navigate(&page, NavigateOptions { resolve: false, ..NavigateOptions::default() });
        }
    });
    feedback.take_rendered(rerun);
    let resume_from = Memo::new(move |_| unfinished.get().filter(|_| status.get().is_finished()));
    let is_active = Memo::new(move |_| status.get().is_active());
    let cannot_resume = Memo::new(move |_| resume_from.get().is_none());
    view! {
        <RerunForm rerun id=id.clone() attempt failed=true test_id="rerun-failed" hidden=cannot_resume>
            {Icon::Start.draw()}
            "Resume"
            <span class="max-sm:sr-only">
                " from "<code class="font-mono text-[0.92em]">{move || resume_from.get()}</code>
            </span>
        </RerunForm>
        <RerunForm rerun id=id.clone() attempt failed=false test_id="rerun" hidden=is_active>
            {Icon::Rerun.draw()}
            "Re-run"
        </RerunForm>
        {move || edit.get().map(|href| view! {
            <a class="button" href=href data-noscroll data-testid="rerun-edit" class:hidden=is_active>
                {Icon::Edit.draw()}
                <span class="max-sm:sr-only">"Re-run with changes…"</span>
            </a>
        })}
        <CancelForms id status cancel feedback/>
    }
}

/// Requests another attempt.
#[component]
fn RerunForm(
    rerun: ServerAction<Rerun>,
    id: RunId,
    attempt: Signal<u32>,
    /// Whether to resume from the phase that failed.
    failed: bool,
    test_id: &'static str,
    hidden: Memo<bool>,
    children: Children,
) -> impl IntoView {
    let id = id.to_string();
    let on_submit = {
        let id = id.clone();
        move |()| {
            if !rerun.pending().get_untracked() {
                rerun.dispatch(Rerun { id: id.clone(), attempt: attempt.get_untracked(), failed });
            }
        }
    };
    view! {
        <PostForm url=Rerun::url() on_submit=Callback::new(on_submit) hidden=hidden>
            <input type="hidden" name="id" value=id/>
            <input type="hidden" name="attempt" value=attempt/>
            <input type="hidden" name="failed" value=failed.to_string()/>
            <button class="button" data-testid=test_id disabled=move || hidden.get() || rerun.pending().get()>
                {children()}
            </button>
        </PostForm>
    }
}

/// Cancel and, while a cancelled run is still within its grace period, Kill now.
#[component]
fn CancelForms(
    id: RunId,
    status: Signal<Status>,
    cancel: Signal<Option<run::Cancellation>>,
    feedback: ActionFeedback,
) -> impl IntoView {
    let action = ServerAction::<Cancel>::new();
    Effect::new(move |_| {
        if let Some(response) = action.value().get() {
            let response: Result<&Run, Problem> = response.as_ref().map_err(Clone::clone);
            feedback.on_response(response, ProblemCode::RunActive);
        }
    });
    feedback.take_rendered(action);
    let is_requested = Memo::new(move |_| cancel.with(Option::is_some));
    let can_kill =
        Memo::new(move |_| cancel.with(|cancel| cancel.as_ref().is_some_and(run::Cancellation::can_be_forced)));
    let cannot_kill = Memo::new(move |_| !can_kill.get());
    let is_finished = Memo::new(move |_| status.get().is_finished());
    let (id, kill_id) = (id.to_string(), id.to_string());
    let dispatch = {
        let id = id.clone();
        move |kill| {
            let id = id.clone();
            Callback::new(move |()| drop(action.dispatch(Cancel { id: id.clone(), kill })))
        }
    };
    view! {
        // Beside Cancel, not in its place: a double click on Cancel must not kill.
        <PostForm url=Cancel::url() on_submit=dispatch(true) hidden=cannot_kill>
            <input type="hidden" name="id" value=kill_id/>
            <input type="hidden" name="kill" value="true"/>
            <button
                class="button button-danger"
                data-testid="kill-now"
                title="Kills the remaining processes now instead of after the grace period"
                disabled=move || cannot_kill.get() || action.pending().get()
            >
                {Icon::Close.draw()}
                "Kill now"
            </button>
        </PostForm>
        <PostForm url=Cancel::url() on_submit=dispatch(false) hidden=is_finished>
            <input type="hidden" name="id" value=id/>
            <input type="hidden" name="kill" value="false"/>
            <button
                class="button button-danger"
                data-testid="cancel"
                disabled=move || is_finished.get() || is_requested.get() || action.pending().get()
            >
                {Icon::Stop.draw()}
                {move || if is_requested.get() || action.pending().get() { "Cancelling…" } else { "Cancel" }}
            </button>
        </PostForm>
    }
}
