"""The reference terminal: compares what pyte shows of a script with what it shows of the lines that Runtrail made of it.

Reads one JSON object a line from standard input: {"rows": N, "script": "hex", "lines": ["…"]}. Answers each with one line:
`null`, or {"row": N, "expected": "…", "found": "…"} for the first row that differs in its characters or their colors.
"""

import json
import sys
import unicodedata

import pyte
from pyte import modes
from pyte.screens import Margins
from wcwidth import wcwidth

COLUMNS = 600


class Terminal(pyte.Screen):
    """pyte, where it does not differ from a real terminal, and what it lacks.

    - Rows that leave the screen at its top are kept. A line feed also returns the carriage, as there is a pipe and no terminal driver
      behind the program.
    - A wide character of which one half is overwritten is gone; pyte keeps the other half.
    - A row that nothing was written to moves like any other; pyte leaves what was in its new place.
    - Margins: DECSTBM takes 0 and what is left out as the edge of the screen, and always moves the cursor. The cursor stops at a margin
      only if it comes from within. In origin mode it is kept within the margins; pyte leaves it where it is.
    - One cursor is saved, not a stack of them, with the style. Without one, the cursor goes home.
    - pyte has no SU, SD, REP, CHT, CBT, SCOSC, SCORC, DECSTR and DECST8C, and no alternate screen.

    Where there is no right margin, a tab after the last stop leads to the next eighth column. The alternate screen is blank each time it is
    entered and has its own margins; SU moves no blank rows out that nothing follows.
    """

    def __init__(self, rows):
        self.above = []
        self.saved = None
        self.main = None
        self.last = None
        super().__init__(COLUMNS, rows)

    def reset(self):
        self.leave()
        super().reset()
        self.saved = None
        self.last = None

    def soft_reset(self, *_):
        self.mode -= {modes.IRM, modes.DECOM}
        self.margins = None
        self.saved = None
        self.cursor.attrs = self.default_char

    def report_device_status(self, *_):
        """Nobody reads it, and pyte fails in origin mode."""

    # Rows

    def region(self):
        return self.margins or Margins(0, self.lines - 1)

    def linefeed(self):
        self.index()
        self.carriage_return()

    def index(self):
        self.last = None
        top, bottom = self.region()
        if self.cursor.y != bottom:
            self.cursor.y = min(self.cursor.y + 1, self.lines - 1)
            return
        self.move_rows(top, bottom, 1)

    def reverse_index(self):
        top, bottom = self.region()
        if self.cursor.y != top:
            self.cursor.y = max(self.cursor.y - 1, 0)
            return
        self.move_rows(top, bottom, -1)

    def move_rows(self, top, bottom, count):
        if top == 0 and count > 0 and self.main is None:
            self.above += [dict(self.buffer[y]) for y in range(min(count, bottom + 1))]
        rows = [self.buffer.pop(y, None) for y in range(top, bottom + 1)]
        for y, line in enumerate(rows, top - count):
            if line is not None and top <= y <= bottom:
                self.buffer[y] = line

    def scroll_up(self, count=None):
        top, bottom = self.region()
        count = min(count or 1, bottom + 1 - top)
        if top == 0:
            written = [y + 1 for y in range(bottom + 1) if row(self.buffer[y])]
            count = min(count, max(written, default=0))
        self.move_rows(top, bottom, count)

    def scroll_down(self, count=None):
        top, bottom = self.region()
        self.move_rows(top, bottom, -(count or 1))

    # The cursor

    def set_margins(self, top=0, bottom=0):
        top, bottom = top or 1, min(bottom or self.lines, self.lines)
        if top < bottom:
            self.margins = Margins(top - 1, bottom - 1)
            self.cursor_position()

    def cursor_up(self, count=None):
        top, _ = self.region()
        self.cursor.y = max(self.cursor.y - (count or 1), top if self.cursor.y >= top else 0)

    def cursor_down(self, count=None):
        _, bottom = self.region()
        self.cursor.y = min(self.cursor.y + (count or 1), bottom if self.cursor.y <= bottom else self.lines - 1)

    def cursor_position(self, line=None, column=None):
        self.cursor.x = (column or 1) - 1
        self.cursor_to_line(line)
        self.ensure_hbounds()

    def cursor_to_line(self, line=None):
        top, bottom = self.region() if modes.DECOM in self.mode else Margins(0, self.lines - 1)
        self.cursor.y = min(top + (line or 1) - 1, bottom)

    def cursor_down_by(self, count=None):
        top = self.region().top if modes.DECOM in self.mode else 0
        self.cursor_to_line(self.cursor.y - top + 1 + (count or 1))

    def save_cursor(self, *_):
        self.saved = (self.cursor.x, self.cursor.y, self.cursor.attrs, modes.DECOM in self.mode)

    def restore_cursor(self, *_):
        x, y, attrs, origin = self.saved or (0, 0, self.default_char, False)
        self.mode.discard(modes.DECOM)
        if origin:
            self.mode.add(modes.DECOM)
            top, bottom = self.region()
            y = min(max(y, top), bottom)
        self.cursor.x, self.cursor.y, self.cursor.attrs = x, y, attrs

    def tab(self):
        stops = [stop for stop in self.tabstops if stop > self.cursor.x]
        self.cursor.x = min(stops, default=self.cursor.x // 8 * 8 + 8)

    def next_tabs(self, count=None):
        for _ in range(count or 1):
            self.tab()

    def previous_tabs(self, count=None):
        for _ in range(count or 1):
            self.cursor.x = max([stop for stop in self.tabstops if stop < self.cursor.x], default=0)

    def reset_tabs(self, how, private=False):
        if how == 5 and private:
            self.tabstops = set(range(8, self.columns, 8))

    # The alternate screen

    def set_mode(self, *numbers, private=False):
        super().set_mode(*numbers, private=private)
        for number in numbers if private else []:
            if number == 1048 or number == 1049 and self.main is None:
                self.save_cursor()
            if number in (47, 1047, 1049) and self.main is None:
                self.main = (self.buffer.copy(), self.margins, self.saved)
                self.buffer.clear()
                self.margins = self.saved = None

    def reset_mode(self, *numbers, private=False):
        super().reset_mode(*numbers, private=private)
        for number in numbers if private else []:
            was_alternate = self.main is not None
            if number in (47, 1047, 1049):
                self.leave()
            if number == 1048 or number == 1049 and was_alternate:
                self.restore_cursor()

    def leave(self):
        if self.main is not None:
            self.buffer.clear()
            buffer, self.margins, self.saved = self.main
            self.buffer.update(buffer)
            self.main = None

    # Characters

    def repeat(self, count=None):
        if self.last is not None:
            self.draw(self.last * (count or 1))

    def draw(self, data):
        # One at a time: pyte drops all that follows a character without a width.
        for char in data:
            super().draw(char)
            self.repair()
            if wcwidth(char) > 0:
                self.last = char

    def erase_in_line(self, how=0, private=False):
        super().erase_in_line(how, private)
        self.repair()

    def erase_characters(self, count=None):
        super().erase_characters(count)
        self.repair()

    def insert_characters(self, count=None):
        super().insert_characters(count)
        line = self.buffer[self.cursor.y]
        # pyte writes to all columns, which would make the rest slow.
        for x in sorted(line, reverse=True):
            if line[x] != self.default_char:
                break
            del line[x]
        self.repair()

    def delete_characters(self, count=None):
        super().delete_characters(count)
        self.repair()

    def insert_lines(self, count=None):
        self.make_rows()
        super().insert_lines(count)

    def delete_lines(self, count=None):
        self.make_rows()
        super().delete_lines(count)

    def make_rows(self):
        for y in range(self.lines):
            self.buffer[y]

    def repair(self):
        line = self.buffer[self.cursor.y]
        for x in range(max(line, default=-1) + 1):
            data = line[x].data
            if data == "":
                if x == 0 or not is_wide(line[x - 1].data):
                    line[x] = line[x]._replace(data=" ")
            elif is_wide(data) and line[x + 1].data != "":
                line[x] = line[x]._replace(data=" ")

    def rows(self):
        """All rows as lists of (character, look), without blanks at the end of a row and blank rows at the end."""
        buffer = self.main[0] if self.main else self.buffer
        rows = [row(line) for line in self.above + [buffer[y] for y in range(self.lines)]]
        if self.main:
            # The last screen comes after all others. How many blank rows are between them does not matter.
            rows = [cells for cells in rows + [row(self.buffer[y]) for y in range(self.lines)] if cells]
        while rows and not rows[-1]:
            rows.pop()
        return rows


class Stream(pyte.Stream):
    csi = {
        **pyte.Stream.csi,
        "S": "scroll_up",
        "T": "scroll_down",
        "^": "scroll_down",
        "I": "next_tabs",
        "Z": "previous_tabs",
        "W": "reset_tabs",
        "b": "repeat",
        "e": "cursor_down_by",
        "p": "soft_reset",
        "s": "save_cursor",
        "u": "restore_cursor",
    }


def is_wide(data):
    return data != "" and wcwidth(data[0]) == 2


def row(line):
    cells = []
    for x in range(max(line, default=-1) + 1):
        char = line.get(x)
        data = unicodedata.normalize("NFC", char.data) if char else " "
        if data == " ":
            cells.append((" ", None))
        elif data:
            cells.append((data, char._replace(data="")))
    while cells and cells[-1][0] == " ":
        cells.pop()
    return cells


def show(data, rows):
    """All rows that a terminal of that height shows, and whether it ends on the alternate screen."""
    terminal = Terminal(rows)
    # pyte does not know the "!" of DECSTR, and nothing else has this end.
    Stream(terminal).feed(data.decode("utf-8", "replace").replace("\x1b[!p", "\x1b[p"))
    return terminal.rows(), terminal.main is not None


def compare(case):
    expected, is_alternate = show(bytes.fromhex(case["script"]), case["rows"])
    lines = case["lines"]
    found, _ = show("\n".join(lines).encode(), len(lines) + 1)
    if is_alternate:
        found = [cells for cells in found if cells]
    for number in range(max(len(expected), len(found))):
        one = expected[number] if number < len(expected) else []
        other = found[number] if number < len(found) else []
        if one != other:
            return {"row": number, "expected": repr(one), "found": repr(other)}
    return None


for given in sys.stdin:
    print(json.dumps(compare(json.loads(given))), flush=True)
