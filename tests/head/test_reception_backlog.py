"""What the reception makes of heartbeats: how far clocks are off, and what waited while no head was there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from qalipsis.cluster import topics
from qalipsis.cluster.codec import Sender
from qalipsis.cluster.memory import MemoryTransport
from qalipsis.cluster.messages import PROTOCOL, Handshake, Heartbeat
from qalipsis.cluster.publisher import Publisher
from qalipsis.head.directory import FactoryRecord
from qalipsis.head.memory_directory import MemoryDirectory
from qalipsis.head.office import Office
from qalipsis.head.reception import Reception
from qalipsis.head.roster import Roster
from qalipsis.head.store import MemoryStore
from qalipsis.system_clock import SystemClock

BEAT = 0.1


class Hall:
    """A reception, and the factory `eu` that talks to it."""

    def __init__(self) -> None:
        self.clock, self.transport = SystemClock(), MemoryTransport()
        self.directory = MemoryDirectory(self.clock)
        self._publisher = Publisher(self.transport, Sender("eu", 1))
        self._office = Office(
            head="head",
            transport=self.transport,
            store=MemoryStore(self.clock),
            directory=self.directory,
            roster=Roster(self.directory),
            clock=self.clock,
            heartbeat_s=BEAT,
            lease_s=15.0,
            claim_lease_s=60.0,
        )

    @asynccontextmanager
    async def receiving(self) -> AsyncIterator[None]:
        task = asyncio.create_task(Reception(self._office, 1).serve())
        try:
            yield
        finally:
            await self.transport.aclose()
            await task

    async def beat(self, ahead: float = 0.0) -> None:
        """Its clock is so far ahead."""
        said_at = self.clock.epoch(self.clock.now()) + ahead
        heartbeat = Heartbeat(state="idle", sequence=1, clock=said_at, rtt_s=0.002)
        await self._publisher.say(topics.HANDSHAKE, heartbeat)

    async def listed(self) -> FactoryRecord:
        (found,) = await self.directory.factories()
        return found


HANDSHAKE = Handshake(node="eu", protocol=PROTOCOL, version="1", workers=1, scenarios=())


async def test_the_clock_of_a_factory_is_compared_when_its_heartbeat_comes() -> None:
    hall = Hall()
    await hall.directory.register(HANDSHAKE, 1)
    async with hall.receiving(), asyncio.timeout(10):
        while (await hall.listed()).heartbeat is None:
            await hall.beat(ahead=90.0)
            await asyncio.sleep(BEAT)
        assert abs((await hall.listed()).clock_offset_s - 90.0) < 0.05


async def test_a_heartbeat_that_waited_for_a_head_is_no_sign_of_life() -> None:
    hall = Hall()
    await hall.directory.register(HANDSHAKE, 1)
    await hall.beat()
    async with hall.receiving(), asyncio.timeout(10):
        await asyncio.sleep(0.5)
        assert (await hall.listed()).heartbeat is None
        while (await hall.listed()).heartbeat is None:
            await hall.beat()
            await asyncio.sleep(BEAT)
