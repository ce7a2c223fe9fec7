"""Events of a campaign, and which of them are worth keeping."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from msgspec import Struct


class Level(IntEnum):
    """How much an event matters; OFF is above all of them and lets nothing pass."""

    TRACE = 0
    DEBUG = 1
    INFO = 2
    WARN = 3
    ERROR = 4
    OFF = 5

    @classmethod
    def of(cls, name: str) -> Level:
        """The level with this name, in either case."""
        try:
            return cls[name.strip().upper()]
        except KeyError:
            names = ", ".join(level.name for level in cls)
            raise ValueError(f"{name!r} is no event level; write one of {names}") from None


class Event(Struct, frozen=True, kw_only=True):
    """Something that happened: a kebab-dotted name, epoch seconds, and what it carries."""

    name: str
    level: Level
    timestamp: float
    tags: tuple[tuple[str, str], ...] = ()
    value: float | str | None = None


class LevelFilter:
    """The least level an event needs, by the longest prefix of its name that has one.

    A prefix ends where a part of the name ends: `step.execution` is one of `step.execution.started`, not of
    `step.executions`.
    """

    __slots__ = ("_levels", "_root", "_seen")

    def __init__(self, root: Level = Level.DEBUG, levels: Mapping[str, Level] | None = None) -> None:
        self._root = root
        self._levels = dict(levels or {})
        self._seen: dict[str, Level] = {}

    def level(self, name: str) -> Level:
        """The least level for events of this name."""
        found = self._seen.get(name)
        if found is None:
            found = self._seen[name] = self._find(name)
        return found

    def accepts(self, name: str, level: Level) -> bool:
        return Level.OFF > level >= self.level(name)

    def _find(self, name: str) -> Level:
        prefix = name
        while prefix:
            if prefix in self._levels:
                return self._levels[prefix]
            prefix = prefix.rpartition(".")[0]
        return self._root
