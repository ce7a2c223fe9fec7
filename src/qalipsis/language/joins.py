"""Joining a minion's records with those of a source, or of another step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from qalipsis.language.callables import function_problems
from qalipsis.language.durations import duration_problems, seconds
from qalipsis.language.location import NOWHERE, Location
from qalipsis.language.source import Feed, Source
from qalipsis.language.steps import Builtin

Left = TypeVar("Left")
Right = TypeVar("Right")

CACHE_SIZE = 100_000
"""Right values kept by a join that says nothing else."""


@dataclass(frozen=True, slots=True)
class Pair(Generic[Left, Right]):
    """What a join emits: the minion's record and the one that belongs to it."""

    left: Left
    right: Right


class Meeting(Builtin):
    """A verb with a right side: an inline source, or the name of a step of the same scenario."""

    right: Any

    def problems(self) -> list[str]:
        return [problem for _, problem in self.problems_by_place(NOWHERE)]

    def problems_by_place(self, here: Location) -> list[tuple[Location, str]]:
        found = [(here, problem) for problem in self.own_problems()]
        if isinstance(self.right, Feed):
            found.append(
                (here, f"{self.verb} reads its source itself: write it without .{self.right.mode}(…)")
            )
        elif isinstance(self.right, Source):
            found += self.right.problems_by_place(here)
        elif not isinstance(self.right, str):
            found.append((here, f"{self.verb} needs a source or the name of a step, not {self.right!r}"))
        return found

    def own_problems(self) -> list[str]:
        return []

    @property
    def verb(self) -> str:
        return self.kind.replace("-", "_")


@dataclass(frozen=True, slots=True)
class Join(Meeting):
    """Inner or left join by key; `having` makes the key of a right value, `on` that of a left one."""

    kind: ClassVar[str] = "inner-join"
    right: Any
    on: Callable[..., Any]
    having: Callable[[Any], Any]
    timeout: Any
    cache_timeout: Any
    cache_size: Any

    def own_problems(self) -> list[str]:
        found = function_problems(f"{self.verb} on", self.on, ("value", "context, value"))
        found += function_problems(f"{self.verb} having", self.having, ("record",))
        timeouts = duration_problems(f"{self.verb} timeout", self.timeout)
        if not timeouts and seconds(self.timeout) == 0:
            timeouts.append(f"{self.verb} needs a timeout above 0: how long a record waits for its match")
        found += timeouts + duration_problems(f"{self.verb} cache_timeout", self.cache_timeout)
        size = self.cache_size
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            found.append(f"{self.verb}(cache_size={size!r}) should be a whole number of at least 1")
        return found


@dataclass(frozen=True, slots=True)
class LeftJoin(Join):
    kind: ClassVar[str] = "left-join"


@dataclass(frozen=True, slots=True)
class Zip(Meeting):
    """With the next unread right value."""

    kind: ClassVar[str] = "zip"
    right: Any
    timeout: Any

    def own_problems(self) -> list[str]:
        found = duration_problems(f"{self.verb} timeout", self.timeout)
        if not found and seconds(self.timeout) == 0:
            found.append(f"{self.verb} needs a timeout above 0: how long a record waits for a right value")
        return found


@dataclass(frozen=True, slots=True)
class ZipLast(Zip):
    """With the latest right value."""

    kind: ClassVar[str] = "zip-last"
