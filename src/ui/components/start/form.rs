//! The form that starts a run. Works without JavaScript.

use std::collections::BTreeMap;

use leptos::ev::SubmitEvent;
use leptos::html;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos::web_sys::FormData;

use super::field::{ParamField, field_name};
use crate::base;
use crate::browser;
use crate::calls::{ShowFields, StartRun};
use crate::feed::ConnectionState;
use crate::model::visible::plain;
use crate::model::{Param, ParamKind, Pipeline, Problem, ProblemCode, StartOptions};
use crate::ui::components::icon::Icon;
use crate::ui::components::notice::{ProblemNotice, for_action};
use crate::ui::components::text_with_code::TextWithCode;

/// The advice if the server did not answer: the form still has its idempotency key.
const SAFE_TO_RETRY: &str = "It's safe to try again: the run won't start twice.";

#[component]
pub fn StartForm(
    /// What can be started. Changes while the page is open.
    offer: RwSignal<StartOptions>,
    /// The pipeline to select first, if it exists.
    preselected: Option<String>,
    /// The state of the page's connection.
    link: RwSignal<ConnectionState>,
) -> impl IntoView {
    let first = offer.with_untracked(|offer| {
        let preselected = preselected.filter(|name| offer.pipelines.iter().any(|pipeline| pipeline.name == *name));
        preselected.or_else(|| offer.pipelines.first().map(|pipeline| pipeline.name.clone())).unwrap_or_default()
    });
    let selected = RwSignal::new(first);
    let pipeline = Memo::new(move |_| {
        let name = selected.get();
        offer.with(|offer| offer.pipelines.iter().find(|pipeline| pipeline.name == name).cloned())
    });
    let start = ServerAction::<StartRun>::new();
    let problem = Memo::new(move |_| start.value().get().and_then(Result::err));
    let errors = Signal::derive(move || problem.get().map(|problem| problem.errors).unwrap_or_default());
    // An idempotency key for the current input: submitting it again does not start a second run.
    let key = StoredValue::new(String::new());
    let renew_key = move || key.set_value(browser::random_key());
    Effect::new(move |_| renew_key());
    let form = NodeRef::<html::Form>::new();
    let on_submit = move |event: SubmitEvent| {
        event.prevent_default();
        let (Some(form), Some(pipeline)) = (form.get_untracked(), pipeline.get_untracked()) else { return };
        if start.pending().get_untracked() {
            return;
        }
        let Ok(data) = FormData::new_with_form(&form) else { return };
        let params = values(&pipeline, &data);
        start.dispatch(StartRun { pipeline: pipeline.name, params, key: key.get_value(), boxes: String::new() });
    };
    // On success the server redirects to the run page.
    Effect::new(move |_| {
        let Some(problem) = problem.get() else { return };
        if problem.code != ProblemCode::Unreachable {
            renew_key();
        }
        if let Some(error) = problem.errors.first() {
            focus(&format!("param-{}", error.param));
        }
    });
    clear_when_connected(link, problem, move || start.value().set(None));
    view! {
        <form
            method="post"
            action=base::path(StartRun::url())
            class="flex flex-col gap-3.5"
            autocomplete="off"
            novalidate
            node_ref=form
            on:submit=on_submit
            on:input=move |_| renew_key()
        >
            <PipelineSelect offer selected start/>
            <input type="hidden" name="boxes" value=move || pipeline.with(|pipeline| boxes(pipeline.as_ref()))/>
            {move || pipeline.get().map(|pipeline| view! { <About pipeline/> })}
            // The key includes the pipeline, so that input is not carried over to a parameter of the same name of
            // another one.
            <For each=move || pipeline.get().map(fields).unwrap_or_default() key=Clone::clone let:field>
                <ParamField param=field.param projects=offer.with_untracked(|offer| offer.projects.clone()) errors/>
            </For>
            <SubmitBar start problem pipeline/>
        </form>
    }
}

/// The start button and the problem. Sticky, so that it is in view however many fields there are.
#[component]
fn SubmitBar(
    start: ServerAction<StartRun>,
    problem: Memo<Option<Problem>>,
    pipeline: Memo<Option<Pipeline>>,
) -> impl IntoView {
    view! {
        <div class="flex flex-col gap-3 lg:sticky lg:-bottom-1 lg:-mx-4 lg:rounded-b-[0.625rem] lg:border-t lg:border-line lg:bg-panel lg:px-4 lg:pt-3 lg:pb-5">
            {move || problem.get().and_then(general).map(|problem| {
                let dismiss = move |()| start.value().set(None);
                view! { <ProblemNotice problem=for_action(problem, SAFE_TO_RETRY) dismiss=Callback::new(dismiss)/> }
            })}
            <button
                class="button button-primary"
                data-testid="start-run"
                disabled=move || start.pending().get() || pipeline.with(Option::is_none)
            >
                {move || if start.pending().get() { Icon::Busy } else { Icon::Start }.draw()}
                "Start run"
            </button>
        </div>
    }
}

#[component]
fn PipelineSelect(
    offer: RwSignal<StartOptions>,
    /// The name of the selected pipeline.
    selected: RwSignal<String>,
    start: ServerAction<StartRun>,
) -> impl IntoView {
    // The user may have selected another pipeline before hydration.
    let select = NodeRef::<html::Select>::new();
    Effect::new(move |_| {
        if let Some(select) = select.get() {
            selected.maybe_update(|selected| std::mem::replace(selected, select.value()) != select.value());
        }
    });
    let on_change = move |event| {
        start.value().set(None);
        selected.set(event_target_value(&event));
    };
    view! {
        <div>
            <label for="pipeline" class="mb-1 block text-xs font-medium text-soft">"Pipeline"</label>
            <select
                class="field"
                id="pipeline"
                name="pipeline"
                data-testid="pipeline"
                autocomplete="off"
                node_ref=select
                on:change=on_change
            >
                <For
                    each=move || offer.get().pipelines
                    key=|pipeline| (pipeline.name.clone(), pipeline.title.clone())
                    let:pipeline
                >
                    <option
                        value=pipeline.name.clone()
                        selected=selected.with_untracked(|selected| *selected == pipeline.name)
                    >
                        {plain(&pipeline.title)}
                    </option>
                </For>
            </select>
            // By POST, so that the input, which may have secrets, does not end up in an address.
            <button class="button button-small mt-2 hidden noscript:inline-flex" formaction=base::path(ShowFields::url())>
                "Show fields"
            </button>
        </div>
    }
}

/// A parameter of a pipeline, as the key of its field.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Field {
    pipeline: String,
    param: Param,
}

fn fields(Pipeline { name, params, .. }: Pipeline) -> Vec<Field> {
    params.into_iter().map(|param| Field { pipeline: name.clone(), param }).collect()
}

/// The description and the phases of a pipeline.
#[component]
fn About(pipeline: Pipeline) -> impl IntoView {
    let phases: Vec<&str> = pipeline.phases.iter().map(|phase| phase.name.as_str()).collect();
    let description = (!pipeline.description.is_empty())
        .then(|| view! { <p class="text-sm text-soft"><TextWithCode text=pipeline.description.clone()/></p> });
    view! {
        {description}
        <p class="flex flex-wrap gap-x-1.5 text-xs text-faint">
            <span class="sr-only">"Phases: "</span>
            {phases.join(" → ")}
        </p>
    }
}

/// Clears a problem that says that the server is unreachable once the page is connected again.
fn clear_when_connected(link: RwSignal<ConnectionState>, problem: Memo<Option<Problem>>, clear: impl Fn() + 'static) {
    Effect::new(move |before: Option<ConnectionState>| {
        let now = link.get();
        let unreachable =
            problem.with_untracked(|problem| problem.as_ref().is_some_and(|p| p.code == ProblemCode::Unreachable));
        if before.is_some_and(|before| before != now) && now.is_connected() && unreachable {
            clear();
        }
        now
    });
}

/// The values in the form. Form data leaves unchecked checkboxes out; they are `false`.
pub fn values(pipeline: &Pipeline, data: &FormData) -> BTreeMap<String, String> {
    let value = |kind: ParamKind, name: &str| match kind {
        ParamKind::Boolean => data.has(name).to_string(),
        _ => data.get(name).as_string().unwrap_or_default(),
    };
    pipeline.params.iter().map(|param| (param.name.clone(), value(param.kind, &field_name(&param.name)))).collect()
}

/// The names of the pipeline's checkboxes, separated by commas, since form data leaves unchecked ones out.
pub fn boxes(pipeline: Option<&Pipeline>) -> String {
    let params = pipeline.map(|pipeline| pipeline.params.as_slice()).unwrap_or_default();
    let boxes = params.iter().filter(|param| param.kind == ParamKind::Boolean);
    boxes.map(|param| param.name.as_str()).collect::<Vec<_>>().join(",")
}

/// The problem, unless the fields show all of it.
pub fn general(problem: Problem) -> Option<Problem> {
    let at_fields =
        problem.code == ProblemCode::InvalidParams && problem.errors.iter().all(|error| error.code != "unknown");
    (!at_fields).then_some(problem)
}

/// Focuses the element with this id.
pub fn focus(id: &str) {
    use leptos::wasm_bindgen::JsCast;
    use leptos::web_sys::HtmlElement;
    let field = document().get_element_by_id(id).and_then(|field| field.dyn_into::<HtmlElement>().ok());
    if let Some(field) = field {
        let _ = field.focus();
    }
}
