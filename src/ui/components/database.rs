//! The size of the database.

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::browser::PageEvent;
use crate::calls::read_database;
use crate::model::{DatabaseSize, DatabaseUsage};
use crate::ui::format;
use crate::ui::refresh::refresh_while_visible;

const REFRESH_INTERVAL_MS: u64 = 60_000;

#[component]
pub fn DatabaseLine() -> impl IntoView {
    let first = Resource::new_blocking(|| (), |()| read_database());
    let newer = RwSignal::new(None::<DatabaseUsage>);
    let refresh = move || {
        spawn_local(async move {
            if let Ok(now) = read_database().await {
                newer.try_set(Some(now));
            }
        });
    };
    refresh_while_visible(REFRESH_INTERVAL_MS, &[PageEvent::Visible], refresh);
    // Nothing if the size is unknown: the outage banner reports problems of the database.
    let line = move || {
        Suspend::new(async move {
            let first = first.await.ok();
            let text = move || newer.get().or(first).map(|DatabaseUsage { size, .. }| text(size));
            view! {
                <p class="text-xs text-faint tabular-nums empty:hidden" data-testid="database-size">{text}</p>
            }
        })
    };
    view! { <Transition>{line}</Transition> }
}

/// The write-ahead log counts too: it is on the same disk.
fn text(DatabaseSize { bytes, wal_bytes, free_bytes }: DatabaseSize) -> String {
    let all = format!("Database {}", format::bytes(bytes + wal_bytes));
    if free_bytes == 0 { all } else { format!("{all} · {} reclaimable", format::bytes(free_bytes)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_size_and_reclaimable_space() {
        let size = DatabaseSize { bytes: 1_190_000_000, wal_bytes: 10_000_000, free_bytes: 340_000_000 };
        assert_eq!(text(size), "Database 1.2 GB · 340 MB reclaimable");
        assert_eq!(text(DatabaseSize { free_bytes: 0, ..size }), "Database 1.2 GB");
    }
}
