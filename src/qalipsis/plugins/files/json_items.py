"""The text of JSON items to records, and where in the file it is broken."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from qalipsis.engine.step import StepError
from qalipsis.errors import ServiceUnavailable
from qalipsis.plugins.files.parser import LONGEST_RECORD, shown

BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises; a ValidationError is a DecodeError."""
UTF_8_MARK = b"\xef\xbb\xbf"
OTHER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_PLACE = re.compile(r" \(byte (\d+)\)$")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the file some bytes begin, both counted from 1."""

    line: int = 1
    byte: int = 1

    def after(self, text: bytes, length: int) -> Place:
        """The place behind the first bytes of `text`, which begins here."""
        breaks = text.count(b"\n", 0, length)
        if not breaks:
            return Place(self.line, self.byte + length)
        return Place(self.line + breaks, length - text.rfind(b"\n", 0, length))

    def __str__(self) -> str:
        return f"line {self.line}, byte {self.byte}"


class JsonItems:
    """Decodes items, many at once where they are good."""

    def __init__(self, into: Any, path: Path) -> None:
        self._path = path
        item: Any = Any if into is object else into
        self._one = msgspec.json.Decoder(item)
        self._many = msgspec.json.Decoder(list[item])
        self.lines_of: Callable[[bytes], list[Any]] = self._one.decode_lines

    def one(self, text: bytes, at: Place) -> Any:
        """The item of `text`. Raises StepError."""
        try:
            return self._one.decode(text)
        except BROKEN as error:
            raise self._error(text, at, error) from error

    def many(self, text: bytes) -> list[Any]:
        """The items of `text`, with commas between. Raises one of BROKEN."""
        return self._many.decode(b"[" + text + b"]")

    def name(self, text: bytes, at: Place) -> str:
        """The name of a member of an object. Raises StepError."""
        try:
            return msgspec.json.decode(text, type=str)
        except BROKEN as error:
            raise self._error(text, at, error) from error

    def too_long(self, at: Place) -> StepError:
        return StepError(
            "bad-item",
            f"{self._path}, {at}: the item that begins here is longer than {LONGEST_RECORD >> 20} MB; "
            "look for a quote or a bracket that is not closed",
        )

    def check_encoding(self, begin: bytes) -> None:
        """Raises ServiceUnavailable for what JSON cannot be."""
        for mark, name in OTHER_MARKS.items():
            if begin.startswith(mark) or begin[:4:2] == b"\0\0" or begin[1:4:2] == b"\0\0":
                raise ServiceUnavailable(
                    f"{self._path} is encoded as {name}: JSON is read as UTF-8, save it so"
                )

    def _error(self, text: bytes, at: Place, error: Exception) -> StepError:
        start = len(text) - len(text.lstrip())
        if not text.strip():
            place, reason = start, "an item is missing between two commas, or after the last one"
        elif isinstance(error, RecursionError):
            place, reason = start, "the item is nested too deeply"
        elif isinstance(error, UnicodeDecodeError):
            place, reason = _broken_text(text, start), f"a text is not UTF-8: {error.reason}"
        else:
            found = _PLACE.search(str(error))
            # What trails is pointed at from behind its first byte.
            place = int(found[1]) - ("trailing" in str(error)) if found else start
            reason = f"{_PLACE.sub('', str(error))} in the item {shown(_excerpt(text))}"
        kind = "encoding" if isinstance(error, UnicodeDecodeError) else "bad-item"
        return StepError(kind, f"{self._path}, {at.after(text, place)}: {reason}; correct the file")


def _broken_text(text: bytes, otherwise: int) -> int:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return error.start
    return otherwise


def _excerpt(text: bytes) -> str:
    return text.strip()[:200].decode(errors="replace")
