"""Lines to rows of cells, with the line in which each row begins."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from qalipsis.plugins.files.parser import LONGEST_RECORD, RECORDS

UNENDED = "a quoted field does not end"


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A row that has no cells, since its quotes are wrong."""

    line: int
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that follow each other, and what broke the one after them. A blank line has no cells."""

    cells: list[list[str]]
    lines: list[int]
    broken: BrokenRow | None


class CsvRows:
    """Splits lines that arrive in blocks into rows, which may span lines and blocks.

    After a row with wrong quotes it goes on with the next line, so that a quote which is never closed costs
    one row and not all that follow.
    """

    def __init__(
        self, separator: str, quote: str | None, escape: str | None, comment: str | None, skip_blank: bool
    ) -> None:
        self._dialect: dict[str, Any] = {
            "delimiter": separator,
            "quotechar": quote,
            "quoting": csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
            # A quote that escapes itself is what a doubled one is anyway.
            "escapechar": None if escape == quote else escape,
            "strict": True,
        }
        # The module's limit for a field, 128 KiB, is the process's; larger fields are no mistake here.
        csv.field_size_limit(max(csv.field_size_limit(), LONGEST_RECORD))
        self._comment = comment
        self._skip_blank = skip_blank
        self._is_between_rows = True
        self._before = 0
        """Lines that are done with."""
        self._wanted = 0
        """Characters to wait for before an unfinished row is tried again."""
        self._characters = 0
        self._is_last = False
        self._lines: list[str] = []
        self._done = 0
        """Of these, those of complete rows."""
        self._reader: Any = None
        self._restart(0)

    @property
    def next_line(self) -> int:
        """The number of the line after those that were accepted."""
        return self._before + len(self._lines) + 1

    def accept(self, lines: list[str], is_last: bool) -> None:
        self._restart(self._done)
        self._lines += lines
        self._is_last = is_last
        self._characters = sum(map(len, self._lines))

    def take(self, most: int = RECORDS) -> Rows | None:
        """The next rows; None when the lines accepted so far have no more."""
        if self._characters < self._wanted and not self._is_last:
            return None
        self._wanted = 0
        cells: list[list[str]] = []
        lines: list[int] = []
        line = self._before + self._done + 1
        error = ""
        reader, is_commented = self._reader, bool(self._comment)
        try:
            for row in islice(reader, most):
                cells.append(row)
                lines.append(line)
                line = self._before + reader.line_num + 1
                if is_commented:
                    self._is_between_rows = True
        except csv.Error as raised:
            error = str(raised)
        self._done = line - self._before - 1
        if not cells and not error:
            return None
        if not all(cells):
            cells, lines = self._without_blank(cells, lines)
        broken = self._break(line, reader.line_num, error) if error else None
        return Rows(cells, lines, broken)

    def again(self) -> None:
        """Forget that a row was taken: the next one is the first of what is left in the lines accepted."""
        self._done = 0
        self._restart(0)

    def _without_blank(self, cells: list[list[str]], lines: list[int]) -> tuple[list[list[str]], list[int]]:
        kept = [
            (row, line)
            for row, line in zip(cells, lines, strict=True)
            if row or not (self._skip_blank or self._is_comment(line))
        ]
        return [row for row, _ in kept], [line for _, line in kept]

    def _is_comment(self, line: int) -> bool:
        return bool(self._comment) and self._lines[line - self._before - 1].startswith(self._comment or "")

    def _break(self, line: int, seen: int, reason: str) -> BrokenRow | None:
        """What to say of a row; None when it may go on in the next block."""
        if seen >= len(self._lines) and not self._is_last:
            length = sum(map(len, islice(self._lines, self._done, None)))
            if length < LONGEST_RECORD:
                # Tried again for every block, a long row would take quadratic time.
                self._characters, self._wanted = length, 2 * length
                return None
        text = self._lines[self._done].rstrip("\r\n")
        self._restart(self._done + 1)
        return BrokenRow(line, text, UNENDED if reason == "unexpected end of data" else reason)

    def _restart(self, done: int) -> None:
        del self._lines[:done]
        self._before += done
        self._done = 0
        self._is_between_rows = True
        self._reader = csv.reader(
            self._uncommented() if self._comment else iter(self._lines), **self._dialect
        )

    def _uncommented(self) -> Iterator[str]:
        """Comments as blank lines, which keeps lines countable; inside of quotes there are none."""
        assert self._comment is not None
        for line in self._lines:
            is_comment = self._is_between_rows and line.startswith(self._comment)
            self._is_between_rows = False
            yield "" if is_comment else line
