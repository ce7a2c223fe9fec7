"""Since when this head could hear: what was silent before may only have gone unheard."""

from __future__ import annotations

from math import inf
from typing import Final

DEAF_SECONDS: Final = 1.0
"""When this head itself did nothing for so long, the silence of others means nothing."""


class Hearing:
    """Tells silence from deafness, by the head's monotonic clock.

    Call `awake` many times a second, and before any silence is judged.
    """

    def __init__(self) -> None:
        self._since = -inf
        self._awake_at = inf

    def awake(self, now: float) -> None:
        """This process does something; when it did nothing for long, it was frozen, and heard nobody."""
        if now - self._awake_at > DEAF_SECONDS:
            self.restart(now)
        self._awake_at = now

    def restart(self, now: float) -> None:
        """Nobody could be heard until now."""
        self._since = now

    def silence(self, heard_at: float, now: float) -> float:
        """For how long somebody could have been heard who was heard then, and was not."""
        return now - max(heard_at, self._since)
