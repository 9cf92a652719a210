//! Which rows were given as events, and which have changed since.

use std::hash::{DefaultHasher, Hasher};

use super::grid::{Grid, Slot};
use super::{Event, MAX_PIECES, ROWS, Screen};
use crate::model::kinds::MAX_LINE_BYTES;
use crate::terminal::pen::Pen;

impl Screen {
    /// Whether something was written that was not given: a line whose end has not come.
    pub fn has_new(&self) -> bool {
        match &self.main {
            Some(main) => main.grid.has_new(main.margins.bottom),
            None => self.grid.has_new(self.margins.bottom),
        }
    }

    /// Gives what was written and not given, but not what is below a region that scrolls: there programs keep a bar that they erase in
    /// the end, and that would be in the way of the rows to come.
    pub fn give_new(&mut self, events: &mut Vec<Event>) {
        match &mut self.main {
            Some(main) => main.grid.give_new(main.margins.bottom, events),
            None => self.grid.give_new(self.margins.bottom, events),
        }
    }

    /// Whether a row has changed since it was given.
    pub fn has_redraws(&self) -> bool {
        self.main.as_ref().map_or(&self.grid, |main| &main.grid).has_redraws()
    }

    /// Gives the rows that have changed since they were given.
    pub fn give_redraws(&mut self, events: &mut Vec<Event>) {
        self.main.as_mut().map_or(&mut self.grid, |main| &mut main.grid).give_redraws(events);
    }

    /// Gives all that is left. An alternate screen that is still shown comes after the main one: its program was ended, and may have
    /// said there why.
    pub fn finish(mut self, events: &mut Vec<Event>) {
        if let Some(mut main) = self.main.take() {
            main.grid.give_redraws(events);
            main.grid.give_new(ROWS, events);
            (self.grid.next, self.grid.is_alternate) = (main.grid.next, false);
        }
        self.grid.give_redraws(events);
        self.grid.give_new(ROWS, events);
    }
}

impl Grid {
    /// Whether something was written in the rows up to `bottom` that was not given: a line whose end has not come.
    pub fn has_new(&self, bottom: usize) -> bool {
        let grown = self.given.checked_sub(1).is_some_and(|last| self.slots[last].grows());
        let end = self.slots.len().min(bottom + 1);
        grown || self.slots.range(self.given.min(end)..end).any(|slot| !slot.row.is_empty())
    }

    /// Whether a row has changed since it was given.
    pub const fn has_redraws(&self) -> bool {
        self.dirty > 0
    }

    /// Gives what was written in the rows up to `bottom` and not given.
    pub fn give_new(&mut self, bottom: usize, events: &mut Vec<Event>) {
        self.give_growth(events);
        let end = self.slots.len().min(bottom + 1);
        if let Some(last) = self.slots.range(..end).rposition(|slot| !slot.row.is_empty()) {
            self.give_until(last, events);
        }
    }

    /// Gives the rows that have changed since they were given.
    pub fn give_redraws(&mut self, events: &mut Vec<Event>) {
        for y in 0..self.given {
            self.give_redraw(y, events);
        }
    }

    pub(super) fn give_redraw(&mut self, y: usize, events: &mut Vec<Event>) {
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
        // All of the row is in its first piece now.
        for piece in 1..slot.pieces {
            events.push(Event::Redraw { row: slot.first + u64::from(piece), text: String::new(), cont: true });
        }
        slot.pieces = 1;
    }

    /// Gives what the last row that was given has grown by, as a piece of it.
    pub(super) fn give_growth(&mut self, events: &mut Vec<Event>) {
        let Some(last) = self.given.checked_sub(1).filter(|&last| self.slots[last].grows()) else { return };
        if self.slots[last].pieces >= MAX_PIECES {
            self.touch(last);
            self.give_redraw(last, events);
            return;
        }
        let slot = &mut self.slots[last];
        let (written, pen) = slot.row.written();
        let mut text = String::new();
        slot.pen.write_change(&Pen::default(), &mut text);
        text.push_str(&written[slot.given..]);
        pen.write_end(&mut text);
        if text.len() > MAX_LINE_BYTES {
            self.touch(last);
            self.give_redraw(last, events);
            return;
        }
        (slot.given, slot.pen) = (written.len(), pen.clone());
        slot.pieces += 1;
        self.next += 1;
        events.push(Event::Row { text, cont: true });
    }

    /// Gives the rows up to this one.
    pub(super) fn give_until(&mut self, y: usize, events: &mut Vec<Event>) {
        if self.is_alternate {
            return;
        }
        if self.given <= y {
            self.give_growth(events);
        }
        while self.given <= y {
            let slot = &mut self.slots[self.given];
            let text = slot.row.render();
            (slot.first, slot.pieces) = (self.next, 1);
            if slot.row.is_text() {
                let (written, pen) = slot.row.written();
                (slot.given, slot.pen) = (written.len(), pen.clone());
            } else {
                (slot.is_redrawn, slot.shown) = (true, digest(&text));
            }
            events.push(Event::Row { text, cont: slot.row.cont });
            self.next += 1;
            self.given += 1;
        }
    }

    /// Notes that a row changes otherwise than by growing, before it does.
    pub(super) fn touch(&mut self, y: usize) {
        if y >= self.given {
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

impl Slot {
    pub(super) fn grows(&self) -> bool {
        self.pieces > 0 && !self.is_redrawn && self.row.is_text() && self.row.written().0.len() > self.given
    }

    /// Whether it has more text than was given.
    fn grows_beyond(&self) -> bool {
        self.row.is_text() && self.row.written().0.len() > self.given
    }
}

fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    hasher.finish()
}
