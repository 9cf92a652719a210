//! Asking for another attempt with other parameters: the form of the start, filled in with those of the attempt that is looked
//! at, each compared with what the last attempt had.
//!
//! A real dialog where scripts run; without them a part of the page, with a plain form.

use leptos::ev::{MouseEvent, SubmitEvent};
use leptos::html;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos::task::spawn_local;
use leptos::web_sys::FormData;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;

use super::ShownAttempt;
use crate::base;
use crate::calls::{RerunEdited, read_offer};
use crate::feed::RunState;
use crate::model::{Param, ParamError, Params, Pipeline, RunId, StartOptions};
use crate::ui::components::icon::Icon;
use crate::ui::components::notice::{NOT_KNOWN, ProblemNotice, of_action};
use crate::ui::components::review::Tab;
use crate::ui::components::start::{Edited, ParamField, boxes, focus, general, values};

/// The address of a run's page with the form.
pub fn edit_address(run: &RunId, attempt: Option<u32>, tab: Tab) -> String {
    let page = tab.address(run, attempt);
    let joint = if page.contains('?') { '&' } else { '?' };
    format!("{page}{joint}edit=1")
}

/// The form.
#[component]
pub fn EditDialog(
    /// The run.
    id: RunId,
    /// Its pipeline, if there is one of that name.
    pipeline: Memo<Option<Pipeline>>,
    /// What can be started: read again when the form is opened, since pipelines change.
    offer: RwSignal<StartOptions>,
    /// The attempt that is looked at, whose parameters fill the form.
    shown: ShownAttempt,
    /// How the run stands now.
    state: RwSignal<RunState>,
    /// The phase that a re-run may go on with, if it need not begin with the first.
    unfinished: Memo<Option<String>>,
    /// The page without the form.
    home: Signal<String>,
    /// What the form does. It is the page's: the answer leads to a page without the form.
    rerun: ServerAction<RerunEdited>,
) -> impl IntoView {
    // What was refused is not when the form is opened again.
    on_cleanup(move || {
        rerun.value().try_set(None);
    });
    let problem = Memo::new(move |_| rerun.value().get().and_then(Result::err));
    let errors = Signal::derive(move || problem.get().map(|problem| problem.errors).unwrap_or_default());
    // The newest attempt that the operator can see: another one may come, and end, while the form is filled in.
    let seen = Memo::new(move |_| state.with(|state| state.run.attempt));
    let opened_at = seen.get_untracked();
    let active = Memo::new(move |_| state.with(|state| state.run.status.is_active()));

    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move |_| {
        if let Some(dialog) = dialog.get() {
            // As the server rendered it, it is open and in its place on the page. Closing it would tell that it was closed.
            let _ = dialog.remove_attribute("open");
            let _ = dialog.show_modal();
            // Not the link that closes it, which comes first.
            if let Some(param) = pipeline.with_untracked(|pipeline| pipeline.as_ref()?.params.first().cloned()) {
                focus(&format!("param-{}", param.name));
            }
        }
    });
    Effect::new(move |_| {
        spawn_local(async move {
            if let Ok(now) = read_offer().await
                && offer.try_with_untracked(|known| *known != now) == Some(true)
            {
                offer.try_set(now);
            }
        });
    });
    Effect::new(move |_| {
        if let Some(error) = problem.get().as_ref().and_then(|problem| problem.errors.first()) {
            focus(&format!("param-{}", error.param));
        }
    });

    let attempt = shown.state.with_untracked(|state| state.run.attempt);
    let form = NodeRef::<html::Form>::new();
    let run = id.to_string();
    let on_submit = move |event: SubmitEvent| {
        event.prevent_default();
        let (Some(form), Some(pipeline)) = (form.get_untracked(), pipeline.get_untracked()) else { return };
        if rerun.pending().get_untracked() {
            return;
        }
        let Ok(data) = FormData::new_with_form(&form) else { return };
        let failed = data.get("failed").as_string().as_deref() == Some("true");
        let params = values(&pipeline, &data);
        // The server's answer leads to the new attempt.
        rerun.dispatch(RerunEdited {
            id: run.clone(),
            attempt: seen.get_untracked(),
            failed,
            params,
            boxes: String::new(),
            shown: Some(attempt),
        });
    };
    let navigate = use_navigate();
    let closed = move |_| {
        let there = NavigateOptions { resolve: false, replace: true, scroll: false, ..NavigateOptions::default() };
        navigate(&home.get_untracked(), there);
    };
    // Closed as Escape closes it: what had the focus before has it again.
    let close = move |event: MouseEvent| {
        if let Some(dialog) = dialog.get_untracked() {
            event.prevent_default();
            dialog.close();
        }
    };
    let boxes = move || pipeline.with(|pipeline| boxes(pipeline.as_ref()));
    let from = move || {
        unfinished.get().map(|phase| {
            view! {
                <fieldset class="flex flex-wrap gap-x-5 gap-y-2">
                    <legend class="mb-1 text-xs font-medium text-soft">"Begin"</legend>
                    <label class="flex items-center gap-2 text-sm">
                        <input
                            type="radio"
                            class="size-4 accent-accent"
                            name="failed"
                            value="false"
                            checked=true
                            data-testid="from-start"
                        />
                        "From the start"
                    </label>
                    <label class="flex items-center gap-2 text-sm">
                        <input
                            type="radio"
                            class="size-4 accent-accent"
                            name="failed"
                            value="true"
                            data-testid="from-failed"
                        />
                        {format!("With {phase}, and keep what ended well before")}
                    </label>
                </fieldset>
            }
        })
    };
    let filled =
        format!("Filled in with the parameters of attempt {attempt}. What was before stays: this is a new attempt.");
    let newer = move || {
        let now = seen.get();
        let told = format!(
            "Attempt {now} has begun since. What you typed stays; what differs is told from attempt {opened_at}."
        );
        (now != opened_at).then_some(told)
    };
    view! {
        <dialog
            class="card m-auto w-[calc(100%-1.5rem)] max-w-lg overflow-hidden p-0 text-ink shadow-lg noscript:static noscript:shrink-0 backdrop:bg-canvas/75"
            aria-labelledby="edit-title"
            data-testid="edit-dialog"
            open=true
            node_ref=dialog
            on:close=closed
        >
            <form
                method="post"
                action=base::path(RerunEdited::url())
                class="flex max-h-[calc(100dvh-3rem)] flex-col"
                autocomplete="off"
                novalidate
                node_ref=form
                on:submit=on_submit
            >
                <header class="flex shrink-0 items-start gap-3 border-b border-line px-5 py-3.5">
                    <div class="min-w-0 flex-1">
                        <h2 id="edit-title" class="text-sm font-semibold">"Edit and re-run"</h2>
                        <p class="mt-0.5 text-xs text-soft">{filled}</p>
                    </div>
                    <a
                        href=home
                        data-noscroll
                        class="button button-icon button-small"
                        aria-label="Close"
                        title="Close"
                        on:click=close
                    >
                        {Icon::Close.draw()}
                    </a>
                </header>
                <div class="scrollbar-thin flex min-h-0 flex-1 flex-col gap-3.5 overflow-y-auto px-5 py-4">
                    <input type="hidden" name="id" value=id.to_string()/>
                    <input type="hidden" name="attempt" value=seen/>
                    <input type="hidden" name="boxes" value=boxes/>
                    <input type="hidden" name="shown" value=attempt/>
                    <Fields pipeline offer shown state errors/>
                    {from}
                </div>
                <footer class="flex shrink-0 flex-col gap-3 border-t border-line px-5 py-3.5">
                    {move || problem.get().and_then(general).map(|problem| {
                        let dismiss = Callback::new(move |()| rerun.value().set(None));
                        view! { <ProblemNotice problem=of_action(problem, NOT_KNOWN) dismiss/> }
                    })}
                    <p class="text-xs text-soft empty:hidden" role="status">{newer}</p>
                    <p class="text-xs text-warn" role="status" class:hidden=move || !active.get()>
                        "The run is active. When it has ended, it can be run again."
                    </p>
                    <div class="flex justify-end gap-2">
                        <a href=home data-noscroll class="button" on:click=close>"Cancel"</a>
                        <button
                            class="button button-primary"
                            data-testid="rerun-edited"
                            disabled=move || active.get() || rerun.pending().get() || pipeline.with(Option::is_none)
                        >
                            {move || if rerun.pending().get() { Icon::Busy } else { Icon::Again }.draw()}
                            "Run again"
                        </button>
                    </div>
                </footer>
            </form>
        </dialog>
    }
}

/// The fields of what the pipeline asks for now; and what it asked for earlier and does not any more.
#[component]
fn Fields(
    pipeline: Memo<Option<Pipeline>>,
    offer: RwSignal<StartOptions>,
    shown: ShownAttempt,
    state: RwSignal<RunState>,
    errors: Signal<Vec<ParamError>>,
) -> impl IntoView {
    let given = shown.state.with_untracked(|state| state.run.params.clone());
    let (newest, last) = state.with_untracked(|state| (state.run.attempt, state.run.params.clone()));
    let params = Memo::new(move |_| pipeline.with(|pipeline| pipeline.as_ref().map(|now| now.params.clone())));
    let gone = {
        let given = given.clone();
        move || {
            let gone = params.with(|params| no_longer(params.as_deref()?, &given));
            let words = gone.map(|gone| format!("The pipeline does not ask for {gone} any more."));
            words.map(|words| view! { <p class="text-xs text-soft" data-testid="gone">{words}</p> })
        }
    };
    let none = move || {
        let none = params.with(|params| params.as_ref().is_some_and(Vec::is_empty));
        none.then(|| view! { <p class="text-sm text-soft">"This pipeline has no parameters."</p> })
    };
    // Each with elements of its own: what is typed into one stays when the pipeline changes, if this one does not.
    let field = move |param: Param| {
        let edited = Edited::new(&param, &given, &last, newest);
        let projects = offer.with_untracked(|offer| offer.projects.clone());
        view! { <ParamField param projects errors edited/> }
    };
    view! {
        <For each=move || params.get().unwrap_or_default() key=Clone::clone children=field/>
        {none}
        {gone}
    }
}

/// The names of parameters that the pipeline does not have now, if there are any.
fn no_longer(params: &[Param], given: &Params) -> Option<String> {
    let known = |name: &String| params.iter().any(|param| param.name == *name);
    let gone: Vec<&str> = given.keys().filter(|name| !known(name)).map(String::as_str).collect();
    (!gone.is_empty()).then(|| gone.join(", "))
}
