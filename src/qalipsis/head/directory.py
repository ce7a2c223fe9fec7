"""The seam behind which all heads of a cluster keep what they know of its factories."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, Protocol

from msgspec import Struct

from qalipsis.cluster.messages import Handshake, Heartbeat

FRESH_SECONDS: Final = 5.0
"""After so much silence no new campaign counts on a factory; a change of the reception takes about three."""

FORGOTTEN_SECONDS: Final = 86_400.0
"""Silence after which a factory is not even listed as offline."""


class Beat(Struct, frozen=True):
    """A heartbeat, and whose it is."""

    node: str
    incarnation: int
    heartbeat: Heartbeat
    clock_offset_s: float = 0.0
    """The factory's clock less the one of the head that heard it."""


class FactoryRecord(Struct, frozen=True, kw_only=True):
    """A factory that was accepted, and what it said last. Moments are of the directory's own clock."""

    node: str
    incarnation: int
    handshake: Handshake
    arrived_at: datetime
    heard_at: datetime
    silence_s: float
    """Since `heard_at`, when the record was read."""
    heartbeat: Heartbeat | None = None
    clock_offset_s: float = 0.0
    campaigns: tuple[str, ...] = ()
    """Those that it is reserved for, the earliest first."""

    @property
    def is_fresh(self) -> bool:
        return self.silence_s < FRESH_SECONDS

    @property
    def is_busy(self) -> bool:
        """Whether it said last that it works for a campaign, which may be over for the heads."""
        return self.heartbeat is not None and self.heartbeat.state == "busy"

    @property
    def is_free(self) -> bool:
        """Whether it may be reserved for one more campaign."""
        return self.is_fresh and len(self.campaigns) < self.handshake.campaigns


class Directory(Protocol):
    """What is written by one head is read by all. `testing/directory.py` proves the promises."""

    async def register(self, handshake: Handshake, incarnation: int) -> None:
        """A factory came; it replaces an earlier start of the same node, and what that was reserved for.

        One that says so again, because nobody had answered it yet, keeps what it was reserved for meanwhile.
        """

    async def hear(self, beats: Sequence[Beat]) -> frozenset[tuple[str, int]]:
        """Factories are there; returns those (node, incarnation) that are not known."""

    async def leave(self, node: str, incarnation: int) -> None:
        """The factory has ended; nothing happens when another start of the node came since."""

    async def factories(self) -> tuple[FactoryRecord, ...]:
        """All of them by their node, offline ones included."""

    async def wait_change(self, seconds: float) -> None:
        """Until a factory has come, as far as that can be known, but no longer than this."""

    async def reserve(self, campaign: str, factories: Collection[tuple[str, int]]) -> bool:
        """Keep these (node, incarnation) for the campaign: all of them, or none and False.

        A factory is reserved for no more campaigns at a time than its handshake allows. Reserving it again
        for the same one succeeds; a reservation of a campaign that is over, or unknown, counts for nothing.
        """

    async def release(self, campaign: str) -> None:
        """The campaign needs its factories no more."""

    async def hold_reception(self, head: str, lease_seconds: float) -> bool:
        """Whether this head is the one that reads what factories say of themselves, and for so long on.

        One head at a time; another one takes over when the lease has ended by the directory's clock.
        """
