//! Questions that the server has not answered are asked again: every few seconds while somebody looks, and at once when somebody comes
//! back or the network does.

use leptos::prelude::*;

use super::notice::ProblemNotice;
use crate::browser::{PageEvent, PageEvents, Timer, is_visible};
use crate::model::Problem;
use crate::ui::slot::Slot;

/// The wait before a question is asked again, in milliseconds.
const AGAIN: u64 = 3000;

/// Has the question asked again, until the owner is gone: what waits for the answer is drawn anew with it, and then waits anew.
pub fn ask_again(again: Callback<()>) {
    let timer = Slot::new();
    Effect::new(move |_| {
        timer.keep(Timer::every(AGAIN, move || {
            if is_visible() {
                again.try_run(());
            }
        }));
        let listening = PageEvents::listen(move |event| {
            if matches!(event, PageEvent::Visible | PageEvent::Online | PageEvent::Returned) {
                again.try_run(());
            }
        });
        StoredValue::new_local(listening);
    });
}

/// A problem in place of what was asked for. One that may pass is gone with the next answer.
#[component]
pub fn Unanswered(
    /// The problem.
    problem: Problem,
    /// Asks again.
    again: Callback<()>,
) -> impl IntoView {
    let retryable = problem.retryable;
    if retryable {
        ask_again(again);
    }
    view! {
        <div class="flex flex-col items-start gap-2">
            <ProblemNotice problem/>
            {retryable.then(|| view! { <TryAgain again/> })}
        </div>
    }
}

/// The button for who does not want to wait.
#[component]
pub fn TryAgain(
    /// Asks again.
    again: Callback<()>,
) -> impl IntoView {
    view! {
        <button type="button" class="button noscript:hidden" on:click=move |_| again.run(())>
            "Try again"
        </button>
    }
}
