//! The same for many things, on all cores.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

/// Does something with each item on all cores, and takes the results in the order of the items, as soon as they are there.
pub fn in_order<T: Sync, R: Send>(
    items: &[T],
    each: impl Fn(&T) -> R + Sync,
    mut take: impl FnMut(usize, &T, R) -> io::Result<()>,
) -> io::Result<()> {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(items.len().max(1));
    std::thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        for _ in 0..threads {
            let (sender, next, each) = (sender.clone(), &next, &each);
            scope.spawn(move || {
                while let Some((index, item)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|index| Some((index, items.get(index)?)))
                {
                    if sender.send((index, each(item))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut due = 0;
        for (index, result) in results {
            early.insert(index, result);
            while let Some(result) = early.remove(&due) {
                take(due + 1, &items[due], result)?;
                due += 1;
            }
        }
        Ok(())
    })
}
