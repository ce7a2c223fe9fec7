"""Where in the author's file something was written."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Location:
    file: str
    line: int

    def __str__(self) -> str:
        """As messages name it, and editors open it."""
        return f"{self.file}:{self.line}"


NOWHERE = Location("", 0)


def caller(depth: int = 1) -> Location:
    """The place that called the function calling this; `depth` skips further frames."""
    frame = sys._getframe(depth + 1)
    return Location(frame.f_code.co_filename, frame.f_lineno)
