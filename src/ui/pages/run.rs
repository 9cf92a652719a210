//! A run's page: what it is, how far it is, and everything it does.

use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_meta::Title;
use leptos_router::hooks::{use_params_map, use_query_map};

use super::not_found::Unread;
use crate::base;
use crate::calls::{RerunEdited, read_offer, view_attempt, view_run};
use crate::feed::visible::plain;
use crate::model::attempt::AttemptView;
use crate::model::{Problem, Role, RunOrigin, RunView, StartOptions, Status, plan};
use crate::ui::account::can;
use crate::ui::clock::Clock;
use crate::ui::components::actions::{ActionProblem, RunActions};
use crate::ui::components::activity::{ActivityPanel, FrameLinks, seq};
use crate::ui::components::attempts::{AttemptNote, AttemptTabs, EditDialog, ShownAttempt, edit_address, number};
use crate::ui::components::cancelling::{CANCELLING, Cancelling};
use crate::ui::components::code::Words;
use crate::ui::components::copy::CopyButton;
use crate::ui::components::icon::Icon;
use crate::ui::components::keep::{DeleteButton, DeletedNotice, PinButton};
use crate::ui::components::outcome::OutcomeSummary;
use crate::ui::components::params::ParamList;
use crate::ui::components::phases::PhaseList;
use crate::ui::components::queue::PendingPlace;
use crate::ui::components::review::{ApprovalBanner, LeftOut, ReviewPanel, Tab, Tabs};
use crate::ui::components::status::{self, StatusBadge};
use crate::ui::components::time::{Elapsed, Moment};
use crate::ui::follow::Follow;
use crate::ui::format;

/// A run's page.
#[component]
pub fn RunPage() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id").unwrap_or_default()));
    let query = use_query_map();
    // Other attempts are read when they are asked for; the address that the page begins with is part of what it begins with.
    let run = Resource::new_blocking(
        move || id.get(),
        move |id| {
            let attempt = query.with_untracked(|query| number(query.get("attempt")));
            let at = query.with_untracked(|query| seq(query.get("at")));
            async move {
                let view = view_run(id.clone(), at).await?;
                let attempt = attempt.filter(|&attempt| attempt < view.run.attempt);
                let earlier = match attempt {
                    Some(attempt) => Some(view_attempt(id, attempt).await?),
                    None => None,
                };
                Ok::<_, Problem>((view, earlier))
            }
        },
    );
    let offer = Resource::new_blocking(|| (), |()| read_offer());
    let again = Callback::new(move |()| {
        run.refetch();
        offer.refetch();
    });
    let page = move || {
        Suspend::new(async move {
            let title = |name: &str, offer: &StartOptions| {
                let known = offer.pipelines.iter().find(|pipeline| pipeline.name == name);
                known.map_or_else(|| name.to_owned(), |pipeline| plain(&pipeline.title))
            };
            let answer = run.await;
            let offer = offer.await.unwrap_or_default();
            match answer {
                Ok((view, earlier)) => {
                    let title = title(&view.run.pipeline, &offer);
                    view! { <Shown view earlier title offer again=Callback::new(move |()| run.refetch())/> }.into_any()
                }
                Err(problem) => view! { <Unread problem again/> }.into_any(),
            }
        })
    };
    view! { <Transition fallback=|| view! { <p class="m-auto text-sm text-faint">"Loading…"</p> }>{page}</Transition> }
}

#[component]
fn Shown(
    view: RunView,
    earlier: Option<AttemptView>,
    title: String,
    offer: StartOptions,
    again: Callback<()>,
) -> impl IntoView {
    let id = view.run.id.clone();
    let name = view.run.pipeline.clone();
    let offer = RwSignal::new(offer);
    let pipeline =
        Memo::new(move |_| offer.with(|offer| offer.pipelines.iter().find(|pipeline| pipeline.name == name).cloned()));
    let follow = Follow::new(view);
    Effect::new(move |_| follow.begin(move || again.run(())));
    let state = follow.state;
    let status = Memo::new(move |_| state.with(|state| state.run.status));
    let attempt = Memo::new(move |_| state.with(|state| state.run.attempt));
    let asks = Memo::new(move |_| state.with(|state| state.run.approval.is_some()));
    let cancel = Memo::new(move |_| state.with(|state| state.run.cancel.clone()));
    let cancels = Memo::new(move |_| cancel.with(Option::is_some));
    // Where a re-run may go on, if that is not the beginning.
    let unfinished = Memo::new(move |_| {
        let pipeline = pipeline.get()?;
        state.with(|state| {
            let phases = &state.run.phases;
            let first = plan::first_unfinished(phases, state.run.status, &pipeline);
            plan::first_phase_to_run(phases, first, &pipeline).filter(|_| first > 0).map(|phase| phase.name.clone())
        })
    });
    let problem = RwSignal::new(None::<Problem>);
    let query = use_query_map();
    let tab = Memo::new(move |_| Tab::of(query.with(|query| query.get("tab"))));
    let wanted = Memo::new(move |_| number(query.with(|query| query.get("attempt"))));
    let linked = Memo::new(move |_| seq(query.with(|query| query.get("at"))));
    let links = FrameLinks::new(tab);
    provide_context(links);
    let editing = Memo::new(move |_| query.with(|query| query.get("edit").is_some()));
    let shown = ShownAttempt::new(follow, wanted, earlier, problem);
    // Frames do not tell an attempt's parameters, nor the phases that it is to have if the pipeline has changed since.
    Effect::new(move |before: Option<u32>| {
        let now = attempt.get();
        if before.is_some_and(|before| before != now) {
            let id = state.with_untracked(|state| state.run.id.to_string());
            spawn_local(async move {
                if let Ok(view) = view_attempt(id, now).await {
                    follow.learn_attempt(&view.attempt);
                }
            });
        }
        now
    });
    let edit = {
        let id = id.clone();
        Signal::derive(move || {
            pipeline.with(Option::is_some).then(|| edit_address(&id, shown.earlier.get(), tab.get()))
        })
    };
    let home = {
        let id = id.clone();
        Signal::derive(move || tab.get().address(&id, shown.earlier.get()))
    };
    let edited = ServerAction::<RerunEdited>::new();
    Effect::new(move |_| {
        if let Some(Ok(run)) = edited.value().get() {
            follow.heard(run.status.is_active());
        }
    });
    let form = {
        let id = id.clone();
        move || {
            let dialog =
                || view! { <EditDialog id=id.clone() pipeline offer shown state unfinished home rerun=edited/> };
            (editing.get() && !follow.gone.get()).then(dialog)
        }
    };
    let may_operate = can(Role::Operator);
    let reviewing = move || tab.get() != Tab::Activity;
    let left_out = LeftOut::of(state);
    let page_title = {
        let title = title.clone();
        move || {
            let word = match (cancels.get(), asks.get()) {
                (true, _) => CANCELLING,
                (false, true) => status::ASKS,
                (false, false) => status::word(status.get()),
            };
            format!("{word} · {title}")
        }
    };
    view! {
        <Title text=page_title/>
        <div
            class="mx-auto flex w-full max-w-[88rem] flex-none flex-col gap-4 px-4 py-4 min-h-[38rem] h-[calc(100dvh-3.0625rem)] lg:px-6"
            // A phone has no room for a list inside of the page.
            class=("max-lg:h-auto", reviewing)
            // Without scripts the form is a part of the page.
            class=("noscript:h-auto", editing)
        >
            <div class="flex flex-col gap-2">
                <nav aria-label="Breadcrumb" class="text-xs">
                    <a href=base::path("/") class="-ml-1 inline-flex items-center gap-0.5 rounded pr-1 text-soft hover:text-ink">
                        {Icon::Back.draw()}
                        "Runs"
                    </a>
                </nav>
                <div class="flex flex-wrap items-center gap-x-3 gap-y-2">
                    <h1 class="line-clamp-2 min-w-0 text-lg leading-snug font-semibold tracking-tight break-words">{title}</h1>
                    <span
                        role="status"
                        data-testid="run-status"
                        data-status=move || status.get().as_str()
                        data-attempt=move || attempt.get()
                    >
                        <StatusBadge status asks cancels/>
                    </span>
                    <span class="flex items-center text-xs text-faint">
                        <span class="font-mono" title=id.to_string()>{id.short().to_owned()}</span>
                        <CopyButton text=id.to_string() label="Copy the run's id"/>
                    </span>
                    <span class="text-xs text-soft empty:hidden"><PendingPlace id=id.clone() status/></span>
                    <span class="text-xs text-soft empty:hidden"><Cancelling request=cancel/></span>
                    // Where Cancel was, and may be pressed once more, is never anything that it takes effort to undo.
                    <div
                        class="relative flex flex-wrap gap-2 max-sm:w-full sm:static sm:ml-auto"
                        class:hidden=move || follow.gone.get() || !may_operate
                    >
                        <PinButton id=id.clone() follow problem/>
                        <DeleteButton id=id.clone() status follow problem/>
                        <div class="ml-auto flex flex-wrap justify-end gap-2">
                            <RunActions id=id.clone() status cancel attempt unfinished edit attempt_named=wanted follow problem/>
                        </div>
                    </div>
                </div>
                <AttemptTabs id=id.clone() state shown tab/>
                <AttemptNote id=id.clone() state shown tab/>
                <Facts shown follow/>
            </div>
            <DeletedNotice follow/>
            <ActionProblem follow problem/>
            {form}
            <Ending shown follow/>
            <ApprovalBanner id=id.clone() follow left_out problem/>
            <OutcomeSummary state=shown.state/>
            <div class="flex min-h-0 flex-1 flex-col gap-4 lg:flex-row">
                <section class="card shrink-0 overflow-auto px-4 py-3.5 max-lg:max-h-52 lg:max-h-full lg:w-64 lg:self-start xl:w-72" aria-labelledby="phases-title">
                    <h2 id="phases-title" class="mb-3 text-xs font-semibold text-soft">"Phases"</h2>
                    <PhaseList state=shown.state earlier=shown.earlier/>
                </section>
                <div class="flex min-h-0 min-w-0 flex-1 flex-col gap-2">
                    <Tabs id=id.clone() state=shown.state attempt=shown.earlier tab/>
                    // One above the other, so that Activity keeps its size and its place while another is looked at.
                    <div class="relative grid min-h-0 flex-1 grid-cols-[minmax(0,1fr)] grid-rows-[minmax(0,1fr)]">
                        <div
                            class="col-start-1 row-start-1 flex min-h-0 min-w-0"
                            class:invisible=reviewing
                            class=("max-lg:absolute", reviewing)
                            class=("max-lg:h-80", reviewing)
                            class=("max-lg:w-full", reviewing)
                        >
                            <ActivityPanel id=id.clone() follow at=shown.first linked links/>
                        </div>
                        <ReviewPanel id=id.clone() state=shown.state earlier=shown.earlier tab left_out/>
                    </div>
                </div>
            </div>
        </div>
    }
}

/// Who or what asked for the attempt.
fn asked_by(origin: &RunOrigin, attempt: u32) -> String {
    let asked = if attempt > 1 { "Re-run" } else { "Started" };
    format!("{asked} by {}", plain(&origin.display_name()))
}

/// When, how long, which attempt, by whom, with what.
#[component]
fn Facts(shown: ShownAttempt, follow: Follow) -> impl IntoView {
    let state = shown.state;
    let from = Memo::new(move |_| state.with(|state| state.run.started_at));
    let to = Memo::new(move |_| state.with(|state| state.run.finished_at));
    let asked = Memo::new(move |_| state.with(|state| Some(state.run.started_at.unwrap_or(state.run.queued_at))));
    let attempt = Memo::new(move |_| state.with(|state| state.run.attempt));
    let origin = Memo::new(move |_| state.with(|state| state.run.origin.clone()));
    let params = Memo::new(move |_| state.with(|state| state.run.params.clone()));
    let question = Memo::new(move |_| state.with(|state| state.run.approval.as_ref().map(|asked| asked.seq)));
    let since = Memo::new(move |_| question.get().and_then(|_| follow.state.with(|state| state.asked_at)));
    let running = move || from.get().is_some() && to.get().is_none();
    let length = move || match (question.get(), to.get()) {
        (Some(_), _) if since.get().is_some() => "Waiting for you for ",
        (Some(_), _) => "Waiting for you",
        (None, Some(_)) => "Took ",
        (None, None) => "Running for ",
    };
    let clock = Clock::of_page();
    view! {
        <div class="flex flex-wrap items-baseline gap-x-5 gap-y-1 text-xs text-soft">
            // While it runs, how long it has says the same.
            <span class:hidden=move || running() && question.get().is_none()>
                {move || if from.get().is_some() { "Started " } else { "Asked for " }}
                <Moment at=asked/>
            </span>
            <span class:hidden=move || from.get().is_none() title=move || from.get().map(|at| clock.exact(at))>
                {length}
                {move || match question.get() {
                    Some(_) => since.get().map(|_| view! { <Elapsed from=since to=Signal::stored(None)/> }.into_any()),
                    None => Some(view! { <Elapsed from to/> }.into_any()),
                }}
            </span>
            <span>{move || format!("Attempt {}", attempt.get())}</span>
            <span data-testid="origin" class:hidden=move || origin.with(Option::is_none)>
                {move || origin.with(|origin| origin.as_ref().map(|origin| asked_by(origin, attempt.get())))}
            </span>
            <div class="min-w-0 max-sm:basis-full"><ParamList params/></div>
        </div>
    }
}

/// Why the attempt failed, was interrupted or was cancelled.
#[component]
fn Ending(shown: ShownAttempt, follow: Follow) -> impl IntoView {
    let ended = Memo::new(move |_| {
        shown.state.with(|state| {
            let run = &state.run;
            // Frames tell it, of which the page keeps all that it knows.
            let by = || follow.state.with(|now| now.cancelled_by.get(&run.attempt).cloned());
            let reason = match run.status {
                Status::Failed | Status::Interrupted => run.error.clone(),
                Status::Cancelled => by(),
                Status::Pending | Status::Running | Status::Completed => None,
            };
            Some((run.status, reason?))
        })
    });
    move || {
        ended.get().map(|(status, reason)| {
            let (wash, lead, reason) = match status {
                Status::Interrupted => {
                    let lead = "The server stopped while this run was going on. ";
                    ("bg-warn-wash [&>svg]:text-warn", Some(lead), format::sentence(&reason))
                }
                Status::Cancelled => ("bg-raised [&>svg]:text-soft", None, format::sentence(&reason)),
                _ => ("bg-bad-wash [&>svg]:text-bad", None, reason),
            };
            view! {
                <div
                    class=format!("flex gap-2 rounded-lg px-3 py-2 text-sm [&>svg]:mt-0.5 {wash}")
                    data-testid="ending"
                    data-status=status.as_str()
                >
                    {Icon::of_status(status).draw()}
                    <p class="min-w-0 break-words">
                        {lead.map(|lead| view! { <strong class="font-semibold">{lead}</strong> })}
                        <Words text=reason/>
                    </p>
                </div>
            }
        })
    }
}
