"""By how much the clocks of factories differ from the head's, from their heartbeats."""

from __future__ import annotations

from collections import deque
from typing import Final

SAMPLES: Final = 16
"""Of so many, the heartbeat that travelled fastest tells most."""

NOISE_SECONDS: Final = 0.005
"""What differs less is taken for the same clock: brokers and loops are no more exact."""


class ClockOffsets:
    """Offsets in seconds: a factory's clock less the head's. A factory that nothing is known of has 0."""

    def __init__(self) -> None:
        self._samples: dict[str, deque[tuple[float, float]]] = {}

    def add(self, factory: str, said_at: float, heard_at: float, round_trip: float | None) -> None:
        """A heartbeat said at `said_at` by the factory's clock came at `heard_at` by the head's.

        `round_trip` is how long the factory waited for the last answer; without it nothing can be told.
        """
        if round_trip is not None:
            samples = self._samples.setdefault(factory, deque(maxlen=SAMPLES))
            samples.append((said_at - heard_at, round_trip))

    def forget(self, factory: str) -> None:
        """It was started again, maybe on another machine."""
        self._samples.pop(factory, None)

    def offset(self, factory: str) -> float:
        """Right to half of the shortest round trip."""
        samples = self._samples.get(factory)
        if not samples:
            return 0.0
        # Whatever delays a heartbeat makes the difference less, so the greatest one is nearest.
        half = min(round_trip for _, round_trip in samples) / 2
        offset = max(difference for difference, _ in samples) + half
        return 0.0 if abs(offset) <= max(NOISE_SECONDS, half) else offset
