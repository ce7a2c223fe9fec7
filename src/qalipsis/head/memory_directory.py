"""The factories that one process knows, for as long as it lives."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from qalipsis.clock import Clock
from qalipsis.cluster.messages import Handshake
from qalipsis.head.campaign_list import moment
from qalipsis.head.directory import FORGOTTEN_SECONDS, Beat, FactoryRecord
from qalipsis.system_clock import SystemClock


@dataclass(slots=True)
class _Known:
    incarnation: int
    handshake: Handshake
    arrived_at: float
    heard_at: float
    beat: Beat | None = None
    campaigns: list[str] = field(default_factory=list)

    def is_for(self, campaign: str) -> bool:
        """Whether it is reserved for the campaign, or can be."""
        return campaign in self.campaigns or len(self.campaigns) < self.handshake.campaigns


class MemoryDirectory:
    """See `head.directory.Directory`. Nothing here awaits, so that each call is one transaction.

    It knows no campaigns: who uses it releases each of them.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._known: dict[str, _Known] = {}
        self._came = asyncio.Event()
        self._receptionist = ""
        self._reception_until = 0.0

    async def register(self, handshake: Handshake, incarnation: int) -> None:
        now, known = self._clock.now(), self._known.get(handshake.node)
        if known is None or known.incarnation != incarnation:
            self._known[handshake.node] = _Known(incarnation, handshake, now, now)
        else:
            known.handshake, known.arrived_at, known.heard_at = handshake, now, now
        self._came.set()

    async def hear(self, beats: Sequence[Beat]) -> frozenset[tuple[str, int]]:
        unknown = set()
        for beat in beats:
            known = self._known.get(beat.node)
            if known is None or known.incarnation != beat.incarnation:
                unknown.add((beat.node, beat.incarnation))
            else:
                known.heard_at, known.beat = self._clock.now(), beat
        return frozenset(unknown)

    async def leave(self, node: str, incarnation: int) -> None:
        known = self._known.get(node)
        if known is not None and known.incarnation == incarnation:
            del self._known[node]

    async def factories(self) -> tuple[FactoryRecord, ...]:
        now = self._clock.now()
        return tuple(
            FactoryRecord(
                node=node,
                incarnation=known.incarnation,
                handshake=known.handshake,
                arrived_at=moment(self._clock.epoch(known.arrived_at)),
                heard_at=moment(self._clock.epoch(known.heard_at)),
                silence_s=now - known.heard_at,
                heartbeat=known.beat.heartbeat if known.beat else None,
                clock_offset_s=known.beat.clock_offset_s if known.beat else 0.0,
                campaigns=tuple(known.campaigns),
            )
            for node, known in sorted(self._known.items())
            if now - known.heard_at < FORGOTTEN_SECONDS
        )

    async def wait_change(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._came.wait()
        self._came.clear()

    async def reserve(self, campaign: str, factories: Collection[tuple[str, int]]) -> bool:
        wanted = [self._known.get(node) for node, _ in factories]
        for (_, incarnation), known in zip(factories, wanted, strict=True):
            if known is None or known.incarnation != incarnation or not known.is_for(campaign):
                return False
        for known in wanted:
            if known is not None and campaign not in known.campaigns:
                known.campaigns.append(campaign)
        return True

    async def release(self, campaign: str) -> None:
        for known in self._known.values():
            if campaign in known.campaigns:
                known.campaigns.remove(campaign)

    async def hold_reception(self, head: str, lease_seconds: float) -> bool:
        now = self._clock.now()
        if self._receptionist != head and now < self._reception_until:
            return False
        self._receptionist, self._reception_until = head, now + lease_seconds
        return True
