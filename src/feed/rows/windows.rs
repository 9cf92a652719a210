//! The frames that a page holds: any parts of a run's journal, in windows of rows.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::WINDOW_ROWS;
use super::frame_size::{self, MAX_FRAME_BYTES};
use super::redraws::Redraws;
use crate::model::{Frame, FramePayload};

/// The most that a page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    pub rows: usize,
    /// The approximate size of the frames' texts.
    pub bytes: usize,
}

impl Budget {
    /// A journal of at most this many frames is held whole.
    pub const WHOLE_ROWS: usize = 50_000;
    /// The most frames that are held of a longer journal.
    const PART_ROWS: usize = 20_000;
    /// The most bytes that are held of any journal.
    const BYTES: usize = 32 << 20;

    /// The budget for a journal with this head.
    pub const fn of_journal(head: u64) -> Self {
        let whole = head <= Self::WHOLE_ROWS as u64;
        Self { rows: if whole { Self::WHOLE_ROWS } else { Self::PART_ROWS }, bytes: Self::BYTES }
    }
}

/// A held frame.
#[derive(Clone, Debug, PartialEq)]
struct Slot {
    frame: Arc<Frame>,
    bytes: usize,
    is_abridged: bool,
}

impl Slot {
    fn of(frame: Frame) -> Self {
        let bytes = frame_size::bytes_of(&frame);
        if bytes <= MAX_FRAME_BYTES {
            return Self { frame: Arc::new(frame), bytes, is_abridged: false };
        }
        let frame = frame_size::abridge(frame);
        Self { bytes: frame_size::bytes_of(&frame), frame: Arc::new(frame), is_abridged: true }
    }
}

/// The held frames of [`WINDOW_ROWS`] rows.
#[derive(Clone, Debug, PartialEq)]
struct Window {
    slots: Vec<Option<Slot>>,
    held: usize,
    bytes: usize,
}

impl Window {
    fn new() -> Self {
        Self { slots: vec![None; WINDOW_ROWS as usize], held: 0, bytes: 0 }
    }

    /// Drops a frame, if there is one.
    fn remove(&mut self, place: usize) -> Option<Slot> {
        let slot = self.slots.get_mut(place)?.take()?;
        self.held -= 1;
        self.bytes -= slot.bytes;
        Some(slot)
    }
}

/// See the module's comment. Frames may arrive in any order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Windows {
    windows: BTreeMap<u64, Window>,
    held: usize,
    bytes: usize,
    revision: u64,
    redraws: Redraws,
    /// The newest known redraw of a held row, by the row's seq. The redraw's own window may not be held.
    latest: BTreeMap<u64, Slot>,
}

impl Windows {
    /// Increases with every change.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// The number of held frames.
    pub const fn len(&self) -> usize {
        self.held
    }

    pub const fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// The approximate size of the frames' texts.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The lowest held seq.
    pub fn first(&self) -> Option<u64> {
        let (index, window) = self.windows.first_key_value()?;
        let place = window.slots.iter().position(Option::is_some)?;
        Some(index * WINDOW_ROWS + place as u64 + 1)
    }

    /// The frame with this seq, if it is held. It may be abridged.
    pub fn get(&self, seq: u64) -> Option<&Arc<Frame>> {
        self.slot(seq).map(|slot| &slot.frame)
    }

    /// Whether the frame that shows in a row is abridged: its texts are cut to what a row shows.
    pub fn is_abridged(&self, row: u64) -> bool {
        self.slot_shown_in(row).is_some_and(|slot| slot.is_abridged)
    }

    fn slot(&self, seq: u64) -> Option<&Slot> {
        let (index, place) = slot_index(seq)?;
        self.windows.get(&index)?.slots.get(place)?.as_ref()
    }

    /// The held frames with these seqs, in order.
    pub fn range(&self, seqs: Range<u64>) -> impl Iterator<Item = &Arc<Frame>> {
        let windows = if seqs.start < seqs.end { window_of(seqs.start)..window_of(seqs.end - 1) + 1 } else { 0..0 };
        let slots = self.windows.range(windows).flat_map(|(_, window)| window.slots.iter().flatten());
        slots.map(|slot| &slot.frame).filter(move |frame| seqs.contains(&frame.seq))
    }

    /// The frame that shows in a row: the last known redraw, or the row's own. `None` if the row is not held.
    pub fn shown_in(&self, row: u64) -> Option<&Arc<Frame>> {
        self.slot_shown_in(row).map(|slot| &slot.frame)
    }

    fn slot_shown_in(&self, row: u64) -> Option<&Slot> {
        let held = self.slot(self.redraws.shown_in(row).unwrap_or(row))?;
        let latest = self.latest.get(&row).filter(|latest| latest.frame.seq > held.frame.seq);
        Some(latest.unwrap_or(held))
    }

    /// Adds the last redraw of a held row, without holding the redraw's own row.
    pub fn add_redraw(&mut self, frame: Frame) {
        if let Some(row) = replaced_by(&frame) {
            self.record_redraw(row, &Slot::of(frame));
        }
    }

    fn record_redraw(&mut self, row: u64, slot: &Slot) {
        let is_newer = self.latest.get(&row).is_none_or(|known| known.frame.seq < slot.frame.seq);
        if is_newer && self.is_held(row) {
            self.latest.insert(row, slot.clone());
            self.revision += 1;
        }
    }

    /// The row in which the frame with this seq shows.
    pub fn row_of(&self, seq: u64) -> u64 {
        self.redraws.row_of(seq)
    }

    /// The windows in which heights may have changed since the last call, each with its rows: whether they have a
    /// height.
    pub fn take_changed_rows(&mut self) -> Vec<(u64, Vec<bool>)> {
        let changed = self.redraws.take_changed();
        let rows = |window: u64| {
            let first = window * WINDOW_ROWS + 1;
            let mut rows = vec![true; WINDOW_ROWS as usize];
            for seq in self.redraws.hidden(first..first + WINDOW_ROWS) {
                rows[(seq - first) as usize] = false;
            }
            (window, rows)
        };
        changed.into_iter().map(rows).collect()
    }

    /// Holds a frame. `false` if its seq is held already, or 0.
    pub fn insert(&mut self, frame: Frame) -> bool {
        let Some((index, place)) = slot_index(frame.seq) else { return false };
        let window = self.windows.entry(index).or_insert_with(Window::new);
        let Some(slot) = window.slots.get_mut(place).filter(|slot| slot.is_none()) else { return false };
        let (seq, replaced) = (frame.seq, replaced_by(&frame));
        let taken = Slot::of(frame);
        let bytes = taken.bytes;
        *slot = Some(taken.clone());
        window.held += 1;
        window.bytes += bytes;
        self.held += 1;
        self.bytes += bytes;
        self.revision += 1;
        self.redraws.set_loaded(seq, true);
        if let Some(replaced) = replaced {
            self.redraws.insert(seq, replaced, self.is_held(replaced));
            self.record_redraw(replaced, &taken);
        } else if let Some(last) = self.redraws.shown_in(seq).filter(|last| *last != seq)
            && let Some(last) = self.slot(last).cloned()
        {
            self.record_redraw(seq, &last);
        }
        true
    }

    /// The first range of these seqs that is not held.
    pub fn first_missing(&self, seqs: Range<u64>) -> Option<Range<u64>> {
        let mut seq = seqs.start.max(1);
        while seq < seqs.end && self.is_held(seq) {
            seq = self.skip_forward(seq);
        }
        if seq >= seqs.end {
            return None;
        }
        let start = seq;
        while seq < seqs.end && !self.is_held(seq) {
            seq = self.skip_forward(seq);
        }
        Some(start..seq.min(seqs.end))
    }

    /// The last range of these seqs that is not held.
    pub fn last_missing(&self, seqs: Range<u64>) -> Option<Range<u64>> {
        let start = seqs.start.max(1);
        let mut end = seqs.end;
        while end > start && self.is_held(end - 1) {
            end = self.skip_back(end);
        }
        if end <= start {
            return None;
        }
        let last = end;
        while end > start && !self.is_held(end - 1) {
            end = self.skip_back(end);
        }
        Some(end.max(start)..last)
    }

    fn is_held(&self, seq: u64) -> bool {
        self.slot(seq).is_some()
    }

    /// The next seq that may differ from this one: the next window's first, if this window is uniform.
    fn skip_forward(&self, seq: u64) -> u64 {
        let index = window_of(seq);
        if self.is_uniform(index) { (index + 1) * WINDOW_ROWS + 1 } else { seq + 1 }
    }

    /// [`Windows::skip_forward`] for the end of a range, downward.
    fn skip_back(&self, end: u64) -> u64 {
        let index = window_of(end - 1);
        if self.is_uniform(index) { index * WINDOW_ROWS + 1 } else { end - 1 }
    }

    fn is_uniform(&self, index: u64) -> bool {
        self.windows.get(&index).is_none_or(|window| window.held == 0 || window.held == WINDOW_ROWS as usize)
    }

    /// Drops the windows farthest from these seqs until the rest is within the budget. The frames of `keep` stay.
    pub fn trim(&mut self, keep: &Range<u64>, budget: Budget) {
        let keep = keep.start.max(1)..keep.end.max(keep.start.max(1) + 1);
        let near = window_of(keep.start)..=window_of(keep.end - 1);
        while self.is_over(budget) {
            let (Some((&first, _)), Some((&last, _))) = (self.windows.first_key_value(), self.windows.last_key_value())
            else {
                return;
            };
            let (before, after) = (near.start().saturating_sub(first), last.saturating_sub(*near.end()));
            let farthest = if before > after { first } else { last };
            if near.contains(&farthest) {
                break;
            }
            if let Some(window) = self.windows.remove(&farthest) {
                self.held -= window.held;
                self.bytes -= window.bytes;
                self.revision += 1;
                for slot in window.slots.iter().flatten() {
                    self.redraws.remove(slot.frame.seq);
                    self.latest.remove(&slot.frame.seq);
                }
            }
        }
        if self.is_over(budget) {
            self.trim_rows(&keep);
        }
    }

    const fn is_over(&self, budget: Budget) -> bool {
        self.held > budget.rows || self.bytes > budget.bytes
    }

    /// Drops all frames but these.
    fn trim_rows(&mut self, keep: &Range<u64>) {
        for (index, window) in &mut self.windows {
            for place in 0..WINDOW_ROWS {
                let seq = index * WINDOW_ROWS + place + 1;
                if !keep.contains(&seq) && window.remove(place as usize).is_some() {
                    self.redraws.remove(seq);
                    self.latest.remove(&seq);
                }
            }
        }
        self.windows.retain(|_, window| window.held > 0);
        self.revision += 1;
        self.held = self.windows.values().map(|window| window.held).sum();
        self.bytes = self.windows.values().map(|window| window.bytes).sum();
    }
}

/// The seq of the frame that this one redraws.
const fn replaced_by(frame: &Frame) -> Option<u64> {
    match &frame.payload {
        FramePayload::Log(log) => log.replaces,
        _ => None,
    }
}

const fn window_of(seq: u64) -> u64 {
    seq.saturating_sub(1) / WINDOW_ROWS
}

/// The window of a row, and the row's index in it. `None` for seq 0, which no frame has.
fn slot_index(seq: u64) -> Option<(u64, usize)> {
    let row = seq.checked_sub(1)?;
    Some((row / WINDOW_ROWS, (row % WINDOW_ROWS) as usize))
}
