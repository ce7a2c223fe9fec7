"""Which factories of a campaign have been silent for too long."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Final

SUSPECT_BEATS: Final = 2.0
LOST_BEATS: Final = 2.75
"""Heartbeats that may fail to come: two in a row and most of a third is more than a delay."""


DEAF_SECONDS: Final = 1.0
"""When this head itself did nothing for so long, the silence of others means nothing."""


class Vigil:
    """Remembers when each factory was heard last, by the head's monotonic clock.

    Nobody's silence means anything while the head itself was deaf: `restart` begins anew for all. Call
    `awake` many times a second, and before it is asked who is lost.
    """

    def __init__(self, heartbeat_seconds: float) -> None:
        self._suspicious = SUSPECT_BEATS * heartbeat_seconds
        self._too_long = LOST_BEATS * heartbeat_seconds
        self._heard: dict[str, float] = {}
        self._awake_at = inf

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

    def awake(self, now: float) -> None:
        """This process does something; when it did nothing for long, it was frozen, and heard nobody."""
        if now - self._awake_at > DEAF_SECONDS:
            self.restart(now)
        self._awake_at = now

    def restart(self, now: float) -> None:
        self._heard = dict.fromkeys(self._heard, now)

    def suspects(self, now: float) -> tuple[str, ...]:
        """The silent ones that may still come back."""
        return tuple(
            each for each, at in self._heard.items() if self._suspicious <= now - at < self._too_long
        )

    def lost(self, now: float) -> tuple[str, ...]:
        return tuple(each for each, at in self._heard.items() if now - at >= self._too_long)
