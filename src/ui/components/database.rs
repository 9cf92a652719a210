//! How large the database is, in a quiet line.

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::browser::{PageEvent, PageEvents, Timer, is_visible};
use crate::calls::read_database;
use crate::model::{DatabaseSize, DatabaseUsage};
use crate::ui::format;
use crate::ui::slot::Slot;

/// How often it is looked again while somebody looks, in milliseconds.
const AGAIN: u64 = 60_000;

/// The line.
#[component]
pub fn DatabaseLine() -> impl IntoView {
    let first = Resource::new_blocking(|| (), |()| read_database());
    // What was found since.
    let newer = RwSignal::new(None::<DatabaseUsage>);
    let look = move || {
        spawn_local(async move {
            if let Ok(now) = read_database().await {
                newer.try_set(Some(now));
            }
        });
    };
    let timer = Slot::new();
    Effect::new(move |_| {
        timer.keep(Timer::every(AGAIN, move || {
            if is_visible() {
                look();
            }
        }));
        let listening = PageEvents::listen(move |event| {
            if event == PageEvent::Visible {
                look();
            }
        });
        StoredValue::new_local(listening);
    });
    // Without an answer there is no line: what is wrong with the database is said above.
    let line = move || {
        Suspend::new(async move {
            let first = first.await.ok();
            let text = move || newer.get().or(first).map(|DatabaseUsage { size, .. }| words(size));
            view! {
                <p class="text-xs text-faint tabular-nums empty:hidden" data-testid="database-size">{text}</p>
            }
        })
    };
    view! { <Transition>{line}</Transition> }
}

/// The log counts as the database's: it is on the same disk.
fn words(DatabaseSize { bytes, wal_bytes, free_bytes }: DatabaseSize) -> String {
    let all = format!("Database {}", format::bytes(bytes + wal_bytes));
    if free_bytes == 0 { all } else { format!("{all} · {} free inside", format::bytes(free_bytes)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_large_it_is_and_what_of_it_is_empty() {
        let size = DatabaseSize { bytes: 1_190_000_000, wal_bytes: 10_000_000, free_bytes: 340_000_000 };
        assert_eq!(words(size), "Database 1.2 GB · 340 MB free inside");
        assert_eq!(words(DatabaseSize { free_bytes: 0, ..size }), "Database 1.2 GB");
    }
}
