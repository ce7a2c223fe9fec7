"""The load of each second, from the counters that workers keep before they send anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from msgspec import Struct

from qalipsis.metrics.ledger import Slot
from qalipsis.metrics.snapshot import Snapshot
from qalipsis.metrics.timeline import second_of


@dataclass(slots=True)
class LoadSecond:
    """Requests handed to a socket, of these answered, and minions walking at the end of the second."""

    offered: int = 0
    achieved: int = 0
    minions: int = 0


@dataclass(slots=True)
class SourceLoad:
    """What one source has told."""

    second: int = -1
    sequence: int = -1
    attempted: int = 0
    ok: int = 0
    walking: dict[int, int] = field(default_factory=dict)
    """Minions at the end of the seconds that nobody has taken yet."""
    last_walking: int = 0


class LoadState(Struct, frozen=True):
    """The load as data."""

    sources: dict[str, SourceLoad]
    open: dict[int, LoadSecond]


class Load:
    """Sums the sources of one zone second by second; a second is taken once."""

    def __init__(self) -> None:
        self._sources: dict[str, SourceLoad] = {}
        self._open: dict[int, LoadSecond] = {}

    @classmethod
    def thaw(cls, state: LoadState) -> Load:
        load = cls()
        load._sources, load._open = dict(state.sources), dict(state.open)
        return load

    def freeze(self) -> LoadState:
        """To be encoded before anything changes."""
        return LoadState(self._sources, self._open)

    def add(self, source: str, snapshot: Snapshot) -> None:
        """Take a snapshot into account; repeated and older ones change nothing."""
        state = self._sources.setdefault(source, SourceLoad())
        if snapshot.sequence <= state.sequence:
            return
        state.sequence = snapshot.sequence
        state.second = second_of(snapshot.elapsed_s, state.second)
        attempted = ok = walking = 0
        for counts in snapshot.ledgers.values():
            attempted += counts[Slot.REQUESTS_ATTEMPTED]
            ok += counts[Slot.REQUESTS_OK]
            walking += walking_minions(counts)
        second = self._open.setdefault(state.second, LoadSecond())
        second.offered += attempted - state.attempted
        second.achieved += ok - state.ok
        state.attempted, state.ok = attempted, ok
        state.walking[state.second] = walking

    def lose(self, source: str) -> None:
        """The source is gone and its minions with it."""
        self._sources.pop(source, None)

    def take(self, t: int) -> LoadSecond:
        """The second `t`, with what belongs to older ones that nobody took."""
        taken = LoadSecond()
        for key in [key for key in self._open if key <= t]:
            second = self._open.pop(key)
            taken.offered += second.offered
            taken.achieved += second.achieved
        for state in self._sources.values():
            for key in [key for key in sorted(state.walking) if key <= t]:
                state.last_walking = state.walking.pop(key)
            taken.minions += state.last_walking
        return taken


def together(parts: Iterable[LoadSecond]) -> LoadSecond:
    """One second of several zones as that of all of them."""
    whole = LoadSecond()
    for part in parts:
        whole.offered += part.offered
        whole.achieved += part.achieved
        whole.minions += part.minions
    return whole


def walking_minions(counts: tuple[int, ...]) -> int:
    """How many minions have started and not ended, by a scenario's counters."""
    ended = counts[Slot.MINIONS_COMPLETED] + counts[Slot.MINIONS_FAILED] + counts[Slot.MINIONS_ABORTED]
    return counts[Slot.MINIONS_STARTED] - ended
