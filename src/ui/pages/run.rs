//! The run page: status, phases, log, findings and changes of a run.

use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_meta::Title;
use leptos_router::hooks::{use_params_map, use_query_map};

use super::not_found::LoadErrorPage;
use crate::base;
use crate::calls::{RerunEdited, read_offer, view_attempt, view_run};
use crate::model::attempt::AttemptView;
use crate::model::visible::plain;
use crate::model::{Pipeline, Problem, Role, RunId, RunOrigin, RunView, StartOptions, Status, plan};
use crate::ui::clock::Clock;
use crate::ui::components::action_feedback::{ActionFeedback, ActionProblem};
use crate::ui::components::actions::RunActions;
use crate::ui::components::activity::{ActivityPanel, FrameLinks, parse_seq};
use crate::ui::components::attempts::{
    AttemptNote, AttemptTabs, EditDialog, SelectedAttempt, edit_address, parse_attempt,
};
use crate::ui::components::cancelling::{CANCELLING, Cancelling};
use crate::ui::components::copy::CopyButton;
use crate::ui::components::icon::Icon;
use crate::ui::components::outcome::OutcomeSummary;
use crate::ui::components::params::ParamList;
use crate::ui::components::phases::PhaseList;
use crate::ui::components::pin_and_delete::{DeleteButton, DeletedNotice, PinButton};
use crate::ui::components::queue::PendingQueuePosition;
use crate::ui::components::review::{ApprovalBanner, Exclusions, ReviewPanel, Tab, Tabs};
use crate::ui::components::status::{self, StatusBadge};
use crate::ui::components::text_with_code::TextWithCode;
use crate::ui::components::time::{Elapsed, Moment};
use crate::ui::current_user::has_role;
use crate::ui::follow::{LiveRun, follow as follow_run};
use crate::ui::format;

/// What the parts of the page share.
#[derive(Clone, Copy)]
struct RunPageState {
    follow: LiveRun,
    feedback: ActionFeedback,
    /// `None` if the pipeline no longer exists.
    pipeline: Memo<Option<Pipeline>>,
    /// The status of the current attempt.
    status: Memo<Status>,
    /// The current attempt.
    attempt: Memo<u32>,
    /// The attempt in the address.
    attempt_in_url: Memo<Option<u32>>,
    selected: SelectedAttempt,
    tab: Memo<Tab>,
    /// The phase that a re-run can resume from, if that is not the first.
    unfinished: Memo<Option<String>>,
    is_editing: Memo<bool>,
}

#[component]
pub fn RunPage() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id").unwrap_or_default()));
    let query = use_query_map();
    // The query is untracked: the page loads other attempts and frames itself.
    let run = Resource::new_blocking(
        move || id.get(),
        move |id| {
            let attempt = query.with_untracked(|query| parse_attempt(query.get("attempt")));
            let at = query.with_untracked(|query| parse_seq(query.get("at")));
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
    let retry = Callback::new(move |()| {
        run.refetch();
        offer.refetch();
    });
    let page = move || {
        Suspend::new(async move {
            let response = run.await;
            let offer = offer.await.unwrap_or_default();
            match response {
                Ok((view, earlier)) => {
                    let reload = Callback::new(move |()| run.refetch());
                    view! { <LoadedRun view earlier offer reload/> }.into_any()
                }
                Err(problem) => view! { <LoadErrorPage problem retry/> }.into_any(),
            }
        })
    };
    view! { <Transition fallback=|| view! { <p class="m-auto text-sm text-faint">"Loading…"</p> }>{page}</Transition> }
}

#[component]
fn LoadedRun(
    view: RunView,
    /// The attempt in the address, if it is an earlier one.
    earlier: Option<AttemptView>,
    offer: StartOptions,
    /// Loads the run again, if the server has another history than this page.
    reload: Callback<()>,
) -> impl IntoView {
    let id = view.run.id.clone();
    let known = offer.pipelines.iter().find(|pipeline| pipeline.name == view.run.pipeline);
    let title = known.map_or_else(|| view.run.pipeline.clone(), |pipeline| plain(&pipeline.title));
    let offer = RwSignal::new(offer);
    let page = RunPageState::new(view, earlier, offer);
    let RunPageState { follow, feedback, selected, tab, is_editing, .. } = page;
    Effect::new(move |_| follow_run(follow, move || reload.run(())));
    page.load_new_attempts();
    let links = FrameLinks::new(tab);
    provide_context(links);
    let query = use_query_map();
    let linked = Memo::new(move |_| parse_seq(query.with(|query| query.get("at"))));
    let is_reviewing = move || tab.get() != Tab::Activity;
    let exclusions = Exclusions::of(follow.state);
    view! {
        <div
            class="mx-auto flex w-full max-w-[88rem] flex-none flex-col gap-4 px-4 py-4 min-h-[38rem] h-[calc(100dvh-3.0625rem)] lg:px-6"
            // A phone has no room for a list that scrolls inside the page.
            class=("max-lg:h-auto", is_reviewing)
            // Without JavaScript, the form is a part of the page.
            class=("noscript:h-auto", is_editing)
        >
            <div class="flex flex-col gap-2">
                <RunHeader id=id.clone() title page/>
                <AttemptTabs id=id.clone() state=follow.state selected tab/>
                <AttemptNote id=id.clone() state=follow.state selected tab/>
                <Facts selected follow/>
            </div>
            <DeletedNotice follow/>
            <ActionProblem feedback/>
            <EditPanel id=id.clone() page offer/>
            <Ending selected follow/>
            <ApprovalBanner id=id.clone() follow exclusions feedback/>
            <OutcomeSummary state=selected.state/>
            <div class="flex min-h-0 flex-1 flex-col gap-4 lg:flex-row">
                <section class="card shrink-0 overflow-auto px-4 py-3.5 max-lg:max-h-52 lg:max-h-full lg:w-64 lg:self-start xl:w-72" aria-labelledby="phases-title">
                    <h2 id="phases-title" class="mb-3 text-xs font-semibold text-soft">"Phases"</h2>
                    <PhaseList state=selected.state earlier=selected.earlier/>
                </section>
                <div class="flex min-h-0 min-w-0 flex-1 flex-col gap-2">
                    <Tabs id=id.clone() state=selected.state attempt=selected.earlier tab/>
                    // In the same grid cell, so that the log keeps its size and scroll position behind the other tabs.
                    <div class="relative grid min-h-0 flex-1 grid-cols-[minmax(0,1fr)] grid-rows-[minmax(0,1fr)]">
                        <div
                            class="col-start-1 row-start-1 flex min-h-0 min-w-0"
                            class:invisible=is_reviewing
                            class=("max-lg:absolute", is_reviewing)
                            class=("max-lg:h-80", is_reviewing)
                            class=("max-lg:w-full", is_reviewing)
                        >
                            <ActivityPanel id=id.clone() follow first=selected.first linked links/>
                        </div>
                        <ReviewPanel id=id.clone() state=selected.state earlier=selected.earlier tab exclusions/>
                    </div>
                </div>
            </div>
        </div>
    }
}

impl RunPageState {
    fn new(view: RunView, earlier: Option<AttemptView>, offer: RwSignal<StartOptions>) -> Self {
        let name = view.run.pipeline.clone();
        let pipeline = Memo::new(move |_| {
            offer.with(|offer| offer.pipelines.iter().find(|pipeline| pipeline.name == name).cloned())
        });
        let follow = LiveRun::new(view);
        let feedback = ActionFeedback::new(follow);
        let state = follow.state;
        let unfinished = Memo::new(move |_| {
            let pipeline = pipeline.get()?;
            state.with(|state| {
                let phases = &state.run.phases;
                let first = plan::first_unfinished(phases, state.run.status, &pipeline);
                plan::first_phase_to_run(phases, first, &pipeline).filter(|_| first > 0).map(|phase| phase.name.clone())
            })
        });
        let query = use_query_map();
        let attempt_in_url = Memo::new(move |_| parse_attempt(query.with(|query| query.get("attempt"))));
        Self {
            follow,
            feedback,
            pipeline,
            status: Memo::new(move |_| state.with(|state| state.run.status)),
            attempt: Memo::new(move |_| state.with(|state| state.run.attempt)),
            attempt_in_url,
            selected: SelectedAttempt::new(follow, attempt_in_url, earlier, feedback.problem),
            tab: Memo::new(move |_| Tab::of(query.with(|query| query.get("tab")))),
            unfinished,
            is_editing: Memo::new(move |_| query.with(|query| query.get("edit").is_some())),
        }
    }

    /// Loads each new attempt: frames have neither its parameters nor the phases that are still to come.
    fn load_new_attempts(self) {
        let Self { follow, attempt, .. } = self;
        Effect::new(move |before: Option<u32>| {
            let now = attempt.get();
            if before.is_some_and(|before| before != now) {
                let id = follow.state.with_untracked(|state| state.run.id.to_string());
                spawn_local(async move {
                    if let Ok(view) = view_attempt(id, now).await {
                        follow.merge_attempt(&view.attempt);
                    }
                });
            }
            now
        });
    }
}

/// Breadcrumb, title, status and actions, and the title of the document.
#[component]
fn RunHeader(id: RunId, title: String, page: RunPageState) -> impl IntoView {
    let RunPageState { follow, feedback, pipeline, status, attempt, attempt_in_url, selected, tab, unfinished, .. } =
        page;
    let needs_approval = Memo::new(move |_| follow.state.with(|state| state.run.approval.is_some()));
    let cancel = Memo::new(move |_| follow.state.with(|state| state.run.cancel.clone()));
    let is_cancelling = Memo::new(move |_| cancel.with(Option::is_some));
    let document_title = {
        let title = title.clone();
        move || {
            let label = match (is_cancelling.get(), needs_approval.get()) {
                (true, _) => CANCELLING,
                (false, true) => status::NEEDS_APPROVAL,
                (false, false) => status::label(status.get()),
            };
            format!("{label} · {title}")
        }
    };
    let edit = {
        let id = id.clone();
        Signal::derive(move || {
            pipeline.with(Option::is_some).then(|| edit_address(&id, selected.earlier.get(), tab.get()))
        })
    };
    let may_operate = has_role(Role::Operator);
    view! {
        <Title text=document_title/>
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
                <StatusBadge status needs_approval is_cancelling/>
            </span>
            <span class="flex items-center text-xs text-faint">
                <span class="font-mono" title=id.to_string()>{id.short().to_owned()}</span>
                <CopyButton text=id.to_string() label="Copy run ID"/>
            </span>
            <span class="text-xs text-soft empty:hidden"><PendingQueuePosition id=id.clone() status/></span>
            <span class="text-xs text-soft empty:hidden"><Cancelling request=cancel/></span>
            // Pin and Delete are never where Cancel was: a second click there must not delete.
            <div
                class="relative flex flex-wrap gap-2 max-sm:w-full sm:static sm:ml-auto"
                class:hidden=move || follow.is_deleted.get() || !may_operate
            >
                <PinButton id=id.clone() follow feedback/>
                <DeleteButton id=id.clone() status follow feedback/>
                <div class="ml-auto flex flex-wrap justify-end gap-2">
                    <RunActions id=id.clone() status cancel attempt unfinished edit attempt_in_url feedback/>
                </div>
            </div>
        </div>
    }
}

/// The form for a re-run with changes, while the address asks for it.
#[component]
fn EditPanel(id: RunId, page: RunPageState, offer: RwSignal<StartOptions>) -> impl IntoView {
    let RunPageState { follow, pipeline, selected, tab, unfinished, is_editing, .. } = page;
    let rerun = ServerAction::<RerunEdited>::new();
    Effect::new(move |_| {
        if let Some(Ok(run)) = rerun.value().get() {
            follow.set_active(run.status.is_active());
        }
    });
    let closed = {
        let id = id.clone();
        Signal::derive(move || tab.get().address(&id, selected.earlier.get()))
    };
    move || {
        let is_open = is_editing.get() && !follow.is_deleted.get();
        is_open.then(|| {
            view! { <EditDialog id=id.clone() pipeline offer selected state=follow.state unfinished closed rerun/> }
        })
    }
}

/// Who or what started the attempt.
fn started_by(origin: &RunOrigin, attempt: u32) -> String {
    let verb = if attempt > 1 { "Re-run" } else { "Started" };
    format!("{verb} by {}", plain(&origin.display_name()))
}

/// Times, attempt, origin and parameters of the selected attempt.
#[component]
fn Facts(selected: SelectedAttempt, follow: LiveRun) -> impl IntoView {
    let state = selected.state;
    let from = Memo::new(move |_| state.with(|state| state.run.started_at));
    let to = Memo::new(move |_| state.with(|state| state.run.finished_at));
    let started_or_queued =
        Memo::new(move |_| state.with(|state| Some(state.run.started_at.unwrap_or(state.run.queued_at))));
    let attempt = Memo::new(move |_| state.with(|state| state.run.attempt));
    let origin = Memo::new(move |_| state.with(|state| state.run.origin.clone()));
    let params = Memo::new(move |_| state.with(|state| state.run.params.clone()));
    let question = Memo::new(move |_| state.with(|state| state.run.approval.as_ref().map(|question| question.seq)));
    let asked_at =
        Memo::new(move |_| question.get().and_then(|_| follow.state.with(|state| state.approval_requested_at)));
    let is_running = move || from.get().is_some() && to.get().is_none();
    let duration_label = move || match (question.get(), to.get()) {
        (Some(_), _) if asked_at.get().is_some() => "Awaiting approval for ",
        (Some(_), _) => "Awaiting approval",
        (None, Some(_)) => "Duration ",
        (None, None) => "Running for ",
    };
    let clock = Clock::from_context();
    view! {
        <div class="flex flex-wrap items-baseline gap-x-5 gap-y-1 text-xs text-soft">
            // The duration of a running attempt says the same.
            <span class:hidden=move || is_running() && question.get().is_none()>
                {move || if from.get().is_some() { "Started " } else { "Queued " }}
                <Moment at=started_or_queued/>
            </span>
            <span class:hidden=move || from.get().is_none() title=move || from.get().map(|at| clock.exact(at))>
                {duration_label}
                {move || match question.get() {
                    Some(_) => asked_at.get().map(|_| view! { <Elapsed from=asked_at to=Signal::stored(None)/> }.into_any()),
                    None => Some(view! { <Elapsed from to/> }.into_any()),
                }}
            </span>
            <span>{move || format!("Attempt {}", attempt.get())}</span>
            <span data-testid="origin" class:hidden=move || origin.with(Option::is_none)>
                {move || origin.with(|origin| origin.as_ref().map(|origin| started_by(origin, attempt.get())))}
            </span>
            <div class="min-w-0 max-sm:basis-full"><ParamList params/></div>
        </div>
    }
}

/// Why the selected attempt failed, was interrupted or was cancelled.
#[component]
fn Ending(selected: SelectedAttempt, follow: LiveRun) -> impl IntoView {
    let ended = Memo::new(move |_| {
        selected.state.with(|state| {
            let run = &state.run;
            // Only a frame has it. The page may hold that of the current attempt or of earlier ones.
            let cancelled_by = || follow.state.with(|now| now.cancelled_by.get(&run.attempt).cloned());
            let reason = match run.status {
                Status::Failed | Status::Interrupted => run.error.clone(),
                Status::Cancelled => cancelled_by(),
                Status::Pending | Status::Running | Status::Completed => None,
            };
            Some((run.status, reason?))
        })
    });
    move || {
        ended.get().map(|(status, reason)| {
            let (wash, lead, reason) = match status {
                Status::Interrupted => {
                    let lead = "Interrupted: ";
                    ("bg-warn-wash [&>svg]:text-warn", Some(lead), format::with_full_stop(&reason))
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
                        <TextWithCode text=reason/>
                    </p>
                </div>
            }
        })
    }
}
