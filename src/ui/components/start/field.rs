//! A parameter as a field of the form.

use leptos::prelude::*;

use super::Edited;
use super::lines::{content, has_lines, rows};
use crate::model::{Param, ParamError, ParamKind};

/// The name under which the form sends a parameter.
pub fn field_name(param: &str) -> String {
    format!("params[{param}]")
}

/// A parameter's field: label, control, help, and what is wrong with its value.
#[component]
pub fn ParamField(
    /// The parameter.
    param: Param,
    /// The folders that runs may work in.
    projects: Vec<String>,
    /// What the server found wrong.
    #[prop(into)]
    errors: Signal<Vec<ParamError>>,
    /// What it is filled in with and compared with, if an attempt is to be edited.
    #[prop(optional)]
    edited: Option<Edited>,
) -> impl IntoView {
    let id = format!("param-{}", param.name);
    let (help_id, error_id) = (format!("{id}-help"), format!("{id}-error"));
    let error = Memo::new({
        let name = param.name.clone();
        move |_| {
            errors.with(|errors| errors.iter().find(|error| error.param == name).map(|error| error.message.clone()))
        }
    });
    let described = {
        let (help_id, error_id) = (help_id.clone(), error_id.clone());
        let has_help = !param.help.is_empty();
        move || {
            let wrong = error.with(Option::is_some).then_some(&error_id);
            let ids: Vec<&str> = wrong.into_iter().chain(has_help.then_some(&help_id)).map(String::as_str).collect();
            (!ids.is_empty()).then(|| ids.join(" "))
        }
    };
    let invalid = move || error.with(Option::is_some).then_some("true");
    let optional = (!param.required && param.kind != ParamKind::Boolean)
        .then(|| view! { <span class="font-normal text-faint">"optional"</span> });
    let label = param.label().to_owned();
    let given = edited.as_ref().map(|edited| edited.value.get_untracked());
    let lines = edited.as_ref().is_some_and(Edited::has_lines);
    let control = control(&param, &id, &projects, given, lines, described, invalid);
    let heard = edited.clone();
    let text = (!param.help.is_empty()).then(|| {
        view! { <p id=help_id class="mt-1 text-xs text-faint">{param.help.clone()}</p> }
    });
    let again = (param.kind == ParamKind::Secret && edited.is_some()).then(|| {
        view! { <p class="mt-1 text-xs text-faint">"Secrets are removed when a run ends. Enter the secret again."</p> }
    });
    view! {
        <div on:input=move |event| heard.iter().for_each(|edited| edited.hear(&event))>
            {if param.kind == ParamKind::Boolean {
                view! { <label class="flex items-center gap-2 text-sm font-medium">{control}{label}</label> }.into_any()
            } else {
                view! {
                    <label for=id.clone() class="mb-1 flex items-baseline justify-between gap-2 text-xs font-medium text-soft">
                        {label}
                        {optional}
                    </label>
                    {control}
                }
                .into_any()
            }}
            <p id=error_id class="mt-1 text-xs font-medium text-bad empty:hidden">{move || error.get()}</p>
            {edited.map(difference)}
            {again}
            {text}
        </div>
    }
}

/// What the last attempt had, if that is something else.
fn difference(edited: Edited) -> impl IntoView {
    move || {
        edited.differs().then(|| {
            let again = edited.clone();
            view! {
                <p class="mt-1 flex min-w-0 items-baseline gap-2 text-xs text-info" data-testid="differs">
                    <span class="min-w-0 break-all">{edited.was()}</span>
                    <button
                        type="button"
                        class="shrink-0 rounded text-accent underline underline-offset-2 noscript:hidden"
                        class:hidden=!again.can_reset()
                        on:click=move |_| again.reset()
                    >
                        "Reset"
                    </button>
                </p>
            }
        })
    }
}

fn control(
    param: &Param,
    id: &str,
    projects: &[String],
    given: Option<String>,
    lines: bool,
    described: impl Fn() -> Option<String> + Send + Sync + 'static,
    invalid: impl Fn() -> Option<&'static str> + Send + Sync + 'static,
) -> AnyView {
    let is_given = given.is_some();
    let default = given.or_else(|| param.default.as_ref().map(ToString::to_string));
    let name = field_name(&param.name);
    let required = param.required.then_some("true");
    let (id, test) = (id.to_owned(), id.to_owned());
    match param.kind {
        ParamKind::Boolean => view! {
            <input
                type="checkbox"
                class="size-4 accent-accent"
                id=id
                data-testid=test
                name=name
                value="true"
                checked=default.as_deref() == Some("true")
                aria-describedby=described
                aria-invalid=invalid
            />
        }
        .into_any(),
        ParamKind::Choice => {
            let known = default.as_ref().is_some_and(|default| param.choices.contains(default));
            let nothing = (!known).then(|| view! { <option value="">"Choose…"</option> });
            let options = param.choices.iter().map(|choice| {
                let chosen = default.as_ref() == Some(choice);
                view! { <option value=choice.clone() selected=chosen>{choice.clone()}</option> }
            });
            view! {
                <select
                    class="field"
                    id=id
                    data-testid=test
                    name=name
                    aria-required=required
                    aria-describedby=described
                    aria-invalid=invalid
                >
                    {nothing}
                    {options.collect_view()}
                </select>
            }
            .into_any()
        }
        _ if lines || has_lines(param, [default.as_deref(), None]) => {
            let value = default.unwrap_or_default();
            view! {
                <textarea
                    class=if param.kind == ParamKind::Secret { "field field-secret" } else { "field" }
                    id=id
                    data-testid=test
                    name=name
                    rows=rows(param, &value)
                    inner_html=content(&value)
                    autocomplete="off"
                    autocapitalize="off"
                    spellcheck="false"
                    aria-required=required
                    aria-describedby=described
                    aria-invalid=invalid
                ></textarea>
            }
            .into_any()
        }
        ParamKind::Path | ParamKind::String | ParamKind::Text | ParamKind::Secret | ParamKind::Integer => {
            let is_path = param.kind == ParamKind::Path;
            let list = (is_path && projects.len() > 1).then(|| format!("{id}-choices"));
            let value = default.or_else(|| projects.first().filter(|_| is_path && !is_given).cloned());
            let choices = list.clone().map(|list| {
                let options = projects.iter().map(|project| view! { <option value=project.clone()></option> });
                view! { <datalist id=list>{options.collect_view()}</datalist> }
            });
            view! {
                <input
                    type="text"
                    class=if is_path { "field font-mono text-xs" } else { "field" }
                    id=id
                    data-testid=test
                    name=name
                    value=value
                    list=list
                    inputmode=(param.kind == ParamKind::Integer).then_some("numeric")
                    autocomplete="off"
                    spellcheck="false"
                    aria-required=required
                    aria-describedby=described
                    aria-invalid=invalid
                />
                {choices}
            }
            .into_any()
        }
    }
}
