"""An XML document: from bytes to records, one per element of a name, without ever holding the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.parsers import expat

import msgspec

from qalipsis.engine.step import StepError
from qalipsis.plugins.files.parser import LONGEST_RECORD, RECORDS, Count
from qalipsis.plugins.files.xml_shape import shape_of

PIECE = 8 * 1024
"""Bytes parsed before the loop gets its turn: each element calls three functions here."""

TEXT = "#text"


class XmlRecords:
    """The parser of `files.xml`.

    Entities that a document declares are refused, whatever they are for: expanding them can fill the memory
    or read files. Those that it merely names are not fetched.
    """

    def __init__(self, spec: Any, path: Path, count: Count) -> None:
        self._path = path
        self._element: str = spec.element
        self._into = spec.into
        self._make: Callable[[dict[str, Any]], Any] | None = (
            None if spec.into is dict else shape_of(spec.into)
        )
        self._data = b""
        self._is_last = False
        self._records: list[Any] = []
        # From the record to the element being read: the members and the text of each.
        self._open: list[dict[str, Any]] = []
        self._texts: list[str] = []
        self._begin = 0
        self._line = 0
        parser = self._parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._started
        parser.EndElementHandler = self._ended
        parser.CharacterDataHandler = self._texted
        parser.EntityDeclHandler = self._declared
        parser.SkippedEntityHandler = self._skipped

    def accept(self, data: bytes, is_last: bool) -> None:
        self._data = data
        self._is_last = is_last

    def begin(self) -> bool:
        return True

    def batches(self) -> Iterator[list[Any]]:
        data, self._data = self._data, b""
        for first in range(0, len(data), PIECE):
            yield from self._parsed(data[first : first + PIECE], False)
        if self._is_last:
            yield from self._parsed(b"", True)

    def _parsed(self, piece: bytes, is_last: bool) -> Iterator[list[Any]]:
        error: StepError | None = None
        try:
            self._parser.Parse(piece, is_last)
        except expat.ExpatError as raised:
            reason = expat.ErrorString(raised.code) or str(raised)
            error = self._error(raised.lineno, raised.offset, f"this is no XML: {reason}; correct the file")
            error.__cause__ = raised
        except StepError as raised:
            error = raised
        records, self._records = self._records, []
        for begin in range(0, len(records), RECORDS):
            yield records[begin : begin + RECORDS]
        if error is not None:
            raise error
        if not records:
            yield []
        if self._open and self._parser.CurrentByteIndex - self._begin > LONGEST_RECORD:
            raise StepError(
                "bad-element",
                f"{self._path}, line {self._line}: the element {self._element!r} that begins here is longer "
                f"than {LONGEST_RECORD >> 20} MB; name a smaller one",
            )

    # what the document says, called by expat

    def _started(self, name: str, attributes: dict[str, str]) -> None:
        if not self._open:
            if name != self._element:
                return
            self._begin = self._parser.CurrentByteIndex
            self._line = self._parser.CurrentLineNumber
        self._open.append({f"@{key}": value for key, value in attributes.items()} if attributes else {})
        self._texts.append("")

    def _ended(self, name: str) -> None:
        above = self._open
        if not above:
            return
        members = above.pop()
        text = self._texts.pop()
        if above and not members:
            _add(above[-1], name, text)
            return
        if text and not text.isspace():
            members[TEXT] = text
        if above:
            _add(above[-1], name, members)
        else:
            self._records.append(self._record(members))

    def _texted(self, text: str) -> None:
        if self._open:
            self._texts[-1] += text

    def _declared(self, name: str, *details: Any) -> None:
        raise self._here(
            f"the document declares the entity {name!r}, which is refused, since expanding entities can fill "
            "the memory or read files: write its text where it is used"
        )

    def _skipped(self, name: str, is_parameter: bool) -> None:
        raise self._here(f"the entity &{name}; is declared elsewhere, and nothing is fetched: write its text")

    def _record(self, members: dict[str, Any]) -> Any:
        if self._make is None:
            return members
        try:
            return self._make(members)
        except (msgspec.ValidationError, TypeError, ValueError) as error:
            message = (
                f"{self._path}, line {self._line}: the element {self._element!r} that begins here makes no "
                f"{self._into.__name__}: {error}"
            )
            raise StepError("bad-element", message) from error

    def _here(self, reason: str) -> StepError:
        return self._error(self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber, reason)

    def _error(self, line: int, offset: int, reason: str) -> StepError:
        return StepError("bad-xml", f"{self._path}, line {line}, column {offset + 1}: {reason}")


def _add(members: dict[str, Any], name: str, value: Any) -> None:
    """A member, or one more of those that repeat. No member is a list by itself."""
    if name not in members:
        members[name] = value
    elif isinstance(members[name], list):
        members[name].append(value)
    else:
        members[name] = [members[name], value]
