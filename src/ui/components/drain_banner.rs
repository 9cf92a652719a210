//! The banner on every page while the server is draining.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::icon::Icon;
use crate::base;
use crate::browser::PageEvent;
use crate::calls::workers::read_drain_status;
use crate::model::workers::DrainStatus;
use crate::ui::format;
use crate::ui::refresh::refresh_while_visible;

const REFRESH_INTERVAL_MS: u64 = 5000;

#[component]
pub fn DrainBanner() -> impl IntoView {
    let first = Resource::new_blocking(|| (), |()| read_drain_status());
    let newer = RwSignal::new(None::<DrainStatus>);
    let refresh = move || {
        spawn_local(async move {
            // The connection chip reports a server that does not answer.
            if let Ok(now) = read_drain_status().await {
                newer.try_set(Some(now));
            }
        });
    };
    refresh_while_visible(REFRESH_INTERVAL_MS, &[PageEvent::Visible, PageEvent::Returned], refresh);
    let banner = move || {
        Suspend::new(async move {
            let first = first.await.unwrap_or_default();
            let status = move || newer.get().unwrap_or(first);
            let is_draining = Memo::new(move |_| status().draining_since.is_some());
            let busy = Memo::new(move |_| status().busy);
            move || is_draining.get().then(|| view! { <Banner busy/> })
        })
    };
    view! { <Transition>{banner}</Transition> }
}

#[component]
fn Banner(busy: Memo<u32>) -> impl IntoView {
    view! {
        <div role="status" class="border-b border-line bg-warn-wash text-sm" data-testid="drain-banner">
            <div class="mx-auto flex w-full max-w-[88rem] gap-2 px-4 py-2 lg:px-6 [&>svg]:mt-0.5 [&>svg]:text-warn">
                {Icon::Stopped.draw()}
                <p class="min-w-0 break-words">
                    <strong class="font-semibold">"This server is draining."</strong>
                    {move || format!(" {} ", text(busy.get()))}
                    <a href=base::path("/workers") class="whitespace-nowrap underline underline-offset-2 hover:text-accent">"Workers"</a>
                </p>
            </div>
        </div>
    }
}

fn text(busy: u32) -> String {
    match busy {
        0 => "It takes no new runs and ends now. Queued runs wait for another worker.".to_owned(),
        busy => format!(
            "It takes no new runs and ends when {} finished. Queued runs wait for another worker.",
            if busy == 1 { "1 run has".to_owned() } else { format!("{} have", format::counted(busy.into(), "run")) }
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banner_counts_runs() {
        for (busy, part) in [(0, "ends now"), (1, "when 1 run has finished"), (3, "when 3 runs have finished")] {
            assert!(text(busy).contains(part), "{}", text(busy));
        }
    }
}
