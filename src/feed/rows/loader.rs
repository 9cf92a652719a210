//! Decides which missing rows to request from the server, and when.

use std::ops::Range;

use super::{Budget, Windows};

/// Rows around the view that are loaded before they are scrolled to. They are never dropped, whatever their size.
pub const NEAR_ROWS: u64 = 100;

/// Rows around the view that a request includes, so that scrolling needs few requests.
const MARGIN_ROWS: u64 = 250;

/// The most rows of a request.
pub const MAX_LOAD_ROWS: u64 = 1000;

/// The most requests in flight. One may be for rows that are not visible any more.
const MAX_IN_FLIGHT: usize = 2;

/// A journal that fits is loaded whole, until this much of the byte budget is used: the rest is for visible rows.
const FILL_BYTES: usize = 16 << 20;

/// The wait after the first failure. It doubles with each failure in a row.
const FIRST_WAIT_MS: u64 = 1000;

const MAX_WAIT_MS: u64 = 30_000;

/// Whether the visible rows are loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoadState {
    #[default]
    Complete,
    Loading,
    /// Visible rows could not be loaded. They are requested again after a wait, or when the reader asks for it.
    Failed,
}

/// See the module's comment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowLoader {
    in_flight: Vec<Range<u64>>,
    failures: u32,
    /// Nothing is requested before this time of the caller's clock.
    wait_until_ms: u64,
    /// Whether a response had fewer rows than requested, because they are large: then visible rows are requested first.
    has_large_rows: bool,
}

impl RowLoader {
    /// The next seqs to request, if any, for a journal with this head. They count as in flight from now on.
    pub fn next(&mut self, windows: &Windows, visible: &Range<u64>, head: u64, now_ms: u64) -> Option<Range<u64>> {
        if now_ms < self.wait_until_ms || self.in_flight.len() >= MAX_IN_FLIGHT {
            return None;
        }
        let all = 1..head + 1;
        let seqs = self
            .for_view(windows, &clip(visible, &all), &all)
            .or_else(|| self.for_view(windows, &clip(&widen(visible, NEAR_ROWS), &all), &all))
            .or_else(|| self.for_whole(windows, head))?;
        self.in_flight.push(seqs.clone());
        Some(seqs)
    }

    /// The missing rows in and around the view, in one request.
    fn for_view(&self, windows: &Windows, rows: &Range<u64>, all: &Range<u64>) -> Option<Range<u64>> {
        let missing = self.missing(windows, rows)?;
        let around = clip(&widen(rows, MARGIN_ROWS), all);
        let start = if self.has_large_rows {
            missing.start
        } else {
            let before = windows.last_missing(around.start..missing.end).map_or(missing.start, |run| run.start);
            self.after_flights(before.max(missing.start.saturating_sub(MARGIN_ROWS)), missing.start)
        };
        let end = windows.first_missing(start..around.end).map_or(missing.end, |run| run.end);
        let end = end.min(start + MAX_LOAD_ROWS);
        Some(start..self.before_flights(start, end))
    }

    /// The newest missing rows, if the journal is small enough to be held whole.
    fn for_whole(&self, windows: &Windows, head: u64) -> Option<Range<u64>> {
        let fits = head <= Budget::WHOLE_ROWS as u64 && windows.bytes() < FILL_BYTES;
        if !fits || !self.in_flight.is_empty() {
            return None;
        }
        let missing = windows.last_missing(1..head + 1)?;
        Some(missing.start.max(missing.end.saturating_sub(MAX_LOAD_ROWS))..missing.end)
    }

    /// The first range of the rows that is neither held nor in flight.
    fn missing(&self, windows: &Windows, rows: &Range<u64>) -> Option<Range<u64>> {
        let mut from = rows.start;
        loop {
            let run = windows.first_missing(from..rows.end)?;
            match self.in_flight.iter().find(|flight| flight.contains(&run.start)) {
                Some(flight) => from = flight.end,
                None => return Some(run.start..self.before_flights(run.start, run.end)),
            }
        }
    }

    /// `start`, or the end of the last request in flight between it and `until`.
    fn after_flights(&self, start: u64, until: u64) -> u64 {
        let ends = self.in_flight.iter().map(|flight| flight.end).filter(|end| (start..=until).contains(end));
        ends.max().unwrap_or(start)
    }

    /// `end`, or the start of the first request in flight between `start` and it.
    fn before_flights(&self, start: u64, end: u64) -> u64 {
        let starts = self.in_flight.iter().map(|flight| flight.start).filter(|first| (start..end).contains(first));
        starts.min().unwrap_or(end)
    }

    /// A request returned the first `count` of its rows.
    pub fn succeed(&mut self, seqs: &Range<u64>, count: u64) {
        self.remove_flight(seqs);
        self.failures = 0;
        self.wait_until_ms = 0;
        self.has_large_rows = count < seqs.end - seqs.start;
    }

    /// A request failed. The server asks to be left alone for `floor_ms`.
    pub fn fail(&mut self, seqs: &Range<u64>, now_ms: u64, floor_ms: u64) {
        self.remove_flight(seqs);
        let wait_ms = FIRST_WAIT_MS.saturating_mul(1 << self.failures.min(5)).min(MAX_WAIT_MS).max(floor_ms);
        self.failures = self.failures.saturating_add(1);
        self.wait_until_ms = now_ms.saturating_add(wait_ms);
    }

    fn remove_flight(&mut self, seqs: &Range<u64>) {
        if let Some(place) = self.in_flight.iter().position(|flight| flight == seqs) {
            self.in_flight.swap_remove(place);
        }
    }

    /// Ends the wait: the reader asks for it, or the server has answered something else.
    pub const fn retry(&mut self) {
        self.wait_until_ms = 0;
    }

    /// How long to wait after a failure, if it is not over yet.
    pub fn wait_ms(&self, now_ms: u64) -> Option<u64> {
        self.wait_until_ms.checked_sub(now_ms).filter(|wait| *wait > 0)
    }

    pub fn state(&self, windows: &Windows, visible: &Range<u64>, head: u64) -> LoadState {
        if windows.first_missing(clip(visible, &(1..head + 1))).is_none() {
            LoadState::Complete
        } else if self.failures > 0 {
            LoadState::Failed
        } else {
            LoadState::Loading
        }
    }

    /// How many requests are in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }
}

fn widen(seqs: &Range<u64>, by: u64) -> Range<u64> {
    seqs.start.saturating_sub(by)..seqs.end.saturating_add(by)
}

/// The part of `seqs` that lies in `all`.
fn clip(seqs: &Range<u64>, all: &Range<u64>) -> Range<u64> {
    let start = seqs.start.clamp(all.start, all.end);
    start..seqs.end.clamp(start, all.end)
}

#[cfg(test)]
mod tests {
    use super::super::super::state::tests::log;
    use super::*;

    fn windows_with(seqs: Range<u64>) -> Windows {
        let mut windows = Windows::default();
        seqs.for_each(|seq| assert!(windows.insert(log(seq))));
        windows
    }

    const LONG: u64 = 1_000_000;

    #[test]
    fn loader_covers_a_view_with_one_request() {
        for (visible, expected) in [
            (1..40, Some(1..290)),
            (500_000..500_040, Some(499_750..500_290)),
            (999_700..999_740, Some(999_450..999_801)),
            (999_960..1_000_001, None),
        ] {
            let (mut loads, mut windows) = (RowLoader::default(), windows_with(999_801..1_000_001));
            let seqs = loads.next(&windows, &visible, LONG, 0);
            assert_eq!(seqs, expected, "{visible:?}");
            if let Some(seqs) = seqs {
                assert_eq!(loads.state(&windows, &visible, LONG), LoadState::Loading);
                assert_eq!(loads.next(&windows, &visible, LONG, 0), None, "it is in flight");
                loads.succeed(&seqs, seqs.end - seqs.start);
                seqs.for_each(|seq| assert!(windows.insert(log(seq))));
            }
            assert_eq!(loads.state(&windows, &visible, LONG), LoadState::Complete);
            assert_eq!(loads.next(&windows, &visible, LONG, 0), None, "nothing else is needed");
        }
        let seqs = RowLoader::default().next(&Windows::default(), &(400..1800), LONG, 0);
        assert_eq!(seqs, Some(150..1150), "a request has at most so many rows");
    }

    #[test]
    fn loader_requests_large_visible_rows_first() {
        let (mut loads, mut windows) = (RowLoader::default(), Windows::default());
        let visible = 5000..5040;
        let first = loads.next(&windows, &visible, LONG, 0).unwrap();
        // The response has fewer rows than requested, because they have some MiB.
        loads.succeed(&first, 2);
        (first.start..first.start + 2).for_each(|seq| assert!(windows.insert(log(seq))));
        assert_eq!(loads.next(&windows, &visible, LONG, 0).unwrap().start, 5000);
    }

    #[test]
    fn loader_backs_off_until_the_reader_retries() {
        let (mut loads, windows) = (RowLoader::default(), Windows::default());
        let mut now = 0;
        for wait in [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] {
            let seqs = loads.next(&windows, &(1..40), LONG, now).unwrap();
            assert_eq!(
                loads.state(&windows, &(1..40), LONG),
                if now == 0 { LoadState::Loading } else { LoadState::Failed }
            );
            loads.fail(&seqs, now, 0);
            assert_eq!((loads.wait_ms(now), loads.next(&windows, &(1..40), LONG, now + wait - 1)), (Some(wait), None));
            now += wait;
        }
        let seqs = loads.next(&windows, &(1..40), LONG, now).unwrap();
        loads.fail(&seqs, now, 90_000);
        assert_eq!(loads.wait_ms(now), Some(90_000), "the server asks for longer");
        loads.retry();
        assert!(loads.next(&windows, &(1..40), LONG, now).is_some());
    }

    #[test]
    fn loader_loads_only_short_journals_whole() {
        let (mut loads, mut windows) = (RowLoader::default(), windows_with(49_801..50_001));
        let visible = 49_960..50_001;
        let mut requests = 0;
        while let Some(seqs) = loads.next(&windows, &visible, 50_000, 0) {
            requests += 1;
            loads.succeed(&seqs, seqs.end - seqs.start);
            seqs.for_each(|seq| assert!(windows.insert(log(seq))));
        }
        assert_eq!((windows.len(), requests), (50_000, 50));
        assert_eq!(
            RowLoader::default().next(&windows_with(50_000..50_002), &(50_000..50_002), 50_001, 0).map(|seqs| seqs.end),
            Some(50_000)
        );
        assert_eq!(RowLoader::default().next(&windows_with(49_000..50_002), &(49_960..50_002), 50_001, 0), None);
    }

    #[test]
    fn loader_has_two_requests_in_flight_at_most() {
        let (mut loads, windows) = (RowLoader::default(), Windows::default());
        let first = loads.next(&windows, &(1000..1040), LONG, 0).unwrap();
        assert!(loads.next(&windows, &(900_000..900_040), LONG, 0).is_some());
        assert_eq!(loads.next(&windows, &(500_000..500_040), LONG, 0), None);
        loads.succeed(&first, 0);
        assert!(loads.next(&windows, &(500_000..500_040), LONG, 0).is_some());
        assert_eq!(loads.in_flight(), 2);
    }
}
