//! The field of a parameter.

use leptos::prelude::*;

use super::EditedField;
use super::lines::{content, has_lines, rows};
use crate::model::{Param, ParamError, ParamKind};

/// The name of the field in the submitted form.
pub fn field_name(param: &str) -> String {
    format!("params[{param}]")
}

/// Label, control, help and error of a parameter.
#[component]
pub fn ParamField(
    param: Param,
    /// The folders that runs may work in.
    projects: Vec<String>,
    /// The errors of all parameters.
    #[prop(into)]
    errors: Signal<Vec<ParamError>>,
    /// In the re-run form, the value that fills it and the one it is compared with.
    #[prop(optional)]
    edited: Option<EditedField>,
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
    let lines = edited.as_ref().is_some_and(EditedField::has_lines);
    let control = control(&param, &id, &projects, given, lines, described, invalid);
    let for_input = edited.clone();
    let help = (!param.help.is_empty()).then(|| {
        view! { <p id=help_id class="mt-1 text-xs text-faint">{param.help.clone()}</p> }
    });
    let secret_note = (param.kind == ParamKind::Secret && edited.is_some()).then(|| {
        view! { <p class="mt-1 text-xs text-faint">"Secrets are removed when a run ends. Enter the secret again."</p> }
    });
    view! {
        <div on:input=move |event| for_input.iter().for_each(|edited| edited.on_input(&event))>
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
            {secret_note}
            {help}
        </div>
    }
}

/// The value of the latest attempt, if it differs.
fn difference(edited: EditedField) -> impl IntoView {
    move || {
        edited.differs().then(|| {
            let for_reset = edited.clone();
            view! {
                <p class="mt-1 flex min-w-0 items-baseline gap-2 text-xs text-info" data-testid="differs">
                    <span class="min-w-0 break-all">{edited.latest_value()}</span>
                    <button
                        type="button"
                        class="shrink-0 rounded text-accent underline underline-offset-2 noscript:hidden"
                        class:hidden=!for_reset.can_reset()
                        on:click=move |_| for_reset.reset()
                    >
                        "Reset"
                    </button>
                </p>
            }
        })
    }
}

/// What the controls of all kinds share.
struct Control<D, I> {
    id: String,
    name: String,
    value: Option<String>,
    required: Option<&'static str>,
    described: D,
    invalid: I,
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
    let value = given.or_else(|| param.default.as_ref().map(ToString::to_string));
    let required = param.required.then_some("true");
    let control = Control { id: id.to_owned(), name: field_name(&param.name), value, required, described, invalid };
    match param.kind {
        ParamKind::Boolean => control.checkbox().into_any(),
        ParamKind::Choice => control.select(&param.choices).into_any(),
        _ if lines || has_lines(param, [control.value.as_deref(), None]) => control.textarea(param).into_any(),
        ParamKind::Path => {
            let first = projects.first().filter(|_| !is_given).cloned();
            Control { value: control.value.or(first), ..control }.path(projects).into_any()
        }
        ParamKind::String | ParamKind::Text | ParamKind::Secret => control.input("field", None, None).into_any(),
        ParamKind::Integer => control.input("field", None, Some("numeric")).into_any(),
    }
}

impl<D, I> Control<D, I>
where
    D: Fn() -> Option<String> + Send + Sync + 'static,
    I: Fn() -> Option<&'static str> + Send + Sync + 'static,
{
    fn checkbox(self) -> impl IntoView {
        let Self { id, name, value, described, invalid, .. } = self;
        view! {
            <input
                type="checkbox"
                class="size-4 accent-accent"
                id=id.clone()
                data-testid=id
                name=name
                value="true"
                checked=value.as_deref() == Some("true")
                aria-describedby=described
                aria-invalid=invalid
            />
        }
    }

    fn select(self, choices: &[String]) -> impl IntoView + use<D, I> {
        let Self { id, name, value, required, described, invalid } = self;
        let is_known = value.as_ref().is_some_and(|value| choices.contains(value));
        let none = (!is_known).then(|| view! { <option value="">"Choose…"</option> });
        let options = choices.iter().map(|choice| {
            let is_selected = value.as_ref() == Some(choice);
            view! { <option value=choice.clone() selected=is_selected>{choice.clone()}</option> }
        });
        let options = options.collect_view();
        view! {
            <select
                class="field"
                id=id.clone()
                data-testid=id
                name=name
                aria-required=required
                aria-describedby=described
                aria-invalid=invalid
            >
                {none}
                {options}
            </select>
        }
    }

    fn textarea(self, param: &Param) -> impl IntoView + use<D, I> {
        let Self { id, name, value, required, described, invalid } = self;
        let value = value.unwrap_or_default();
        view! {
            <textarea
                class=if param.kind == ParamKind::Secret { "field field-secret" } else { "field" }
                id=id.clone()
                data-testid=id
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
    }

    /// An input with the project folders as suggestions, if there is more than one.
    fn path(self, projects: &[String]) -> impl IntoView + use<D, I> {
        let list = (projects.len() > 1).then(|| format!("{}-choices", self.id));
        let choices = list.clone().map(|list| {
            let options = projects.iter().map(|project| view! { <option value=project.clone()></option> });
            view! { <datalist id=list>{options.collect_view()}</datalist> }
        });
        (self.input("field font-mono text-xs", list, None), choices)
    }

    fn input(self, class: &'static str, list: Option<String>, inputmode: Option<&'static str>) -> impl IntoView {
        let Self { id, name, value, required, described, invalid } = self;
        view! {
            <input
                type="text"
                class=class
                id=id.clone()
                data-testid=id
                name=name
                value=value
                list=list
                inputmode=inputmode
                autocomplete="off"
                spellcheck="false"
                aria-required=required
                aria-describedby=described
                aria-invalid=invalid
            />
        }
    }
}
