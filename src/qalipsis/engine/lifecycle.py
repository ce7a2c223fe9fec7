"""When a minion walks again: decisions only, over numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Replays:
    """Stage profiles: minions walk again from the root until `ends_at` (monotonic seconds)."""

    ends_at: float
    is_hard: bool

    def may_walk_again(self, now: float, last_pass_seconds: float) -> bool:
        """Graceful: while there is time left. Hard: when the last pass would still fit."""
        if self.is_hard:
            return self.ends_at - now >= last_pass_seconds and now < self.ends_at
        return now < self.ends_at
