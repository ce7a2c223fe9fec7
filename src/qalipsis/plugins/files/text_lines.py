"""Bytes to lines of text, with the place where they stop being text."""

from __future__ import annotations

import codecs
from io import StringIO

UTF_8 = codecs.lookup("utf-8").name


class TextLines:
    """Lines with their ends as they are: `\\n`, `\\r\\n` or `\\r`, and none other.

    Bytes that are no text do not raise at once, so that the lines before them are not lost: `error` says why
    no more lines come after the last one.
    """

    def __init__(self, encoding: str) -> None:
        if codecs.lookup(encoding).name == UTF_8:
            encoding = "utf-8-sig"  # spreadsheets begin UTF-8 with a byte order mark
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self.partial = ""
        """What follows the last complete line."""
        self.error = ""

    def accept(self, data: bytes, is_last: bool) -> list[str]:
        """The lines that `data` completes; with the last data, also one without an end."""
        if self.error:
            return []
        text = self.partial + self._decode(data, is_last)
        # An `\r` at the very end may be half of an `\r\n`.
        is_complete = is_last and not self.error
        cut = len(text) if is_complete else 1 + max(text.rfind("\n"), text.rfind("\r", 0, len(text) - 1))
        self.partial = text[cut:]
        return StringIO(text[:cut], newline="").readlines()

    def _decode(self, data: bytes, is_last: bool) -> str:
        before = self._decoder.getstate()
        try:
            return self._decoder.decode(data, is_last)
        except UnicodeDecodeError as error:
            self.error = f"the bytes {error.object[error.start : error.end].hex(' ')} are no {error.encoding}"
            self._decoder.setstate(before)
            # The decoder had kept bytes of an unfinished character from the chunk before.
            kept = len(error.object) - len(data)
            return self._decoder.decode(data[: max(0, error.start - kept)])
