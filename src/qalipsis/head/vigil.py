"""Which factories of a campaign have been silent for too long."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from qalipsis.head.hearing import Hearing

SUSPECT_BEATS: Final = 2.0
LOST_BEATS: Final = 2.75
"""Heartbeats that may fail to come: two in a row and most of a third is more than a delay."""


class Vigil(Hearing):
    """Remembers when each factory was heard last.

    Nobody's silence means anything while the head itself was deaf: `restart` begins anew for all.
    """

    def __init__(self, heartbeat_seconds: float) -> None:
        super().__init__(LOST_BEATS * heartbeat_seconds)
        self._suspicious = SUSPECT_BEATS * heartbeat_seconds
        self._heard: dict[str, float] = {}

    def watch(self, factories: Iterable[str], now: float) -> None:
        """These are to be heard from now on."""
        self._heard = dict.fromkeys(factories, now)

    def heard(self, factory: str, now: float) -> None:
        """It is there; a factory that is not watched stays so."""
        if factory in self._heard:
            self._heard[factory] = now

    def dismiss(self, factory: str) -> None:
        """It need not be heard any more."""
        self._heard.pop(factory, None)

    def suspects(self, now: float) -> tuple[str, ...]:
        """The silent ones that may still come back."""
        return tuple(
            each
            for each, at in self._heard.items()
            if self._suspicious <= self.silence(at, now) < self._too_long
        )

    def lost(self, now: float) -> tuple[str, ...]:
        return tuple(each for each, at in self._heard.items() if self.silence(at, now) >= self._too_long)
