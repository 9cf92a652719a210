//! The attempt that the page shows: the current one, live, or the earlier one in the address.

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::calls::view_attempt;
use crate::feed::RunState;
use crate::model::Problem;
use crate::model::attempt::AttemptView;
use crate::ui::follow::LiveRun;

/// The attempt in `?attempt=`.
pub fn parse_attempt(value: Option<String>) -> Option<u32> {
    value.and_then(|value| value.parse().ok()).filter(|&attempt| attempt > 0)
}

#[derive(Clone, Copy)]
pub struct SelectedAttempt {
    /// The attempt, if it is an earlier one.
    pub earlier: Memo<Option<u32>>,
    /// The state of the run in this attempt.
    pub state: Memo<RunState>,
    /// The seq of its first frame, if it is an earlier one.
    pub first: Memo<Option<u64>>,
}

impl SelectedAttempt {
    /// Selects the attempt `in_url`. The server rendered `first`; others are loaded when they are selected. `problem`
    /// receives the problem of a load.
    pub fn new(
        follow: LiveRun,
        in_url: Memo<Option<u32>>,
        first: Option<AttemptView>,
        problem: RwSignal<Option<Problem>>,
    ) -> Self {
        let newest = Memo::new(move |_| follow.state.with(|state| state.run.attempt));
        let earlier = Memo::new(move |_| in_url.get().filter(|&attempt| attempt < newest.get()));
        let loaded = RwSignal::new(first);
        // The attempt whose load failed. It is loaded again once the server answers.
        let failed = RwSignal::new(None::<u32>);
        let retry = RwSignal::new(());
        Effect::new(move |before: Option<u32>| {
            let now = follow.responses.get();
            if before.is_some_and(|before| before != now) && failed.get_untracked().is_some() {
                failed.set(None);
                retry.set(());
            }
            now
        });
        Effect::new(move |_| {
            retry.track();
            let Some(attempt) = earlier.get() else { return };
            if loaded.with_untracked(|loaded| loaded.as_ref().is_some_and(|view| view.attempt.attempt == attempt)) {
                return;
            }
            let id = follow.state.with_untracked(|state| state.run.id.to_string());
            spawn_local(async move {
                let response = view_attempt(id, attempt).await;
                // Another attempt may be selected by now.
                if earlier.try_get_untracked().flatten() != Some(attempt) {
                    return;
                }
                match response {
                    Ok(view) => drop(loaded.try_set(Some(view))),
                    Err(error) => {
                        failed.try_set(Some(attempt).filter(|_| error.retryable));
                        problem.try_set(Some(error));
                    }
                }
            });
        });
        let current = move || {
            let attempt = earlier.get()?;
            loaded.get().filter(|view| view.attempt.attempt == attempt)
        };
        let state = Memo::new(move |before: Option<&RunState>| match (earlier.get(), current()) {
            (None, _) => follow.state.get(),
            (Some(_), Some(view)) => follow.state.with_untracked(|state| RunState::from_attempt(view, &state.run)),
            // While another attempt loads, the previous one stays.
            (Some(_), None) => before.cloned().unwrap_or_else(|| follow.state.get_untracked()),
        });
        let first = Memo::new(move |_| current().map(|view| view.attempt.first));
        Self { earlier, state, first }
    }
}
