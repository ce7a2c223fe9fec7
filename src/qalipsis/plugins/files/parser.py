"""The contract between a reader, which brings bytes, and the parsers, which make records of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

RECORDS = 256
"""Records made before the loop gets its turn: well below a millisecond for rows of a few columns."""
LONGEST_RECORD = 16 * 1024 * 1024
"""Bytes or characters of one record: what is longer has lost its end, and must not fill the memory."""

Count = Callable[[str, int], None]
"""Adds to a figure of the step, such as `bad-rows`."""


class Parser(Protocol):
    """Makes records of bytes that arrive in chunks. Never waits, never blocks."""

    def accept(self, data: bytes, is_last: bool) -> None:
        """Take the next chunk. Call it only when `batches` has none left."""

    def begin(self) -> bool:
        """Look at what stands before the records; False: `accept` more first.

        Raises ServiceUnavailable when the file cannot be read as described.
        """

    def batches(self) -> Iterator[list[Any]]:
        """The records of what was accepted, few at a time, in order. Empty lists are only a chance to rest.

        Raises StepError with file and line when the file is broken.
        """


def shown(value: Any) -> str:
    """A value in a message, cut when it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:56]}…{text[-1]}"
