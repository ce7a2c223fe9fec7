"""A JSON document with an array of items: from bytes to records, without ever holding all of it."""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

from qalipsis.engine.step import StepError
from qalipsis.plugins.files.json_items import BROKEN, UTF_8_MARK, JsonItems, Place
from qalipsis.plugins.files.parser import LONGEST_RECORD, RECORDS, Count

PIECE = 16 * 1024
"""Bytes decoded before the loop gets its turn."""

# A token is what needs no thought, strings included, up to the sign that does. It always matches. Repeats are
# bounded, since the matcher remembers each; a string with more escapes is left to `_string`.
_TEXT = rb'"[^"\\]*(?:\\.[^"\\]*){0,200}"'
_INSIDE = re.compile(rb'[^"\[\]{}]*(?:' + _TEXT + rb'[^"\[\]{}]*){0,60}([\[\]{}]?)', re.DOTALL)
_BETWEEN = re.compile(rb'[^"\[\]{},]*(?:' + _TEXT + rb'[^"\[\]{},]*){0,60}([\[\]{},]?)', re.DOTALL)
_BLANK = re.compile(rb"[ \t\r\n]*")
_SPECIAL = re.compile(rb'["\\]')
_SCALAR = re.compile(rb"[^\s,:\[\]{}\"]*")
OPENING = (b"[", b"{")

Steps = Generator[list[Any] | None, None, None]
"""Gives batches, and None where more bytes are needed."""


class JsonDocument:
    """The parser of `files.json` for one document.

    Only the ends of items are looked for here; msgspec says whether what stands between is JSON.
    """

    def __init__(self, spec: Any, path: Path, count: Count) -> None:
        self._path = path
        self._items = JsonItems(spec.into, path)
        self._names: list[str] = spec.path_to_items.split(".") if spec.path_to_items else []
        self._data = b""
        self._at = 0
        self._start = 0
        self._begin = Place()
        """Where `_data` begins."""
        self._arrived: list[bytes] = []
        self._arrived_bytes = 0
        self._is_first = True
        self._is_last = False
        self._steps: Steps = self._document()

    def accept(self, data: bytes, is_last: bool) -> None:
        if self._is_first:
            self._items.check_encoding(data)
            data = data.removeprefix(UTF_8_MARK)
            self._is_first = False
        self._arrived.append(data)
        self._arrived_bytes += len(data)
        self._is_last = is_last

    def begin(self) -> bool:
        return True

    def batches(self) -> Generator[list[Any], None, None]:
        for batch in self._steps:
            if batch is None:
                return
            yield batch

    # The document, told in the order of its bytes. Each method goes on at `_at`, gives None where it needs
    # more bytes, and leaves `_at` behind what it has read. Bytes from `_start` on are kept.

    def _document(self) -> Steps:
        depth = 0
        for name in self._names:
            yield from self._blank()
            if not self._takes(b"{"):
                raise self._no_items(name)
            yield from self._find(name)
            depth += 1
        yield from self._blank()
        if self._takes(b"["):
            yield from self._array()
        elif self._sees(b"{") or not self._names:
            yield from self._value(is_kept=True)
            yield [self._items.one(self._data[self._start : self._at], self._place(self._start))]
        else:
            raise self._no_items(self._names[-1])
        if depth:
            yield from self._rest_of_brackets(depth, is_kept=False)
        yield from self._nothing_more()

    def _array(self) -> Steps:
        """Items up to the closing bracket, decoded in runs."""
        depth = 0
        self._start = self._at
        commas: list[int] = []
        while True:
            found = (_INSIDE if depth else _BETWEEN).match(self._data, self._at)
            assert found is not None
            self._at = found.end()
            sign = found[1]
            if sign == b",":
                commas.append(self._at - 1)
                if len(commas) == RECORDS or self._at - self._start >= PIECE:
                    yield from self._run(commas)
                    commas = []
            elif sign in OPENING:
                depth += 1
            elif sign:
                depth -= 1
                if depth < 0:
                    break
            else:
                if commas:
                    yield from self._run(commas)
                    commas = []
                if self._at < len(self._data):
                    yield from self._string(is_kept=True)
                else:
                    yield from self._more()
        if sign != b"]":
            raise self._broken(self._at - 1, "an array ends with this bracket")
        if commas or self._data[self._start : self._at - 1].strip():
            yield from self._run([*commas, self._at - 1])
        self._start = self._at

    def _run(self, ends: list[int]) -> Steps:
        """The items from `_start` on that end at `ends`."""
        start, self._start = self._start, ends[-1] + 1
        try:
            yield self._items.many(self._data[start : ends[-1]])
        except BROKEN:
            for end in ends:
                yield [self._items.one(self._data[start:end], self._place(start))]
                start = end + 1

    def _find(self, name: str) -> Steps:
        """Behind the colon after `name`, in the object whose bracket was read."""
        yield from self._blank()
        while not self._takes(b"}"):
            if not self._sees(b'"'):
                raise self._broken(self._at, "a name should stand here")
            yield from self._string(is_kept=True)
            key = self._items.name(self._data[self._start : self._at], self._place(self._start))
            yield from self._blank()
            if not self._takes(b":"):
                raise self._broken(self._at, "a colon should stand here")
            if key == name:
                return
            yield from self._blank()
            yield from self._value(is_kept=False)
            yield from self._blank()
            if not self._takes(b",") and not self._sees(b"}"):
                raise self._broken(self._at, "a comma or a closing bracket should stand here")
            yield from self._blank()
        raise self._no_items(name)

    def _value(self, is_kept: bool) -> Steps:
        if self._takes(b"{") or self._takes(b"["):
            yield from self._rest_of_brackets(1, is_kept)
        elif self._sees(b'"'):
            yield from self._string(is_kept)
        else:
            if self._sees(b",") or self._sees(b"}") or self._sees(b"]") or self._sees(b":"):
                raise self._broken(self._at, "a value should stand here")
            while self._scan(_SCALAR) and not self._is_at_end:
                yield from self._more()

    def _rest_of_brackets(self, depth: int, is_kept: bool) -> Steps:
        while depth:
            found = _INSIDE.match(self._data, self._at)
            assert found is not None
            self._at = found.end()
            if not is_kept:
                self._start = self._at
            if found[1] in OPENING:
                depth += 1
            elif found[1]:
                depth -= 1
            elif self._at < len(self._data):
                yield from self._string(is_kept)
            else:
                yield from self._more()

    def _string(self, is_kept: bool) -> Steps:
        self._at += 1
        while True:
            found = _SPECIAL.search(self._data, self._at)
            if found is not None and found[0] == b'"':
                self._at = found.end()
                return
            escaped = found.end() if found is not None else len(self._data)
            if found is not None and escaped < len(self._data):
                self._at = escaped + 1
                continue
            self._at = escaped if found is None else escaped - 1
            if not is_kept:
                self._start = self._at
            yield from self._more()

    def _blank(self) -> Steps:
        while self._scan(_BLANK):
            self._start = self._at
            yield from self._more()
        self._start = self._at

    def _nothing_more(self) -> Steps:
        while self._scan(_BLANK):
            self._start = self._at
            if self._is_at_end:
                return
            yield from self._more()
        raise self._broken(
            self._at, "the document ends before this; write lines=True for a file with one item per line"
        )

    def _scan(self, pattern: re.Pattern[bytes]) -> bool:
        """Go behind what matches; True when that is behind all bytes there are."""
        found = pattern.match(self._data, self._at)
        assert found is not None
        self._at = found.end()
        return self._at == len(self._data)

    def _sees(self, sign: bytes) -> bool:
        return self._data.startswith(sign, self._at)

    def _takes(self, sign: bytes) -> bool:
        is_there = self._sees(sign)
        self._at += is_there
        return is_there

    # more bytes

    @property
    def _is_at_end(self) -> bool:
        return self._is_last and not self._arrived_bytes and self._at == len(self._data)

    def _more(self) -> Steps:
        """At least one more byte; where much is kept, as much again: a long item takes linear time so."""
        kept = len(self._data) - self._start
        if kept > LONGEST_RECORD:
            raise self._items.too_long(self._place(self._kept()))
        while self._arrived_bytes < max(1, kept) and not self._is_last:
            yield None
        if not self._arrived_bytes:
            raise self._cut_off()
        self._begin = self._place(self._start)
        self._data = b"".join((self._data[self._start :], *self._arrived))
        self._at -= self._start
        self._start = 0
        self._arrived = []
        self._arrived_bytes = 0

    # what to say

    def _place(self, at: int) -> Place:
        return self._begin.after(self._data, at)

    def _kept(self) -> int:
        """Where that begins which is kept."""
        blank = _BLANK.match(self._data, self._start)
        assert blank is not None
        return blank.end()

    def _broken(self, at: int, reason: str) -> StepError:
        return StepError("bad-item", f"{self._path}, {self._place(at)}: {reason}")

    def _cut_off(self) -> StepError:
        kept, end = self._kept(), len(self._data)
        begin = f", in what begins in line {self._place(kept).line}" if kept < end else ""
        return StepError(
            "bad-item",
            f"{self._path}, {self._place(end)}: the file ends in the middle of the document{begin}; "
            "is it complete?",
        )

    def _no_items(self, name: str) -> StepError:
        path = ".".join(self._names)
        return StepError(
            "no-items", f"{self._path} has no items at path_to_items={path!r}: there is no array at {name!r}"
        )
