"""JSON lines: from bytes to records, one per line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qalipsis.engine.source import MOST_IN_BATCH
from qalipsis.plugins.files.json_items import BROKEN, UTF_8_MARK, JsonItems, Place
from qalipsis.plugins.files.parser import LONGEST_RECORD, Count

PIECE = 16 * 1024
"""Bytes decoded before the loop gets its turn."""
_BLANK_LINE = re.compile(rb"\n[ \t\r]*\n|\A[ \t\r]*\n")


class JsonLines:
    """The parser of `files.json` with lines. Blank lines are no records."""

    def __init__(self, spec: Any, path: Path, count: Count) -> None:
        self._items = JsonItems(spec.into, path)
        self._line = 1
        """The number of the first line that is left."""
        self._rest: list[bytes] = []
        """An unfinished line, in the parts in which it came."""
        self._rest_bytes = 0
        self._complete = b""
        self._is_first = True

    def accept(self, data: bytes, is_last: bool) -> None:
        if self._is_first:
            self._items.check_encoding(data)
            data = data.removeprefix(UTF_8_MARK)
            self._is_first = False
        cut = len(data) if is_last else data.rfind(b"\n") + 1
        if cut or is_last:
            self._complete = b"".join((*self._rest, data[:cut]))
            self._rest, self._rest_bytes = [], 0
        self._rest.append(data[cut:])
        self._rest_bytes += len(data) - cut

    def begin(self) -> bool:
        return True

    def batches(self) -> Iterator[list[Any]]:
        data, self._complete = self._complete, b""
        start = 0
        while start < len(data):
            end = data.rfind(b"\n", start, start + PIECE) + 1 or data.find(b"\n", start) + 1 or len(data)
            yield from self._decoded(data[start:end])
            start = end
        if self._rest_bytes > LONGEST_RECORD:
            raise self._items.too_long(Place(self._line))

    def _decoded(self, text: bytes) -> Iterator[list[Any]]:
        lines = text.count(b"\n") + (not text.endswith(b"\n"))
        try:
            made = self._items.lines_of(text)
        except BROKEN:
            yield from self._one_by_one(text)
            return
        if len(made) != lines or _BLANK_LINE.search(text):
            # The decoder does not mind several items in a line, which are no JSON lines.
            yield from self._one_by_one(text)
            return
        self._line += lines
        for first in range(0, len(made), MOST_IN_BATCH):
            yield made[first : first + MOST_IN_BATCH]

    def _one_by_one(self, text: bytes) -> Iterator[list[Any]]:
        for line in text.removesuffix(b"\n").split(b"\n"):
            if line.strip():
                yield [self._items.one(line, Place(self._line))]
            self._line += 1
