//! The Findings tab: the findings of an attempt, filtered by path, severity and rule.

use leptos::prelude::*;

use super::Tab;
use crate::browser::Timer;
use crate::calls::read_findings;
use crate::model::RunId;
use crate::model::kinds::FixSafety;
use crate::model::review::{FindingEntry, FindingFilter, FindingPage};
use crate::model::visible::plain;
use crate::ui::components::activity::FrameLink;
use crate::ui::components::activity::row::{place, severity_tone};
use crate::ui::components::icon::Icon;
use crate::ui::components::invisible::mark_invisible;
use crate::ui::components::load_error::LoadError;
use crate::ui::components::text_with_code::TextWithCode;
use crate::ui::format;
use crate::ui::scoped_handle::ScopedHandle;

/// How many findings are listed at first.
const INITIAL_LIMIT: u32 = 200;

/// How many findings are listed at most.
const MAX_LIMIT: u32 = 5000;

/// How long to wait for more typing before the list is filtered.
const DEBOUNCE_MS: u64 = 180;

/// The words to choose a filter from, each with its number of findings.
type Counts = Vec<(String, u64)>;

#[component]
pub fn FindingList(
    id: RunId,
    attempt: Memo<u32>,
    /// The attempt, if it is an earlier one.
    earlier: Memo<Option<u32>>,
    /// The number of findings. When it changes, they are loaded again.
    count: Memo<u64>,
    filter: RwSignal<FindingFilter>,
) -> impl IntoView {
    let limit = RwSignal::new(INITIAL_LIMIT);
    let key = id.to_string();
    let findings = Resource::new(
        move || (attempt.get(), count.get(), filter.get(), limit.get()),
        move |(attempt, _, filter, limit)| read_findings(key.clone(), attempt, filter, limit),
    );
    let rules = RwSignal::new(Counts::new());
    let severities = RwSignal::new(Counts::new());
    let id = StoredValue::new(id);
    let table = move || {
        Suspend::new(async move {
            match findings.await {
                Ok(page) => {
                    rules.set(page.rules.clone());
                    severities.set(page.severities.clone());
                    view! { <Table id=id.get_value() earlier=earlier.get_untracked() page limit/> }.into_any()
                }
                Err(problem) => {
                    let retry = Callback::new(move |()| findings.refetch());
                    view! { <div class="p-4"><LoadError problem retry/></div> }.into_any()
                }
            }
        })
    };
    view! {
        <FindingFilters filter limit rules severities/>
        <Transition fallback=|| view! { <p class="m-auto p-6 text-sm text-faint">"Loading…"</p> }>{table}</Transition>
    }
}

#[component]
fn FindingFilters(
    filter: RwSignal<FindingFilter>,
    limit: RwSignal<u32>,
    rules: RwSignal<Counts>,
    severities: RwSignal<Counts>,
) -> impl IntoView {
    let debounce = ScopedHandle::new();
    let change = move |field: fn(&mut FindingFilter) -> &mut String, value: String| {
        limit.set(INITIAL_LIMIT);
        filter.update(|filter| *field(filter) = value);
    };
    let severity = Signal::derive(move || filter.with(|filter| filter.severity.clone()));
    let rule = Signal::derive(move || filter.with(|filter| filter.rule.clone()));
    view! {
        <header class="flex min-h-11 shrink-0 flex-wrap items-center gap-2 border-b border-line py-1.5 pr-2 pl-4">
            <h2 class="text-sm font-semibold">"Findings"</h2>
            <div class="ml-auto flex min-w-0 flex-wrap items-center gap-2 noscript:hidden max-sm:w-full">
                <div class="relative min-w-0 flex-1 basis-full sm:w-48 sm:flex-none sm:basis-auto">
                    <span class="pointer-events-none absolute top-1/2 left-2.5 -translate-y-1/2 text-faint">
                        {Icon::Search.draw()}
                    </span>
                    <input
                        type="search"
                        class="field field-small !pl-8"
                        placeholder="Filter by path"
                        aria-label="Filter by path"
                        autocomplete="off"
                        data-testid="finding-path"
                        value=filter.with_untracked(|filter| filter.path.clone())
                        on:input=move |event| {
                            let text = event_target_value(&event);
                            debounce.replace(Timer::after(DEBOUNCE_MS, move || change(|filter| &mut filter.path, text.trim().to_owned())));
                        }
                    />
                </div>
                <select
                    class="field field-small flex-1 sm:!w-auto sm:max-w-40 sm:flex-none"
                    aria-label="Severity"
                    data-testid="finding-severity"
                    on:change=move |event| change(|filter| &mut filter.severity, event_target_value(&event))
                >
                    <option value="">"Any severity"</option>
                    <Options words=severities selected=severity/>
                </select>
                <select
                    class="field field-small flex-1 sm:!w-auto sm:max-w-52 sm:flex-none"
                    aria-label="Rule"
                    data-testid="finding-rule"
                    on:change=move |event| change(|filter| &mut filter.rule, event_target_value(&event))
                >
                    <option value="">"Any rule"</option>
                    <Options words=rules selected=rule/>
                </select>
            </div>
        </header>
    }
}

/// The options of a filter, each with its number of findings.
#[component]
fn Options(words: RwSignal<Counts>, selected: Signal<String>) -> impl IntoView {
    let named =
        move || words.get().into_iter().map(|(word, _)| word).filter(|word| !word.is_empty()).collect::<Vec<_>>();
    view! {
        <For each=named key=Clone::clone let:word>
            {
                let (value, counted, key) = (word.clone(), word.clone(), word);
                let is_selected = Memo::new(move |_| selected.get() == key);
                let times = move || {
                    words.with(|words| words.iter().find(|(word, _)| *word == counted).map_or(0, |(_, times)| *times))
                };
                let text = { let word = plain(&value); move || format!("{word} ({})", times()) };
                view! { <option value=value selected=move || is_selected.get() prop:selected=move || is_selected.get()>{text}</option> }
            }
        </For>
    }
}

#[component]
fn Table(id: RunId, earlier: Option<u32>, page: FindingPage, limit: RwSignal<u32>) -> impl IntoView {
    let FindingPage { findings, total, .. } = page;
    let shown = findings.len() as u64;
    let rows = findings.into_iter().map(|found| row(&id, earlier, found)).collect_view();
    let more = (shown < total).then(|| {
        let text = format!("Showing {} of {}", format::count(shown), format::count(total));
        view! {
            <div class="flex items-center justify-center gap-3 p-3 text-xs text-soft">
                {text}
                <button type="button" class="button button-small" disabled=limit.get_untracked() >= MAX_LIMIT on:click=move |_| limit.update(|limit| *limit = (*limit + 5 * INITIAL_LIMIT).min(MAX_LIMIT))>
                    {if limit.get_untracked() >= MAX_LIMIT { "Refine the filter to see more" } else { "Show more" }}
                </button>
            </div>
        }
    });
    view! {
        <div class="min-h-0 flex-1 overflow-auto" data-testid="findings" data-total=total>
            <table class="findings">
                <thead>
                    <tr>
                        <th scope="col">"Severity"</th>
                        <th scope="col">"Location"</th>
                        <th scope="col">"Message"</th>
                        <th scope="col">"Rule"</th>
                        <th scope="col">"Autofix"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
            <p class="p-6 text-center text-sm text-faint" class:hidden=shown != 0>"No findings."</p>
            {more}
        </div>
    }
}

fn row(id: &RunId, earlier: Option<u32>, found: FindingEntry) -> impl IntoView + use<> {
    let FindingEntry { seq, finding, patch } = found;
    let severity = if finding.severity.is_empty() { "finding".to_owned() } else { finding.severity.clone() };
    let tone = severity_tone(&finding.severity);
    let place = mark_invisible(&place(&finding));
    // To its line in a diff, or else to its frame.
    let link = "text-accent underline-offset-2 hover:underline";
    let place = match patch {
        Some(patch) => {
            let href = format!("{}&at={patch}:{}", Tab::Changes.address(id, earlier), finding.line.unwrap_or(1));
            view! { <a href=href data-noscroll class=link>{place}</a> }.into_any()
        }
        None => view! { <FrameLink run=id.clone() attempt=earlier seq class=link>{place}</FrameLink> }.into_any(),
    };
    let (fix, fix_tone) = match (finding.fixable, finding.fix) {
        (false, _) => ("", ""),
        (true, None) => ("fixable", "text-ok"),
        (true, Some(FixSafety::Safe)) => ("safe", "text-ok"),
        (true, Some(FixSafety::Review)) => ("review", "text-warn"),
    };
    let (word, rule) = (severity.clone(), finding.rule.clone());
    view! {
        <tr data-testid="finding" data-severity=word data-rule=rule>
            <td><span class="tag" data-tone=tone>{mark_invisible(&severity)}</span></td>
            <td class="font-mono">
                {place}
            </td>
            <td class="findings-what"><TextWithCode text=format::one_line(&finding.message, 500)/></td>
            <td class="text-soft">{mark_invisible(&finding.rule)}</td>
            <td class=fix_tone data-fix=fix>{if fix == "fixable" { "yes" } else { fix }}</td>
        </tr>
    }
}
