//! Maps many items on all cores. Not rayon: its iterators do not yield results in order while later items are in
//! progress.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

/// Maps items on all cores, and passes each result to `take` in the order of the items, as soon as possible. `take`
/// gets the number of results so far.
///
/// # Errors
/// The first error of `take`; the remaining items are then skipped.
pub fn in_order<T: Sync, R: Send>(
    items: &[T],
    map: impl Fn(&T) -> R + Sync,
    mut take: impl FnMut(usize, &T, R) -> io::Result<()>,
) -> io::Result<()> {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(items.len().max(1));
    std::thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        for _ in 0..threads {
            let (sender, next, map) = (sender.clone(), &next, &map);
            scope.spawn(move || {
                while let Some((index, item)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|index| Some((index, items.get(index)?)))
                {
                    if sender.send((index, map(item))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut next_index = 0;
        for (index, result) in results {
            early.insert(index, result);
            while let Some(result) = early.remove(&next_index) {
                take(next_index + 1, &items[next_index], result)?;
                next_index += 1;
            }
        }
        Ok(())
    })
}
