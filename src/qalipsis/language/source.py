"""Where records come from, and how they reach minions: descriptions only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from qalipsis.language.durations import Duration, duration_problems
from qalipsis.language.location import Location
from qalipsis.language.spec import Spec

Out = TypeVar("Out", covariant=True)
Record = TypeVar("Record")

UNICAST = "unicast"
BROADCAST = "broadcast"
LOOP = "loop"
SEQUENTIAL = "sequential"


class Source(Spec[Any, Out]):
    """Emits records of type Out: a file, a consumer, a poll.

    A source is read beside the minions; a minion that visits its step takes one record per execution. `kind`
    names the entry point in the group `qalipsis.sources` whose object makes the reader of a source. Used as a
    step, a source is `unicast()`.
    """

    is_finite: ClassVar[bool] = False
    """True for a source that ends by itself, and that `loop()` can start over."""
    is_dealt_by_service: ClassVar[bool] = False
    """True where the service deals records to the readers of a group. Otherwise every worker reads everything
    and keeps the records whose number it owns, so that none is used twice."""

    def unicast(
        self: Source[Record],
        buffer: int | None = None,
        idle_timeout: Duration = 0,
        name: str | None = None,
    ) -> Feed[Record]:
        """Each record to exactly one minion of the whole fleet; who finds none left ends its walk.

        `buffer` is how many records are read ahead. `idle_timeout` ends the feed when no record came for so
        long, 0 never. Steps that give the same `name` share one feed.
        """
        return Feed(self, UNICAST, buffer, idle_timeout, name)

    def broadcast(
        self: Source[Record], buffer: int | None = None, idle_timeout: Duration = 0
    ) -> Feed[Record]:
        """Every record to every minion; newcomers start at the oldest kept.

        With a `buffer` the source waits while the slowest minion is so many records behind; without one,
        everything is kept.
        """
        return Feed(self, BROADCAST, buffer, idle_timeout)

    def loop(self: Source[Record], idle_timeout: Duration = 0) -> Feed[Record]:
        """As `broadcast`, starting over when the source ends."""
        return Feed(self, LOOP, None, idle_timeout)

    def sequential(self: Source[Record]) -> Feed[Record]:
        """Each minion reads the source by itself from the beginning, one record per execution."""
        return Feed(self, SEQUENTIAL)


@dataclass(frozen=True, slots=True)
class Feed(Spec[Any, Out], Generic[Out]):
    """A source with the way its records are handed out, as a step."""

    kind: ClassVar[str] = "feed"
    source: Source[Out]
    mode: str
    buffer: Any = None
    idle_timeout: Any = 0
    name: str | None = None

    def problems_by_place(self, here: Location) -> list[tuple[Location, str]]:
        found = [(here, problem) for problem in self._own_problems()]
        return found + self.source.problems_by_place(here)

    def problems(self) -> list[str]:
        return self._own_problems() + self.source.problems()

    def default_name(self) -> str:
        return self.name or self.source.default_name()

    def _own_problems(self) -> list[str]:
        found = duration_problems(f"{self.mode} idle_timeout", self.idle_timeout)
        buffer = self.buffer
        if buffer is not None and (isinstance(buffer, bool) or not isinstance(buffer, int) or buffer < 1):
            found.append(f"{self.mode}(buffer={buffer!r}) should be a whole number of at least 1")
        if self.mode == LOOP and not self.source.is_finite:
            found.append(f"loop() starts over what ends, and {self.source.kind} never does: use broadcast()")
        return found
