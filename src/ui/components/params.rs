//! A run's parameters in short.

use leptos::prelude::*;

use super::visible::visible;
use crate::feed::visible::plain;
use crate::model::Params;
use crate::model::param::PROJECT_PARAM;

/// The parameters of a run: names and values side by side. The project comes first.
#[component]
pub fn ParamList(
    /// The parameters.
    #[prop(into)]
    params: Signal<Params>,
) -> impl IntoView {
    let items = move || {
        let mut params: Vec<_> = params.get().into_iter().collect();
        params.sort_by_key(|(name, _)| name != PROJECT_PARAM);
        let item = |(name, value): (String, crate::model::ParamValue)| {
            let value = value.to_string();
            view! {
                <div class="flex min-w-0 items-baseline gap-1.5">
                    <dt class="text-faint">{name}</dt>
                    <dd class="min-w-0 truncate font-mono text-xs text-soft" title=plain(&value)>{visible(&value)}</dd>
                </div>
            }
        };
        params.into_iter().map(item).collect_view()
    };
    view! { <dl class="flex min-w-0 flex-wrap gap-x-4 gap-y-0.5 text-xs">{items}</dl> }
}

/// The parameters in one line: the project's folder, then the others.
pub fn summary(params: &Params) -> String {
    let project = params.get(PROJECT_PARAM).map(|value| {
        let path = value.to_string();
        let path = path.trim_end_matches('/');
        path.rsplit('/').next().unwrap_or(path).to_owned()
    });
    let others =
        params.iter().filter(|(name, _)| *name != PROJECT_PARAM).map(|(name, value)| format!("{name}={value}"));
    project.into_iter().chain(others).collect::<Vec<_>>().join(" · ")
}
