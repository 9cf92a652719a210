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
    """pyte with four differences.

    Rows that leave the screen at its top are kept. A line feed also returns the carriage, as there is a pipe and no terminal driver
    behind the program. And, as on real terminals, a wide character of which one half is overwritten is gone: pyte keeps the other. A row
    that nothing was written to moves like any other; pyte leaves what was in its new place.
    """

    def __init__(self, rows):
        self.above = []
        super().__init__(COLUMNS, rows)
        self.set_mode(modes.LNM)

    def index(self):
        _, bottom = self.margins or Margins(0, self.lines - 1)
        if self.cursor.y == bottom:
            self.above.append(dict(self.buffer[0]))
        super().index()

    def draw(self, data):
        # One at a time: pyte drops all that follows a character without a width.
        for char in data:
            super().draw(char)
            self.repair()

    def erase_in_line(self, how=0, private=False):
        super().erase_in_line(how, private)
        self.repair()

    def erase_characters(self, count=None):
        super().erase_characters(count)
        self.repair()

    def insert_characters(self, count=None):
        super().insert_characters(count)
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
        lines = self.above + [self.buffer[y] for y in range(self.lines)]
        rows = [row(line) for line in lines]
        while rows and not rows[-1]:
            rows.pop()
        return rows


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
    terminal = Terminal(rows)
    pyte.Stream(terminal).feed(data.decode("utf-8", "replace"))
    return terminal.rows()


def compare(case):
    expected = show(bytes.fromhex(case["script"]), case["rows"])
    lines = case["lines"]
    found = show("\n".join(lines).encode(), len(lines) + 1)
    for number in range(max(len(expected), len(found))):
        one = expected[number] if number < len(expected) else []
        other = found[number] if number < len(found) else []
        if one != other:
            return {"row": number, "expected": repr(one), "found": repr(other)}
    return None


for given in sys.stdin:
    print(json.dumps(compare(json.loads(given))), flush=True)
