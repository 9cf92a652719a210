//! What one can do with a run: run it again, cancel it.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;

use super::icon::Icon;
use super::notice::{NOT_KNOWN, ProblemNotice, of_action};
use crate::base;
use crate::calls::{Cancel, Rerun};
use crate::model::{Problem, ProblemCode, Run, RunId, Status, run};
use crate::ui::follow::Follow;

/// The buttons. One that the status forbids is hidden and disabled.
#[component]
pub fn RunActions(
    /// The run.
    id: RunId,
    /// Where it stands.
    #[prop(into)]
    status: Signal<Status>,
    /// The request for its end, while it has not ended.
    #[prop(into)]
    cancel: Signal<Option<run::Cancellation>>,
    /// The attempt that is shown: two presses on one attempt are one re-run.
    #[prop(into)]
    attempt: Signal<u32>,
    /// The phase that a re-run may go on with, if it need not begin with the first.
    #[prop(into)]
    unfinished: Signal<Option<String>>,
    /// Where the parameters can be edited, if the pipeline is there.
    edit: Signal<Option<String>>,
    /// The attempt that the address names, if it names one.
    attempt_named: Memo<Option<u32>>,
    /// The page, which is told what came of it.
    follow: Follow,
    /// What went wrong last.
    problem: RwSignal<Option<Problem>>,
) -> impl IntoView {
    let rerun = ServerAction::<Rerun>::new();
    let stopping = ServerAction::<Cancel>::new();
    let navigate = use_navigate();
    let hear = move |answer: Option<Result<Run, Problem>>| match answer {
        Some(Ok(run)) => {
            problem.set(None);
            follow.heard(run.status.is_active());
            // What was asked for is to be seen.
            if run.status.is_active() && attempt_named.get_untracked().is_some() {
                let there = base::path(&format!("/runs/{}", run.id));
                navigate(&there, NavigateOptions { resolve: false, ..NavigateOptions::default() });
            }
        }
        // Another tab was first: what was asked for is happening.
        Some(Err(failed)) if failed.code == ProblemCode::RunActive => {
            problem.set(None);
            follow.heard(true);
        }
        Some(Err(failed)) => problem.set(Some(of_action(failed, NOT_KNOWN))),
        None => {}
    };
    let heard = hear.clone();
    Effect::new(move |_| hear(rerun.value().get()));
    Effect::new(move |_| heard(stopping.value().get()));
    // A form that came back with its failure, where no script runs.
    problem.set(rerun.value().get_untracked().or_else(|| stopping.value().get_untracked()).and_then(Result::err));

    // Cancelling takes as long as the command takes to end: asked is asked.
    let is_asked = Memo::new(move |_| cancel.with(Option::is_some));
    let can_kill =
        Memo::new(move |_| cancel.with(|cancel| cancel.as_ref().is_some_and(run::Cancellation::can_be_forced)));
    let again = id.to_string();
    let stop = id.to_string();
    let kill = stop.clone();
    let goes_on = Memo::new(move |_| unfinished.get().filter(|_| status.get().is_finished()));
    let is_active = Memo::new(move |_| status.get().is_active());
    let goes_nowhere = Memo::new(move |_| goes_on.get().is_none());
    view! {
        <RerunForm rerun id=again.clone() attempt failed=true test="rerun-failed" hidden=goes_nowhere>
            {Icon::Start.draw()}
            "Go on "
            <span class="max-sm:sr-only">"with "{move || goes_on.get()}</span>
        </RerunForm>
        <RerunForm rerun id=again.clone() attempt failed=false test="rerun" hidden=is_active>
            {Icon::Again.draw()}
            "Run again"
        </RerunForm>
        {move || edit.get().map(|href| view! {
            <a class="button" href=href data-noscroll data-testid="rerun-edit" class:hidden=is_active>
                {Icon::Edit.draw()}
                <span class="max-sm:sr-only">"Edit and re-run"</span>
            </a>
        })}
        // Beside Cancel and not in its place: who presses that twice is not to kill what may end by itself.
        <form
            method="post"
            action=base::path(Cancel::url())
            class:hidden=move || !can_kill.get()
            on:submit={
                let id = kill.clone();
                move |event| {
                    event.prevent_default();
                    stopping.dispatch(Cancel { id: id.clone(), kill: true });
                }
            }
        >
            <input type="hidden" name="id" value=kill.clone()/>
            <input type="hidden" name="kill" value="true"/>
            <button
                class="button button-danger"
                data-testid="kill-now"
                title="Ends what still runs at once, without the time to end by itself"
                disabled=move || !can_kill.get() || stopping.pending().get()
            >
                {Icon::Close.draw()}
                "Kill now"
            </button>
        </form>
        <form
            method="post"
            action=base::path(Cancel::url())
            class:hidden=move || status.get().is_finished()
            on:submit={
                let id = stop.clone();
                move |event| {
                    event.prevent_default();
                    stopping.dispatch(Cancel { id: id.clone(), kill: false });
                }
            }
        >
            <input type="hidden" name="id" value=stop.clone()/>
            <input type="hidden" name="kill" value="false"/>
            <button
                class="button button-danger"
                data-testid="cancel"
                disabled=move || status.get().is_finished() || is_asked.get() || stopping.pending().get()
            >
                {Icon::Stop.draw()}
                {move || if is_asked.get() || stopping.pending().get() { "Cancelling…" } else { "Cancel" }}
            </button>
        </form>
    }
}

/// Asks for another attempt.
#[component]
fn RerunForm(
    rerun: ServerAction<Rerun>,
    id: String,
    attempt: Signal<u32>,
    /// Whether it goes on with the phase that failed.
    failed: bool,
    /// The button's hook for tests.
    test: &'static str,
    /// Whether that is of no use now.
    hidden: Memo<bool>,
    /// What the button says.
    children: Children,
) -> impl IntoView {
    let again = id.clone();
    view! {
        <form
            method="post"
            action=base::path(Rerun::url())
            class:hidden=hidden
            on:submit=move |event| {
                event.prevent_default();
                if !rerun.pending().get_untracked() {
                    rerun.dispatch(Rerun { id: again.clone(), attempt: attempt.get_untracked(), failed });
                }
            }
        >
            <input type="hidden" name="id" value=id/>
            <input type="hidden" name="attempt" value=attempt/>
            <input type="hidden" name="failed" value=failed.to_string()/>
            <button class="button" data-testid=test disabled=move || hidden.get() || rerun.pending().get()>
                {children()}
            </button>
        </form>
    }
}

/// What went wrong with the last action, until it is sent away. That the server cannot be reached is not true any more once it was.
#[component]
pub fn ActionProblem(
    /// The page, which knows when the server is reached.
    follow: Follow,
    /// See [`RunActions`].
    problem: RwSignal<Option<Problem>>,
) -> impl IntoView {
    Effect::new(move |before: Option<u32>| {
        let now = follow.answered.get();
        if before.is_some_and(|before| before != now) {
            problem
                .maybe_update(|problem| problem.take_if(|problem| problem.code == ProblemCode::Unreachable).is_some());
        }
        now
    });
    let dismiss = Callback::new(move |()| problem.set(None));
    move || problem.get().map(|problem| view! { <ProblemNotice problem dismiss/> })
}
