"""Which scenarios the user means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from fnmatch import fnmatchcase

from qalipsis.errors import Mistake, ScenarioErrors


def select(names: Iterable[str], patterns: Sequence[str]) -> tuple[str, ...]:
    """The names that some pattern (`*` and `?`) matches, in their own order; all of them without patterns.

    A pattern that matches nothing is refused: it is a typing mistake, not a wish to test less.
    """
    there = tuple(names)
    if not patterns:
        return there
    idle = [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in there)]
    if idle:
        raise ScenarioErrors(
            tuple(
                Mistake("--scenarios", 0, f"{pattern!r} matches no scenario", _there(pattern, there))
                for pattern in idle
            )
        )
    return tuple(name for name in there if any(fnmatchcase(name, pattern) for pattern in patterns))


def _there(pattern: str, names: Iterable[str]) -> str:
    by_likeness = sorted(names, key=lambda name: (-SequenceMatcher(None, pattern, name).ratio(), name))
    return f"there are: {', '.join(by_likeness)}"
