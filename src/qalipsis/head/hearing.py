"""Since when this head could hear: what was silent before may only have gone unheard."""

from __future__ import annotations

from math import inf
from typing import Final

DEAF_SECONDS: Final = 1.0
"""When this head itself did nothing for so long, the silence of others means nothing."""

MOST_DEAF_SECONDS: Final = 30.0
"""A broker that is deaf for so long is given up by the transport; one that is so on and off is only slow."""


class Hearing:
    """Tells silence from deafness, by the head's monotonic clock.

    Silence of `too_long` seconds is a loss. Call `awake` many times a second, and before it is judged.
    """

    def __init__(self, too_long: float) -> None:
        self._too_long = too_long
        self._since = -inf
        self._awake_at = inf
        self._deaf_from = self._deaf_at = -inf
        """The first and the last moment of deafness without `too_long` seconds of hearing in between."""

    def awake(self, now: float) -> None:
        """This process does something; when it did nothing for long, it was frozen, and heard nobody."""
        if now - self._awake_at > DEAF_SECONDS:
            self._since = now
        self._awake_at = now

    def restart(self, now: float) -> bool:
        """Nobody could be heard until now.

        False when this has gone on and off for so long that it would hide every loss: silence counts again.
        """
        if now - self._deaf_at >= self._too_long:
            self._deaf_from = now
        self._deaf_at = now
        if now - self._deaf_from > MOST_DEAF_SECONDS:
            return False
        self._since = now
        return True

    def silence(self, heard_at: float, now: float) -> float:
        """For how long somebody could have been heard who was heard then, and was not."""
        return now - max(heard_at, self._since)
