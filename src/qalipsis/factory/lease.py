"""How long a factory may send for its campaign without hearing from the head: pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final

SENDING: Final = 0.8
"""The part of a lease in which may be sent. The rest is for clocks that run apart, and for what was handed to
the system in the last moment: when the lease is over at the head, nothing of ours is on its way."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Nothing is sent from `until` on, in seconds of the machine's monotonic clock."""

    until: float

    def has_ended(self, now: float) -> bool:
        return now >= self.until

    def renewed(self, heard_at: float, lease_seconds: float | None, now: float) -> Lease:
        """The lease after the head has answered a heartbeat that was sent at `heard_at`.

        The moment of sending counts, for the answer may have been long on its way. A lease never becomes
        shorter, and one that has ended stays so: the head may have given the minions to others.
        """
        if self.has_ended(now):
            return self
        return Lease(max(self.until, granted(min(heard_at, now), lease_seconds).until))


def granted(at: float, lease_seconds: float | None) -> Lease:
    """A lease from this moment on; without a length it never ends."""
    return Lease(inf if lease_seconds is None else at + SENDING * lease_seconds)
