//! The form that starts a run. A plain form underneath: it works where no script runs.

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
use crate::feed::Link;
use crate::feed::visible::plain;
use crate::model::{Param, ParamKind, Pipeline, Problem, ProblemCode, StartOptions};
use crate::ui::components::code::Words;
use crate::ui::components::icon::Icon;
use crate::ui::components::notice::{ProblemNotice, of_action};

/// The start form.
#[component]
pub fn StartForm(
    /// What can be started. It may change while the page is open.
    offer: RwSignal<StartOptions>,
    /// The pipeline that is chosen at first, if there is one of this name.
    wanted: Option<String>,
    /// How the page is connected.
    link: RwSignal<Link>,
) -> impl IntoView {
    let first = offer.with_untracked(|offer| {
        let wanted = wanted.filter(|wanted| offer.pipelines.iter().any(|pipeline| pipeline.name == *wanted));
        wanted.or_else(|| offer.pipelines.first().map(|pipeline| pipeline.name.clone())).unwrap_or_default()
    });
    let chosen = RwSignal::new(first);
    let pipeline = Memo::new(move |_| {
        let name = chosen.get();
        offer.with(|offer| offer.pipelines.iter().find(|pipeline| pipeline.name == name).cloned())
    });
    let start = ServerAction::<StartRun>::new();
    let problem = Memo::new(move |_| start.value().get().and_then(Result::err));
    let errors = Signal::derive(move || problem.get().map(|problem| problem.errors).unwrap_or_default());

    // One key for one filling of the form: sending it twice starts one run, whatever was pressed how often.
    let key = StoredValue::new(String::new());
    let refill = move || key.set_value(browser::key());
    Effect::new(move |_| refill());
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
    // The server's answer leads to the run's page; a failure leaves the form as it is, and is at its first field.
    Effect::new(move |_| {
        let Some(problem) = problem.get() else { return };
        if problem.code != ProblemCode::Unreachable {
            refill();
        }
        if let Some(error) = problem.errors.first() {
            focus(&format!("param-{}", error.param));
        }
    });
    forget_when_back(link, problem, move || start.value().set(None));
    // What was chosen before the page was alive is chosen.
    let select = NodeRef::<html::Select>::new();
    Effect::new(move |_| {
        if let Some(select) = select.get() {
            chosen.maybe_update(|chosen| std::mem::replace(chosen, select.value()) != select.value());
        }
    });
    let choose = move |event| {
        start.value().set(None);
        chosen.set(event_target_value(&event));
    };
    view! {
        <form
            method="post"
            action=base::path(StartRun::url())
            class="flex flex-col gap-3.5"
            autocomplete="off"
            novalidate
            node_ref=form
            on:submit=on_submit
            on:input=move |_| refill()
        >
            <div>
                <label for="pipeline" class="mb-1 block text-xs font-medium text-soft">"Pipeline"</label>
                <select
                    class="field"
                    id="pipeline"
                    name="pipeline"
                    data-testid="pipeline"
                    autocomplete="off"
                    node_ref=select
                    on:change=choose
                >
                    <For
                        each=move || offer.get().pipelines
                        key=|pipeline| (pipeline.name.clone(), pipeline.title.clone())
                        let:pipeline
                    >
                        <option
                            value=pipeline.name.clone()
                            selected=chosen.with_untracked(|chosen| *chosen == pipeline.name)
                        >
                            {plain(&pipeline.title)}
                        </option>
                    </For>
                </select>
                // By POST: what is in the fields, secrets too, is not to stand in an address.
                <button class="button button-small mt-2 hidden noscript:inline-flex" formaction=base::path(ShowFields::url())>
                    "Show its fields"
                </button>
            </div>
            <input type="hidden" name="boxes" value=move || pipeline.with(|pipeline| boxes(pipeline.as_ref()))/>
            {move || pipeline.get().map(|pipeline| view! { <About pipeline/> })}
            // Each with elements of its own: what is typed into one is not found in another one's, and stays as long as this one does.
            <For each=move || pipeline.get().map(fields).unwrap_or_default() key=Clone::clone let:field>
                <ParamField param=field.param projects=offer.with_untracked(|offer| offer.projects.clone()) errors/>
            </For>
            // In view however many fields there are.
            <div class="flex flex-col gap-3 lg:sticky lg:-bottom-1 lg:-mx-4 lg:rounded-b-[0.625rem] lg:border-t lg:border-line lg:bg-panel lg:px-4 lg:pt-3 lg:pb-5">
                {move || problem.get().and_then(general).map(|problem| {
                    let dismiss = move |()| start.value().set(None);
                    view! { <ProblemNotice problem=of_action(problem, SAFE) dismiss=Callback::new(dismiss)/> }
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
        </form>
    }
}

/// What is said where the server has not answered: the form's key is still the same.
const SAFE: &str = "The server does not answer. Press again: it will not start twice.";

/// A parameter of a pipeline. Two are the same if nothing of them differs.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Field {
    pipeline: String,
    param: Param,
}

fn fields(Pipeline { name, params, .. }: Pipeline) -> Vec<Field> {
    params.into_iter().map(|param| Field { pipeline: name.clone(), param }).collect()
}

/// What is said of a pipeline, and its phases.
#[component]
fn About(pipeline: Pipeline) -> impl IntoView {
    let phases: Vec<&str> = pipeline.phases.iter().map(|phase| phase.name.as_str()).collect();
    let description = (!pipeline.description.is_empty())
        .then(|| view! { <p class="text-sm text-soft"><Words text=pipeline.description.clone()/></p> });
    view! {
        {description}
        <p class="flex flex-wrap gap-x-1.5 text-xs text-faint">
            <span class="sr-only">"Phases: "</span>
            {phases.join(" → ")}
        </p>
    }
}

/// When the page is connected again, that the server could not be reached is not true any more.
fn forget_when_back(link: RwSignal<Link>, problem: Memo<Option<Problem>>, forget: impl Fn() + 'static) {
    Effect::new(move |before: Option<Link>| {
        let now = link.get();
        let unreachable =
            problem.with_untracked(|problem| problem.as_ref().is_some_and(|p| p.code == ProblemCode::Unreachable));
        if before.is_some_and(|before| before != now) && now.is_connected() && unreachable {
            forget();
        }
        now
    });
}

/// The values in the form. A box that is not ticked is `false`, which a form by itself does not say.
pub fn values(pipeline: &Pipeline, data: &FormData) -> BTreeMap<String, String> {
    let value = |kind: ParamKind, name: &str| match kind {
        ParamKind::Boolean => data.has(name).to_string(),
        _ => data.get(name).as_string().unwrap_or_default(),
    };
    pipeline.params.iter().map(|param| (param.name.clone(), value(param.kind, &field_name(&param.name)))).collect()
}

/// The names of a pipeline's boxes, with commas between them: a form does not mention those that are not ticked.
pub fn boxes(pipeline: Option<&Pipeline>) -> String {
    let params = pipeline.map(|pipeline| pipeline.params.as_slice()).unwrap_or_default();
    let boxes = params.iter().filter(|param| param.kind == ParamKind::Boolean);
    boxes.map(|param| param.name.as_str()).collect::<Vec<_>>().join(",")
}

/// The problem, unless all of it is shown at fields.
pub fn general(problem: Problem) -> Option<Problem> {
    let at_fields =
        problem.code == ProblemCode::InvalidParams && problem.errors.iter().all(|error| error.code != "unknown");
    (!at_fields).then_some(problem)
}

/// Gives the element of this id the focus.
pub fn focus(id: &str) {
    use leptos::wasm_bindgen::JsCast;
    use leptos::web_sys::HtmlElement;
    let field = document().get_element_by_id(id).and_then(|field| field.dyn_into::<HtmlElement>().ok());
    if let Some(field) = field {
        let _ = field.focus();
    }
}
