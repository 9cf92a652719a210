//! The findings of an attempt as a table, narrowed by rule, severity and file.

use leptos::prelude::*;

use super::Tab;
use crate::browser::Timer;
use crate::calls::read_findings;
use crate::feed::visible::plain;
use crate::model::RunId;
use crate::model::kinds::FixSafety;
use crate::model::review::{FindingEntry, FindingFilter, FindingPage};
use crate::ui::components::activity::FrameLink;
use crate::ui::components::activity::row::{place, severity_tone};
use crate::ui::components::again::Unanswered;
use crate::ui::components::code::Words;
use crate::ui::components::icon::Icon;
use crate::ui::components::visible::visible;
use crate::ui::format;
use crate::ui::slot::Slot;

/// How many findings are listed at first, and how many more each time.
const PAGE: u32 = 200;

/// The most that are listed: whoever has more narrows them.
const MOST: u32 = 5000;

/// The findings.
#[component]
pub fn FindingList(
    /// The run.
    id: RunId,
    /// Which attempt.
    attempt: Memo<u32>,
    /// The same, if it is an earlier one.
    earlier: Memo<Option<u32>>,
    /// How many there are: when that changes, they are read again.
    count: Memo<u64>,
    /// Which of them are wanted.
    filter: RwSignal<FindingFilter>,
) -> impl IntoView {
    let limit = RwSignal::new(PAGE);
    let key = id.to_string();
    let findings = Resource::new(
        move || (attempt.get(), count.get(), filter.get(), limit.get()),
        move |(attempt, _, filter, limit)| read_findings(key.clone(), attempt, filter, limit),
    );
    let words = RwSignal::new((Vec::new(), Vec::new()));
    let id = StoredValue::new(id);
    let table = move || {
        Suspend::new(async move {
            match findings.await {
                Ok(page) => {
                    words.set((page.rules.clone(), page.severities.clone()));
                    view! { <Table id=id.get_value() earlier=earlier.get_untracked() page limit/> }.into_any()
                }
                Err(problem) => {
                    let again = Callback::new(move |()| findings.refetch());
                    view! { <div class="p-4"><Unanswered problem again/></div> }.into_any()
                }
            }
        })
    };
    let soon = Slot::new();
    let narrow = move |change: fn(&mut FindingFilter) -> &mut String, value: String| {
        limit.set(PAGE);
        filter.update(|filter| *change(filter) = value);
    };
    let rules = Memo::new(move |_| words.get().0);
    let severities = Memo::new(move |_| words.get().1);
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
                        placeholder="File"
                        aria-label="Only files whose path has this in it"
                        autocomplete="off"
                        data-testid="finding-path"
                        value=filter.with_untracked(|filter| filter.path.clone())
                        on:input=move |event| {
                            let text = event_target_value(&event);
                            soon.keep(Timer::after(180, move || narrow(|filter| &mut filter.path, text.trim().to_owned())));
                        }
                    />
                </div>
                <select
                    class="field field-small flex-1 sm:!w-auto sm:max-w-40 sm:flex-none"
                    aria-label="Severity"
                    data-testid="finding-severity"
                    on:change=move |event| narrow(|filter| &mut filter.severity, event_target_value(&event))
                >
                    <option value="">"Any severity"</option>
                    <Options words=severities chosen=Signal::derive(move || filter.with(|filter| filter.severity.clone()))/>
                </select>
                <select
                    class="field field-small flex-1 sm:!w-auto sm:max-w-52 sm:flex-none"
                    aria-label="Rule"
                    data-testid="finding-rule"
                    on:change=move |event| narrow(|filter| &mut filter.rule, event_target_value(&event))
                >
                    <option value="">"Any rule"</option>
                    <Options words=rules chosen=Signal::derive(move || filter.with(|filter| filter.rule.clone()))/>
                </select>
            </div>
        </header>
        <Transition fallback=|| view! { <p class="m-auto p-6 text-sm text-faint">"Loading…"</p> }>{table}</Transition>
    }
}

/// Words to choose from, each with how often it is there.
#[component]
fn Options(words: Memo<Vec<(String, u64)>>, chosen: Signal<String>) -> impl IntoView {
    let named =
        move || words.get().into_iter().map(|(word, _)| word).filter(|word| !word.is_empty()).collect::<Vec<_>>();
    view! {
        <For each=named key=Clone::clone let:word>
            {
                let (value, counted, key) = (word.clone(), word.clone(), word);
                let is_chosen = Memo::new(move |_| chosen.get() == key);
                let times = move || {
                    words.with(|words| words.iter().find(|(word, _)| *word == counted).map_or(0, |(_, times)| *times))
                };
                let text = { let word = plain(&value); move || format!("{word} ({})", times()) };
                view! { <option value=value selected=move || is_chosen.get() prop:selected=move || is_chosen.get()>{text}</option> }
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
        let words = format!("{} of {} are shown", format::count(shown), format::count(total));
        view! {
            <div class="flex items-center justify-center gap-3 p-3 text-xs text-soft">
                {words}
                <button type="button" class="button button-small" disabled=limit.get_untracked() >= MOST on:click=move |_| limit.update(|limit| *limit = (*limit + 5 * PAGE).min(MOST))>
                    {if limit.get_untracked() >= MOST { "Narrow them to see the others" } else { "Show more" }}
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
                        <th scope="col">"Place"</th>
                        <th scope="col">"What"</th>
                        <th scope="col">"Rule"</th>
                        <th scope="col">"Fix"</th>
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
    let place = visible(&place(&finding));
    // To its place in the diff, or to its frame.
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
            <td><span class="tag" data-tone=tone>{visible(&severity)}</span></td>
            <td class="font-mono">
                {place}
            </td>
            <td class="findings-what"><Words text=format::one_line(&finding.message, 500)/></td>
            <td class="text-soft">{visible(&finding.rule)}</td>
            <td class=fix_tone data-fix=fix>{fix}</td>
        </tr>
    }
}
