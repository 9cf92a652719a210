//! The frame of pages that list records with a filter: audit log and deliveries. The filter is in the address, so that
//! links work, and its form works without JavaScript.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::params::ParamsMap;

use crate::base;

/// A page with a title, a filter form and, as its children, a list.
#[component]
pub fn RecordPage(title: &'static str, #[prop(into)] filters: ViewFn, children: Children) -> impl IntoView {
    view! {
        <Title text=title/>
        <div class="mx-auto flex w-full max-w-[72rem] flex-col gap-4 px-4 py-5 lg:px-6">
            <div class="flex flex-wrap items-center gap-x-4 gap-y-2">
                <h1 class="text-lg font-semibold tracking-tight">{title}</h1>
                <div class="min-w-0 sm:ml-auto">{move || filters.run()}</div>
            </div>
            {children()}
        </div>
    }
}

/// A text field, a choice and a button, as the query of `path`.
#[component]
pub fn RecordFilter(
    path: &'static str,
    /// The name, label and placeholder of the text field.
    text: (&'static str, &'static str, &'static str),
    text_value: Option<String>,
    /// The name, label and placeholder of the choice.
    choice: (&'static str, &'static str, &'static str),
    /// The values of the choice, each with its label and whether it is selected.
    options: Vec<(&'static str, &'static str, bool)>,
    test_id: &'static str,
) -> impl IntoView {
    let options = options.into_iter().map(|(value, label, is_selected)| {
        view! { <option value=value selected=is_selected>{label}</option> }
    });
    view! {
        <form method="get" action=base::path(path) class="flex gap-2">
            <input
                class="field field-small min-w-0 sm:!w-40"
                name=text.0
                placeholder=text.2
                aria-label=text.1
                autocomplete="off"
                value=text_value
            />
            <select class="field field-small !w-auto min-w-0" name=choice.0 aria-label=choice.1 autocomplete="off">
                <option value="">{choice.2}</option>
                {options.collect_view()}
            </select>
            <button class="button button-small !h-auto self-stretch" data-testid=test_id>"Apply"</button>
        </form>
    }
}

/// The rows of a page, with a link to older ones or a note that there are none.
#[component]
pub fn Records(
    rows: Vec<AnyView>,
    empty: &'static str,
    /// The address of older records, if there are any.
    older: Option<String>,
    test_id: &'static str,
) -> impl IntoView {
    view! {
        {rows.is_empty().then(|| view! { <p class="text-sm text-soft">{empty}</p> })}
        <ul class="card divide-y divide-line empty:hidden">{rows}</ul>
        {older.map(|href| view! { <a href=href class="button button-small self-center" data-testid=test_id>"Older"</a> })}
    }
}

/// A value in the query of an address. An empty one counts as missing.
pub fn query_value(query: &ParamsMap, name: &str) -> Option<String> {
    query.get(name).filter(|value| !value.is_empty())
}

/// The address of `path` with these values as its query.
pub fn query_address<const N: usize>(path: &str, values: [(&'static str, Option<String>); N]) -> String {
    let mut query = ParamsMap::new();
    for (name, value) in values {
        if let Some(value) = value {
            query.insert(name, value);
        }
    }
    base::path(&format!("{path}{}", query.to_query_string()))
}
