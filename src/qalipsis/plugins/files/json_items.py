"""The text of JSON items to records, and where in the file it is broken."""

from __future__ import annotations

import re
from collections.abc import Callable
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


class JsonItems:
    """Decodes items, many at once where they are good."""

    def __init__(self, into: Any, path: Path) -> None:
        self._path = path
        item: Any = Any if into is object else into
        self._one = msgspec.json.Decoder(item)
        self._many = msgspec.json.Decoder(list[item])
        self.lines_of: Callable[[bytes], list[Any]] = self._one.decode_lines

    def one(self, text: bytes, line: int) -> Any:
        """The item of `text`, which begins in `line`. Raises StepError."""
        try:
            return self._one.decode(text)
        except BROKEN as error:
            raise self._error(text, line, error) from error

    def many(self, text: bytes) -> list[Any]:
        """The items of `text`, with commas between. Raises one of BROKEN."""
        return self._many.decode(b"[" + text + b"]")

    def name(self, text: bytes, line: int) -> str:
        """The name of a member of an object. Raises StepError."""
        try:
            return msgspec.json.decode(text, type=str)
        except BROKEN as error:
            raise self._error(text, line, error) from error

    def too_long(self, line: int) -> StepError:
        return StepError(
            "bad-item",
            f"{self._path}, line {line}: the item that begins here is longer than {LONGEST_RECORD >> 20} MB; "
            "look for a quote or a bracket that is not closed",
        )

    def check_encoding(self, begin: bytes) -> None:
        """Raises ServiceUnavailable for what JSON cannot be."""
        for mark, name in OTHER_MARKS.items():
            if begin.startswith(mark) or begin[:4:2] == b"\0\0" or begin[1:4:2] == b"\0\0":
                raise ServiceUnavailable(
                    f"{self._path} is encoded as {name}: JSON is read as UTF-8, save it so"
                )

    def _error(self, text: bytes, line: int, error: Exception) -> StepError:
        start = len(text) - len(text.lstrip())
        if not text.strip():
            place, reason = start, "an item is missing between two commas, or after the last one"
        elif isinstance(error, RecursionError):
            place, reason = start, "the item is nested too deeply"
        elif isinstance(error, UnicodeDecodeError):
            place, reason = _broken_text(text, start), f"a text is not UTF-8: {error.reason}"
        else:
            found = _PLACE.search(str(error))
            place = int(found[1]) if found else start
            reason = f"{_PLACE.sub('', str(error))} in the item {shown(_excerpt(text))}"
        before = text[:place]
        at = line + before.count(b"\n")
        column = place - (before.rfind(b"\n") + 1) + 1
        where = f"line {at}, byte {column}" if before.count(b"\n") or place > start else f"line {at}"
        kind = "encoding" if isinstance(error, UnicodeDecodeError) else "bad-item"
        return StepError(kind, f"{self._path}, {where}: {reason}; correct the file")


def _broken_text(text: bytes, otherwise: int) -> int:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return error.start
    return otherwise


def _excerpt(text: bytes) -> str:
    return text.strip()[:200].decode(errors="replace")
