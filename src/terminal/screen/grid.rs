//! Rows in their places on a screen, and how they move.

use std::collections::VecDeque;
use std::mem::take;

use super::Event;
use crate::terminal::pen::Pen;
use crate::terminal::row::Row;

/// A row and what of it was given.
#[derive(Debug, Default)]
pub struct Slot {
    pub(super) row: Row,
    /// The number of its first piece.
    pub(super) first: u64,
    /// How many pieces were given.
    pub(super) pieces: u32,
    /// How much of the row's text was given, and the pen there, as long as it only grows.
    pub(super) given: usize,
    pub(super) pen: Pen,
    /// It was given, and has changed otherwise than by growing.
    pub(super) is_redrawn: bool,
    /// It has changed since it was given.
    pub(super) is_dirty: bool,
    /// A digest of what was given.
    pub(super) shown: u64,
}

/// The rows of a screen, from its top. Those after the last one are blank.
#[derive(Debug, Default)]
pub struct Grid {
    pub(super) slots: VecDeque<Slot>,
    /// How many rows were given: always those at the top.
    pub(super) given: usize,
    /// How many of them have changed since.
    pub(super) dirty: usize,
    /// The number of the next row.
    pub(super) next: u64,
    /// Nothing is given of the alternate screen.
    pub(super) is_alternate: bool,
    /// Memory for the next row.
    spare: Row,
}

impl Grid {
    /// A blank alternate screen.
    pub fn alternate() -> Self {
        Self { is_alternate: true, ..Self::default() }
    }

    /// Whether nothing is written in a row.
    pub fn row_is_empty(&self, y: usize) -> bool {
        self.slots.get(y).is_none_or(|slot| slot.row.is_empty())
    }

    /// Makes sure that a row is there.
    pub fn make_row(&mut self, y: usize) {
        while self.slots.len() <= y {
            let row = self.take_spare();
            self.slots.push_back(Slot { row, ..Slot::default() });
        }
    }

    /// An empty row, with the memory of one that has gone.
    pub fn take_spare(&mut self) -> Row {
        take(&mut self.spare)
    }

    /// About how many bytes the rows take.
    pub fn weight(&self) -> usize {
        self.slots.iter().map(|slot| slot.row.weight()).sum()
    }

    /// The first row leaves the screen, and is not changed any more.
    pub fn scroll_out(&mut self, events: &mut Vec<Event>) {
        self.make_row(0);
        self.give_growth(events);
        self.give_until(0, events);
        self.give_redraw(0, events);
        let Some(mut slot) = self.slots.pop_front() else { return };
        slot.row.reset();
        self.spare = slot.row;
        self.given = self.given.saturating_sub(1);
    }

    /// The rows from the first to `bottom` scroll up: the first ones leave the screen, and blank ones come in at the bottom. The rows
    /// below stay where they are.
    pub fn scroll_up(&mut self, bottom: usize, count: usize, events: &mut Vec<Event>) {
        for _ in 0..count {
            self.scroll_out(events);
            if self.slots.len() <= bottom {
                continue;
            }
            if self.given <= bottom {
                self.slots.insert(bottom, Slot::default());
            } else {
                self.slots.push_back(Slot::default());
                self.move_down(bottom, self.slots.len() - 1, 1, events);
            }
        }
    }

    /// How many of the rows up to `bottom` there are without the blank ones at their end.
    pub fn height_until(&self, bottom: usize) -> usize {
        let end = self.slots.len().min(bottom + 1);
        self.slots.range(..end).rposition(|slot| !slot.row.is_blank()).map_or(0, |last| last + 1)
    }

    /// The rows from `top` to `bottom` move up; the first ones are lost, and blank ones come in at the bottom.
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
            self.slots[y].row = Row::default();
        }
    }

    /// The rows from `top` to `bottom` move down; the last ones are lost, and blank ones come in at the top.
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
            self.slots[y].row = Row::default();
        }
    }

    /// Notes that these rows change. The places stay: what was given of a row is then another one's.
    fn touch_all(&mut self, top: usize, end: usize, events: &mut Vec<Event>) {
        // Growth cannot be given any more once the row has another place.
        self.give_growth(events);
        for y in top..end {
            self.touch(y);
        }
    }
}
