//! What the run page does with the response to an action: show what went wrong, or follow the run on.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::notice::{ProblemNotice, UNCONFIRMED, for_action};
use crate::model::{Problem, ProblemCode, Run};
use crate::ui::follow::LiveRun;

/// Where the actions of a run page report to.
#[derive(Clone, Copy)]
pub struct ActionFeedback {
    follow: LiveRun,
    /// The problem of the last action. Shown by [`ActionProblem`].
    pub problem: RwSignal<Option<Problem>>,
}

impl ActionFeedback {
    pub fn new(follow: LiveRun) -> Self {
        Self { follow, problem: RwSignal::new(None) }
    }

    /// Takes the response to an action that changes the status. Returns whether it succeeded. `superseded` is the code
    /// that says that another tab or person was first, which is no problem: the page shows what came of it.
    pub fn on_response(self, response: Result<&Run, Problem>, superseded: ProblemCode) -> bool {
        match response {
            Ok(run) => {
                self.problem.set(None);
                self.follow.set_active(run.status.is_active());
                true
            }
            Err(problem) if problem.code == superseded => {
                self.problem.set(None);
                self.follow.set_active(true);
                false
            }
            Err(problem) => {
                self.problem.set(Some(for_action(problem, UNCONFIRMED)));
                false
            }
        }
    }

    /// Takes the problem of an action on a run that may have been deleted in another tab.
    pub fn fail(self, problem: Problem) {
        if problem.code == ProblemCode::RunNotFound {
            self.problem.set(None);
            self.follow.on_deleted();
        } else {
            self.problem.set(Some(for_action(problem, UNCONFIRMED)));
        }
    }

    /// Without JavaScript, the problem of an action arrives with the page that the server renders next.
    pub fn take_rendered<A>(self, action: ServerAction<A>)
    where
        A: ServerFn<Error = Problem> + Clone + Send + Sync + 'static,
        A::Output: Clone + Send + Sync + 'static,
    {
        if let Some(problem) = action.value().get_untracked().and_then(Result::err) {
            self.problem.set(Some(problem));
        }
    }
}

/// The problem of the last action, until it is dismissed. One that says that the server is unreachable disappears once
/// it answers.
#[component]
pub fn ActionProblem(feedback: ActionFeedback) -> impl IntoView {
    let ActionFeedback { follow, problem } = feedback;
    Effect::new(move |before: Option<u32>| {
        let now = follow.responses.get();
        if before.is_some_and(|before| before != now) {
            problem
                .maybe_update(|problem| problem.take_if(|problem| problem.code == ProblemCode::Unreachable).is_some());
        }
        now
    });
    let dismiss = Callback::new(move |()| problem.set(None));
    move || problem.get().map(|problem| view! { <ProblemNotice problem dismiss/> })
}
