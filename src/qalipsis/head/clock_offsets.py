"""By how much the clocks of factories differ from the head's, from the echoes of their heartbeats."""

from __future__ import annotations

from collections import deque
from typing import Final

SAMPLES: Final = 16
"""Of so many, the one that travelled fastest tells most."""

NOISE_SECONDS: Final = 0.005
"""What differs less is taken for the same clock: brokers and loops are no more exact."""


class ClockOffsets:
    """Offsets in seconds: a factory's clock less the head's. A factory that nothing is known of has 0."""

    def __init__(self) -> None:
        self._samples: dict[str, deque[tuple[float, float]]] = {}

    def add(self, factory: str, said_at: float, heard_at: float, round_trip: float | None) -> None:
        """A heartbeat said at `said_at` by the factory's clock came at `heard_at` by the head's.

        `round_trip` is how long the factory waited for the last answer; the offset is right to half of it.
        """
        if round_trip is not None:
            samples = self._samples.setdefault(factory, deque(maxlen=SAMPLES))
            samples.append((round_trip, said_at + round_trip / 2 - heard_at))

    def offset(self, factory: str) -> float:
        samples = self._samples.get(factory)
        if not samples:
            return 0.0
        round_trip, offset = min(samples)
        return 0.0 if abs(offset) <= max(NOISE_SECONDS, round_trip / 2) else offset
