//! The rows of a screen, how they move, and which of them were emitted.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher};
use std::mem::take;

use crate::model::kinds::MAX_LINE_BYTES;
use crate::terminal::event::Event;
use crate::terminal::pen::Pen;
use crate::terminal::row::ScreenRow;

/// The height of a screen. A row that scrolls out does not change any more.
pub const ROWS: usize = 50;

/// A row with so many pieces is emitted again as a whole.
const MAX_PIECES: u32 = 32;

/// A row and what of it was emitted.
#[derive(Debug, Default)]
pub struct RowSlot {
    pub(super) row: ScreenRow,
    /// The number of its first emitted piece.
    pub(super) first: u64,
    /// The number of emitted pieces.
    pub(super) pieces: u32,
    /// The number of emitted bytes of the row's text, and the pen there, as long as the row only grows.
    pub(super) emitted: usize,
    pub(super) pen: Pen,
    /// Whether it was emitted and has changed other than by growing.
    pub(super) is_redrawn: bool,
    /// Whether it has changed since it was emitted.
    pub(super) is_dirty: bool,
    /// A digest of the emitted text.
    pub(super) shown: u64,
}

/// The rows of a screen from the top. Rows after the last one are blank.
#[derive(Debug, Default)]
pub struct Grid {
    pub(super) slots: VecDeque<RowSlot>,
    /// The number of emitted rows, which are those at the top.
    pub(super) emitted: usize,
    /// The number of emitted rows that have changed.
    pub(super) dirty: usize,
    /// The number of the next row or piece.
    pub(super) next: u64,
    /// Whether it is the alternate screen, which is not emitted.
    pub(super) is_alternate: bool,
    /// An empty row with an allocation to reuse.
    spare: ScreenRow,
}

impl Grid {
    /// A blank alternate screen.
    pub fn alternate() -> Self {
        Self { is_alternate: true, ..Self::default() }
    }

    pub fn row_is_empty(&self, y: usize) -> bool {
        self.slots.get(y).is_none_or(|slot| slot.row.is_empty())
    }

    /// Adds rows up to this one.
    pub fn make_row(&mut self, y: usize) {
        while self.slots.len() <= y {
            let row = self.take_spare();
            self.slots.push_back(RowSlot { row, ..RowSlot::default() });
        }
    }

    /// An empty row, with the allocation of an earlier one.
    pub fn take_spare(&mut self) -> ScreenRow {
        take(&mut self.spare)
    }

    /// The approximate size of the rows in memory.
    pub fn memory_bytes(&self) -> usize {
        self.slots.iter().map(|slot| slot.row.memory_bytes()).sum()
    }

    /// Removes the first row from the screen, after its final state was emitted.
    pub fn scroll_out(&mut self, events: &mut Vec<Event>) {
        self.make_row(0);
        self.emit_growth(events);
        self.emit_until(0, events);
        self.emit_redraw(0, events);
        let Some(mut slot) = self.slots.pop_front() else { return };
        slot.row.reset();
        self.spare = slot.row;
        self.emitted = self.emitted.saturating_sub(1);
    }

    /// Scrolls up the rows down to `bottom`: the first rows leave the screen, and blank ones are added at the bottom.
    /// Rows below do not move.
    pub fn scroll_up(&mut self, bottom: usize, count: usize, events: &mut Vec<Event>) {
        for _ in 0..count {
            self.scroll_out(events);
            if self.slots.len() <= bottom {
                continue;
            }
            if self.emitted <= bottom {
                self.slots.insert(bottom, RowSlot::default());
            } else {
                self.slots.push_back(RowSlot::default());
                self.move_down(bottom, self.slots.len() - 1, 1, events);
            }
        }
    }

    /// The number of rows down to `bottom`, without blank ones at the end.
    pub fn height_until(&self, bottom: usize) -> usize {
        let end = self.slots.len().min(bottom + 1);
        self.slots.range(..end).rposition(|slot| !slot.row.is_blank()).map_or(0, |last| last + 1)
    }

    /// Moves the rows from `top` to `bottom` up. The first ones are lost, and blank ones are added at the bottom.
    pub fn move_up(&mut self, top: usize, bottom: usize, count: usize, events: &mut Vec<Event>) {
        let end = self.slots.len().min(bottom + 1);
        if top >= end {
            return;
        }
        self.touch_all(top, end, events);
        let kept = end - count.min(end - top);
        for y in top..kept {
            self.slots[y].row = take(&mut self.slots[y + count].row);
        }
        for y in kept..end {
            self.slots[y].row = ScreenRow::default();
        }
    }

    /// Moves the rows from `top` to `bottom` down. The last ones are lost, and blank ones are added at the top.
    pub fn move_down(&mut self, top: usize, bottom: usize, count: usize, events: &mut Vec<Event>) {
        if top >= self.slots.len().min(bottom + 1) {
            return;
        }
        let end = (self.slots.len() + count).min(bottom + 1);
        self.make_row(end - 1);
        self.touch_all(top, end, events);
        let blank = (top + count).min(end);
        for y in (blank..end).rev() {
            self.slots[y].row = take(&mut self.slots[y - count].row);
        }
        for y in top..blank {
            self.slots[y].row = ScreenRow::default();
        }
    }

    /// Marks these rows as changed. Emitted numbers stay with the slots, not with the rows that move.
    fn touch_all(&mut self, top: usize, end: usize, events: &mut Vec<Event>) {
        // Growth can only be emitted while the row is in its slot.
        self.emit_growth(events);
        for y in top..end {
            self.touch(y);
        }
    }

    /// Whether the rows down to `bottom` have text that was not emitted.
    pub fn has_new(&self, bottom: usize) -> bool {
        let grown = self.emitted.checked_sub(1).is_some_and(|last| self.slots[last].grows());
        let end = self.slots.len().min(bottom + 1);
        grown || self.slots.range(self.emitted.min(end)..end).any(|slot| !slot.row.is_empty())
    }

    /// Whether an emitted row has changed.
    pub const fn has_redraws(&self) -> bool {
        self.dirty > 0
    }

    /// Emits new text of the rows down to `bottom`.
    pub fn emit_new(&mut self, bottom: usize, events: &mut Vec<Event>) {
        self.emit_growth(events);
        let end = self.slots.len().min(bottom + 1);
        if let Some(last) = self.slots.range(..end).rposition(|slot| !slot.row.is_empty()) {
            self.emit_until(last, events);
        }
    }

    /// Emits changed rows.
    pub fn emit_redraws(&mut self, events: &mut Vec<Event>) {
        for y in 0..self.emitted {
            self.emit_redraw(y, events);
        }
    }

    pub(super) fn emit_redraw(&mut self, y: usize, events: &mut Vec<Event>) {
        let slot = &mut self.slots[y];
        if !slot.is_dirty {
            return;
        }
        slot.is_dirty = false;
        self.dirty -= 1;
        let text = slot.row.render();
        let shown = digest(&text);
        if shown == slot.shown {
            return;
        }
        slot.shown = shown;
        events.push(Event::Redraw { row: slot.first, text, cont: slot.row.cont });
        // The first piece now has the whole row.
        for piece in 1..slot.pieces {
            events.push(Event::Redraw { row: slot.first + u64::from(piece), text: String::new(), cont: true });
        }
        slot.pieces = 1;
    }

    /// Emits the growth of the last emitted row as a new piece.
    pub(super) fn emit_growth(&mut self, events: &mut Vec<Event>) {
        let Some(last) = self.emitted.checked_sub(1).filter(|&last| self.slots[last].grows()) else { return };
        if self.slots[last].pieces >= MAX_PIECES {
            self.touch(last);
            self.emit_redraw(last, events);
            return;
        }
        let slot = &mut self.slots[last];
        let (written, pen) = slot.row.written();
        let mut text = String::new();
        slot.pen.write_change(&Pen::default(), &mut text);
        text.push_str(&written[slot.emitted..]);
        pen.write_end(&mut text);
        if text.len() > MAX_LINE_BYTES {
            self.touch(last);
            self.emit_redraw(last, events);
            return;
        }
        (slot.emitted, slot.pen) = (written.len(), pen.clone());
        slot.pieces += 1;
        self.next += 1;
        events.push(Event::Row { text, cont: true });
    }

    /// Emits the rows down to this one.
    pub(super) fn emit_until(&mut self, y: usize, events: &mut Vec<Event>) {
        if self.is_alternate {
            return;
        }
        if self.emitted <= y {
            self.emit_growth(events);
        }
        while self.emitted <= y {
            let slot = &mut self.slots[self.emitted];
            let text = slot.row.render();
            (slot.first, slot.pieces) = (self.next, 1);
            if slot.row.is_text() {
                let (written, pen) = slot.row.written();
                (slot.emitted, slot.pen) = (written.len(), pen.clone());
            } else {
                (slot.is_redrawn, slot.shown) = (true, digest(&text));
            }
            events.push(Event::Row { text, cont: slot.row.cont });
            self.next += 1;
            self.emitted += 1;
        }
    }

    /// Marks a row as changed, before it changes other than by growing.
    pub(super) fn touch(&mut self, y: usize) {
        if y >= self.emitted {
            return;
        }
        let slot = &mut self.slots[y];
        if !slot.is_redrawn {
            slot.is_redrawn = true;
            slot.shown = if slot.grows_beyond() { 0 } else { digest(&slot.row.render()) };
        }
        if !slot.is_dirty {
            slot.is_dirty = true;
            self.dirty += 1;
        }
    }
}

impl RowSlot {
    pub(super) fn grows(&self) -> bool {
        self.pieces > 0 && !self.is_redrawn && self.row.is_text() && self.row.written().0.len() > self.emitted
    }

    /// Whether it has text that was not emitted.
    fn grows_beyond(&self) -> bool {
        self.row.is_text() && self.row.written().0.len() > self.emitted
    }
}

fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    hasher.finish()
}
