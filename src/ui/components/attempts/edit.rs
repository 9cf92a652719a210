//! The form for a re-run with changes: the start form, filled with the parameters of the selected attempt, each
//! compared with those of the latest attempt.
//!
//! A modal dialog; without JavaScript, a part of the page with a plain form.

use leptos::ev::{MouseEvent, SubmitEvent};
use leptos::html;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos::task::spawn_local;
use leptos::web_sys::FormData;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;

use super::SelectedAttempt;
use crate::base;
use crate::calls::{RerunEdited, read_offer};
use crate::feed::RunState;
use crate::model::{Param, ParamError, Params, Pipeline, Problem, RunId, StartOptions};
use crate::ui::components::icon::Icon;
use crate::ui::components::notice::{ProblemNotice, UNCONFIRMED, for_action};
use crate::ui::components::review::Tab;
use crate::ui::components::start::{EditedField, ParamField, boxes, focus, general, values};

/// The address of the run page with the form.
pub fn edit_address(run: &RunId, attempt: Option<u32>, tab: Tab) -> String {
    let page = tab.address(run, attempt);
    let separator = if page.contains('?') { '&' } else { '?' };
    format!("{page}{separator}edit=1")
}

/// What the parts of the form share.
#[derive(Clone, Copy)]
struct EditForm {
    /// `None` if the pipeline no longer exists.
    pipeline: Memo<Option<Pipeline>>,
    rerun: ServerAction<RerunEdited>,
    problem: Memo<Option<Problem>>,
    /// The state of the run in the current attempt.
    state: RwSignal<RunState>,
    /// The latest attempt that the user sees. Another one may start while the form is open.
    latest: Memo<u32>,
    /// The attempt that filled the form.
    selected: u32,
    dialog: NodeRef<html::Dialog>,
    form: NodeRef<html::Form>,
}

#[component]
pub fn EditDialog(
    id: RunId,
    /// `None` if the pipeline no longer exists.
    pipeline: Memo<Option<Pipeline>>,
    /// What can be started. Loaded again when the form opens, since pipelines change.
    offer: RwSignal<StartOptions>,
    /// The attempt whose parameters fill the form.
    selected: SelectedAttempt,
    /// The state of the run in the current attempt.
    state: RwSignal<RunState>,
    /// The phase that a re-run can resume from, if that is not the first.
    unfinished: Memo<Option<String>>,
    /// The address of the page without the form.
    closed: Signal<String>,
    /// Owned by the page: on success the form is gone before the response is handled.
    rerun: ServerAction<RerunEdited>,
) -> impl IntoView {
    on_cleanup(move || {
        rerun.value().try_set(None);
    });
    let problem = Memo::new(move |_| rerun.value().get().and_then(Result::err));
    let errors = Signal::derive(move || problem.get().map(|problem| problem.errors).unwrap_or_default());
    let latest = Memo::new(move |_| state.with(|state| state.run.attempt));
    let attempt = selected.state.with_untracked(|state| state.run.attempt);
    let (dialog, form) = (NodeRef::<html::Dialog>::new(), NodeRef::<html::Form>::new());
    let edit = EditForm { pipeline, rerun, problem, state, latest, selected: attempt, dialog, form };
    edit.open_as_modal();
    edit.reload(offer);
    edit.focus_first_error();
    let run = id.to_string();
    let on_submit = move |event: SubmitEvent| {
        event.prevent_default();
        edit.submit(&run);
    };
    let navigate = use_navigate();
    let on_close = move |_| {
        let options = NavigateOptions { resolve: false, replace: true, scroll: false, ..NavigateOptions::default() };
        navigate(&closed.get_untracked(), options);
    };
    view! {
        <dialog
            class="card m-auto w-[calc(100%-1.5rem)] max-w-lg overflow-hidden p-0 text-ink shadow-lg noscript:static noscript:shrink-0 backdrop:bg-canvas/75"
            aria-labelledby="edit-title"
            data-testid="edit-dialog"
            open=true
            node_ref=dialog
            on:close=on_close
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
                <EditHeader edit closed/>
                <div class="scrollbar-thin flex min-h-0 flex-1 flex-col gap-3.5 overflow-y-auto px-5 py-4">
                    <input type="hidden" name="id" value=id.to_string()/>
                    <input type="hidden" name="attempt" value=latest/>
                    <input type="hidden" name="boxes" value=move || pipeline.with(|pipeline| boxes(pipeline.as_ref()))/>
                    <input type="hidden" name="shown" value=attempt/>
                    <Fields pipeline offer selected state errors/>
                    {move || unfinished.get().map(|phase| view! { <StartFrom phase/> })}
                </div>
                <EditFooter edit closed/>
            </form>
        </dialog>
    }
}

impl EditForm {
    /// Opens the dialog as a modal. The server renders it open and in its place on the page, as it is used without
    /// JavaScript.
    fn open_as_modal(self) {
        let Self { dialog, pipeline, .. } = self;
        Effect::new(move |_| {
            let Some(dialog) = dialog.get() else { return };
            // Not `close()`, which would send the event that leaves the form.
            let _ = dialog.remove_attribute("open");
            let _ = dialog.show_modal();
            // By default the focus goes to the close link, which comes first.
            if let Some(param) = pipeline.with_untracked(|pipeline| pipeline.as_ref()?.params.first().cloned()) {
                focus(&format!("param-{}", param.name));
            }
        });
    }

    fn reload(self, offer: RwSignal<StartOptions>) {
        Effect::new(move |_| {
            spawn_local(async move {
                if let Ok(now) = read_offer().await
                    && offer.try_with_untracked(|known| *known != now) == Some(true)
                {
                    offer.try_set(now);
                }
            });
        });
    }

    fn focus_first_error(self) {
        Effect::new(move |_| {
            if let Some(error) = self.problem.get().as_ref().and_then(|problem| problem.errors.first()) {
                focus(&format!("param-{}", error.param));
            }
        });
    }

    fn submit(self, run: &str) {
        let (Some(form), Some(pipeline)) = (self.form.get_untracked(), self.pipeline.get_untracked()) else { return };
        if self.rerun.pending().get_untracked() {
            return;
        }
        let Ok(data) = FormData::new_with_form(&form) else { return };
        let failed = data.get("failed").as_string().as_deref() == Some("true");
        // On success the server redirects to the new attempt.
        self.rerun.dispatch(RerunEdited {
            id: run.to_owned(),
            attempt: self.latest.get_untracked(),
            failed,
            params: values(&pipeline, &data),
            boxes: String::new(),
            shown: Some(self.selected),
        });
    }

    /// Closes the dialog as Escape does, which gives the focus back.
    fn close(self, event: &MouseEvent) {
        if let Some(dialog) = self.dialog.get_untracked() {
            event.prevent_default();
            dialog.close();
        }
    }
}

#[component]
fn EditHeader(edit: EditForm, closed: Signal<String>) -> impl IntoView {
    view! {
        <header class="flex shrink-0 items-start gap-3 border-b border-line px-5 py-3.5">
            <div class="min-w-0 flex-1">
                <h2 id="edit-title" class="text-sm font-semibold">"Re-run with changes"</h2>
                <p class="mt-0.5 text-xs text-soft">
                    {format!("Starts a new attempt. Prefilled from attempt {}, which is kept.", edit.selected)}
                </p>
            </div>
            <a
                href=closed
                data-noscroll
                class="button button-icon button-small"
                aria-label="Close"
                title="Close"
                on:click=move |event| edit.close(&event)
            >
                {Icon::Close.draw()}
            </a>
        </header>
    }
}

/// The choice between a re-run of all phases and one that resumes from `phase`.
#[component]
fn StartFrom(phase: String) -> impl IntoView {
    view! {
        <fieldset class="flex flex-wrap gap-x-5 gap-y-2">
            <legend class="mb-1 text-xs font-medium text-soft">"Start from"</legend>
            <label class="flex items-center gap-2 text-sm">
                <input
                    type="radio"
                    class="size-4 accent-accent"
                    name="failed"
                    value="false"
                    checked=true
                    data-testid="from-start"
                />
                "Beginning"
            </label>
            <label class="flex items-center gap-2 text-sm">
                <input type="radio" class="size-4 accent-accent" name="failed" value="true" data-testid="from-failed"/>
                <span><code class="font-mono text-[0.92em]">{phase}</code>" (reuse completed phases)"</span>
            </label>
        </fieldset>
    }
}

#[component]
fn EditFooter(edit: EditForm, closed: Signal<String>) -> impl IntoView {
    let EditForm { pipeline, rerun, problem, state, latest, .. } = edit;
    let opened_at = latest.get_untracked();
    let newer = move || {
        let now = latest.get();
        (now != opened_at).then(|| {
            format!(
                "Attempt {now} has started meanwhile. Your input is kept; differences refer to attempt {opened_at}."
            )
        })
    };
    let is_active = Memo::new(move |_| state.with(|state| state.run.status.is_active()));
    view! {
        <footer class="flex shrink-0 flex-col gap-3 border-t border-line px-5 py-3.5">
            {move || problem.get().and_then(general).map(|problem| {
                let dismiss = Callback::new(move |()| rerun.value().set(None));
                view! { <ProblemNotice problem=for_action(problem, UNCONFIRMED) dismiss/> }
            })}
            <p class="text-xs text-soft empty:hidden" role="status">{newer}</p>
            <p class="text-xs text-warn" role="status" class:hidden=move || !is_active.get()>
                "You can re-run this run once it finishes."
            </p>
            <div class="flex justify-end gap-2">
                <a href=closed data-noscroll class="button" on:click=move |event| edit.close(&event)>"Cancel"</a>
                <button
                    class="button button-primary"
                    data-testid="rerun-edited"
                    disabled=move || is_active.get() || rerun.pending().get() || pipeline.with(Option::is_none)
                >
                    {move || if rerun.pending().get() { Icon::Busy } else { Icon::Rerun }.draw()}
                    "Re-run"
                </button>
            </div>
        </footer>
    }
}

/// A field for each parameter of the pipeline, and a note about parameters of the attempt that it no longer has.
#[component]
fn Fields(
    pipeline: Memo<Option<Pipeline>>,
    offer: RwSignal<StartOptions>,
    selected: SelectedAttempt,
    state: RwSignal<RunState>,
    errors: Signal<Vec<ParamError>>,
) -> impl IntoView {
    let given = selected.state.with_untracked(|state| state.run.params.clone());
    let (newest, last) = state.with_untracked(|state| (state.run.attempt, state.run.params.clone()));
    let params = Memo::new(move |_| pipeline.with(|pipeline| pipeline.as_ref().map(|now| now.params.clone())));
    let removed = {
        let given = given.clone();
        move || {
            let text = params.with(|params| removed_note(params.as_deref()?, &given))?;
            Some(view! { <p class="text-xs text-soft" data-testid="gone">{text}</p> })
        }
    };
    let none = move || {
        let none = params.with(|params| params.as_ref().is_some_and(Vec::is_empty));
        none.then(|| view! { <p class="text-sm text-soft">"This pipeline has no parameters."</p> })
    };
    // The whole parameter is the key: if the pipeline changes, the input of an unchanged parameter stays.
    let field = move |param: Param| {
        let edited = EditedField::new(&param, &given, &last, newest);
        let projects = offer.with_untracked(|offer| offer.projects.clone());
        view! { <ParamField param projects errors edited/> }
    };
    view! {
        <For each=move || params.get().unwrap_or_default() key=Clone::clone children=field/>
        {none}
        {removed}
    }
}

/// Names the parameters of the attempt that the pipeline no longer has.
fn removed_note(params: &[Param], given: &Params) -> Option<String> {
    let is_known = |name: &String| params.iter().any(|param| param.name == *name);
    let removed: Vec<&str> = given.keys().filter(|name| !is_known(name)).map(String::as_str).collect();
    match removed.as_slice() {
        [] => None,
        [name] => Some(format!("{name} is no longer a parameter of this pipeline.")),
        names => Some(format!("{} are no longer parameters of this pipeline.", names.join(", "))),
    }
}
