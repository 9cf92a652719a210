//! Which attempt the page shows: the newest one, live, or the earlier one that the address asks for.

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::calls::view_attempt;
use crate::feed::RunState;
use crate::model::Problem;
use crate::model::attempt::AttemptView;
use crate::ui::follow::LiveRun;

/// The attempt's number in an address, if that has one.
pub fn number(word: Option<String>) -> Option<u32> {
    word.and_then(|word| word.parse().ok()).filter(|&attempt| attempt > 0)
}

/// What the page shows.
#[derive(Clone, Copy)]
pub struct ShownAttempt {
    /// The attempt, if it is an earlier one.
    pub earlier: Memo<Option<u32>>,
    /// How the run stands, or stood, in it.
    pub state: Memo<RunState>,
    /// The seq of its first frame, if it is an earlier one.
    pub first: Memo<Option<u64>>,
}

impl ShownAttempt {
    /// The attempt that is `wanted`, of which the server has rendered `first`. What cannot be read is told by `problem`.
    pub fn new(
        follow: LiveRun,
        wanted: Memo<Option<u32>>,
        first: Option<AttemptView>,
        problem: RwSignal<Option<Problem>>,
    ) -> Self {
        let newest = Memo::new(move |_| follow.state.with(|state| state.run.attempt));
        let earlier = Memo::new(move |_| wanted.get().filter(|&wanted| wanted < newest.get()));
        let known = RwSignal::new(first);
        // The attempt that the server has not answered for. It is asked for again when the server is reached.
        let unread = RwSignal::new(None::<u32>);
        let again = RwSignal::new(());
        Effect::new(move |before: Option<u32>| {
            let now = follow.responses.get();
            if before.is_some_and(|before| before != now) && unread.get_untracked().is_some() {
                unread.set(None);
                again.set(());
            }
            now
        });
        Effect::new(move |_| {
            again.track();
            let Some(attempt) = earlier.get() else { return };
            if known.with_untracked(|known| known.as_ref().is_some_and(|known| known.attempt.attempt == attempt)) {
                return;
            }
            let id = follow.state.with_untracked(|state| state.run.id.to_string());
            spawn_local(async move {
                let answer = view_attempt(id, attempt).await;
                // The reader may be elsewhere by now.
                if earlier.try_get_untracked().flatten() != Some(attempt) {
                    return;
                }
                match answer {
                    Ok(view) => drop(known.try_set(Some(view))),
                    Err(failed) => {
                        unread.try_set(Some(attempt).filter(|_| failed.retryable));
                        problem.try_set(Some(failed));
                    }
                }
            });
        });
        let current = move || {
            let attempt = earlier.get()?;
            known.get().filter(|known| known.attempt.attempt == attempt)
        };
        let state = Memo::new(move |before: Option<&RunState>| match (earlier.get(), current()) {
            (None, _) => follow.state.get(),
            (Some(_), Some(view)) => follow.state.with_untracked(|state| RunState::from_attempt(view, &state.run)),
            // What was shown stays until there is something else.
            (Some(_), None) => before.cloned().unwrap_or_else(|| follow.state.get_untracked()),
        });
        let first = Memo::new(move |_| current().map(|view| view.attempt.first));
        Self { earlier, state, first }
    }
}
