//! The comparison of two attempts. They are in the address, so that links work, and the form works without JavaScript.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::{use_params_map, use_query_map};

use super::not_found::LoadErrorPage;
use crate::base;
use crate::calls::{compare_attempts, view_run};
use crate::model::{Problem, Run};
use crate::ui::components::attempts::{ComparisonView, parse_attempt};
use crate::ui::components::icon::Icon;
use crate::ui::components::notice::ProblemNotice;

/// How many attempts can be selected: the latest ones, besides those that are compared.
const MAX_CHOICES: u32 = 200;

#[component]
pub fn ComparePage() -> impl IntoView {
    let params = use_params_map();
    let query = use_query_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id").unwrap_or_default()));
    let attempts =
        Memo::new(move |_| query.with(|query| (parse_attempt(query.get("a")), parse_attempt(query.get("b")))));
    let answer = Resource::new_blocking(
        move || (id.get(), attempts.get()),
        |(id, (a, b))| async move {
            let run = view_run(id.clone(), None).await?.run;
            match compare_attempts(id, a, b).await {
                Err(problem) if problem.retryable => Err(problem),
                compared => Ok::<_, Problem>((run, compared)),
            }
        },
    );
    let retry = Callback::new(move |()| answer.refetch());
    let page = move || {
        Suspend::new(async move {
            match answer.await {
                Err(problem) => view! { <LoadErrorPage problem retry/> }.into_any(),
                Ok((run, compared)) => {
                    let chosen = match &compared {
                        Ok(comparison) => (comparison.a.attempt, comparison.b.attempt),
                        Err(_) => (run.attempt.saturating_sub(1).max(1), run.attempt),
                    };
                    let (name, newest, id) = (run.pipeline.clone(), run.attempt, run.id.clone());
                    let body = match compared {
                        Ok(comparison) => view! { <ComparisonView id comparison newest/> }.into_any(),
                        Err(problem) => view! { <ProblemNotice problem/> }.into_any(),
                    };
                    view! {
                        <Title text=format!("Attempts {} and {} · {name}", chosen.0, chosen.1)/>
                        <Head run chosen/>
                        {body}
                    }
                    .into_any()
                }
            }
        })
    };
    view! {
        <div class="mx-auto flex w-full max-w-[72rem] flex-col gap-4 px-4 py-4 lg:px-6">
            <Transition fallback=|| view! { <p class="m-auto text-sm text-faint">"Loading…"</p> }>{page}</Transition>
        </div>
    }
}

/// The breadcrumb, and the form that selects the attempts.
#[component]
fn Head(run: Run, chosen: (u32, u32)) -> impl IntoView {
    let link = "-ml-1 inline-flex items-center gap-0.5 rounded pr-1 text-soft hover:text-ink";
    let newest = run.attempt;
    let select = |name: &'static str, label: &'static str, chosen: u32| {
        let oldest = newest.saturating_sub(MAX_CHOICES) + 1;
        let listed = (oldest..=newest).rev();
        let beyond = (chosen < oldest || chosen > newest).then_some(chosen);
        let options = listed.chain(beyond).map(|attempt| {
            view! { <option value=attempt selected=attempt == chosen>{format!("Attempt {attempt}")}</option> }
        });
        view! {
            <select class="field field-small !w-auto" name=name aria-label=label autocomplete="off" data-testid=format!("compare-{name}")>
                {options.collect_view()}
            </select>
        }
    };
    view! {
        <div class="flex flex-col gap-2">
            <nav aria-label="Breadcrumb" class="text-xs">
                <a href=base::path(&format!("/runs/{}", run.id)) class=link>
                    {Icon::Back.draw()}
                    {format!("Run {}", run.id.short())}
                </a>
            </nav>
            <div class="flex flex-wrap items-center gap-x-4 gap-y-2">
                <h1 class="text-lg font-semibold tracking-tight">"Compare attempts"</h1>
                <form method="get" class="flex flex-wrap items-center gap-2 sm:ml-auto">
                    {select("a", "Base", chosen.0)}
                    <span class="text-xs text-faint">"with"</span>
                    {select("b", "Compare with", chosen.1)}
                    <button class="button button-small" data-testid="compare-go">"Compare"</button>
                </form>
            </div>
        </div>
    }
}
