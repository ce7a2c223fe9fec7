"""Why the head does not do what was asked about data series and reports."""

from __future__ import annotations

from qalipsis.errors import QalipsisError
from qalipsis.head.campaign_configuration import Problem


class NotThere(QalipsisError):
    """There is no such thing, or nobody but its creator is to know of it."""


class NotShared(QalipsisError):
    """It is there, and its creator does not let others change it."""


class Stale(QalipsisError):
    """Somebody else changed it in the meantime."""


class NotReady(QalipsisError):
    """It is being made; ask again."""


class Busy(QalipsisError):
    """Too much is being done already."""


class TooMuch(QalipsisError):
    """More than there is room for; the message says what to ask for instead."""


class Invalid(QalipsisError):
    """Every problem of what was sent."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{each.property}: {each.message}" for each in problems))
