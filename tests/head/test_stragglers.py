"""What factories that stay in touch are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from qalipsis.cluster import topics
from qalipsis.cluster.codec import Sender
from qalipsis.cluster.inbox import Inbox
from qalipsis.cluster.memory import MemoryTransport
from qalipsis.cluster.messages import PROTOCOL, CampaignOver, Handshake, HandshakeAccepted, Heartbeat, Message
from qalipsis.cluster.publisher import Publisher
from qalipsis.head.campaign import Phase
from qalipsis.head.campaign_list import NewCampaign
from qalipsis.head.memory_directory import MemoryDirectory
from qalipsis.head.office import Office
from qalipsis.head.reception import Reception
from qalipsis.head.roster import Roster
from qalipsis.head.store import MemoryStore
from qalipsis.head.tenure import Tenure
from qalipsis.testing.loop_clock import LoopClock
from qalipsis.testing.virtual_loop import VirtualLoop


@dataclass
class Stage:
    """A reception, and the factory `one` that the test plays."""

    office: Office
    publisher: Publisher
    heard: list[Message]
    removed: list[str]

    async def beat(self, campaign: str) -> None:
        await self.publisher.say(
            topics.HANDSHAKE,
            Heartbeat(
                state="busy",
                sequence=1,
                clock=self.office.clock.epoch(0.0),
                campaigns=(campaign,) if campaign else (),
            ),
        )
        await asyncio.sleep(1.0)

    async def run(self, key: str) -> Tenure:
        await self.office.store.create_campaign(NewCampaign(key=key, name=key))
        claim = await self.office.store.claim(key, "head", 600.0)
        assert claim is not None
        tenure = Tenure(self.office.store, self.office.transport, claim)
        await tenure.commit(Phase.RUNNING, 0.0)
        return tenure


class Watched(MemoryTransport):
    def __init__(self) -> None:
        super().__init__()
        self.removed: list[str] = []

    async def remove(self, topic: str) -> None:
        self.removed.append(topic)
        await super().remove(topic)


@asynccontextmanager
async def opened() -> AsyncIterator[Stage]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    clock, transport = LoopClock(loop), Watched()
    directory = MemoryDirectory(clock)
    office = Office(
        head="head",
        transport=transport,
        store=MemoryStore(clock),
        directory=directory,
        roster=Roster(directory),
        clock=clock,
        heartbeat_s=1.0,
        lease_s=15.0,
        claim_lease_s=3.0,
    )
    stage = Stage(office, Publisher(transport, Sender("one", 7)), [], transport.removed)

    async def listen() -> None:
        async for received in Inbox(transport, topics.node("one", 7)).messages():
            stage.heard.append(received.message)

    tasks = [asyncio.create_task(each) for each in (Reception(office, 1).serve(), listen())]
    try:
        handshake = Handshake(node="one", protocol=PROTOCOL, version="1", workers=1, scenarios=())
        await stage.publisher.say(topics.HANDSHAKE, handshake)
        await asyncio.sleep(1.0)
        assert isinstance(stage.heard[0], HandshakeAccepted)
        yield stage
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await transport.aclose()


def play(test: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(asyncio.wait_for(test, 600.0))


def test_a_factory_that_works_for_a_campaign_that_is_over_is_told_so() -> None:
    async def test() -> None:
        async with opened() as stage:
            tenure = await stage.run("c-1")
            for _ in range(3):
                await stage.beat("c-1")
            await tenure.commit(Phase.COMPLETED, 1.0)
            await stage.beat("c-1")  # it may be about to end it by itself
            assert not any(isinstance(each, CampaignOver) for each in stage.heard)
            await stage.beat("c-1")
            assert stage.heard.count(CampaignOver(campaign="c-1")) == 1
            assert stage.removed == []
            await stage.beat("")
            await stage.beat("")
            assert stage.heard.count(CampaignOver(campaign="c-1")) == 1
            assert stage.removed == [topics.feedback("c-1")]  # what it said of it nobody reads

    play(test())
