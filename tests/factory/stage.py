"""A real factory and a head that says what the test says, all on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any, TypeVar

from qalipsis.cluster import topics
from qalipsis.cluster.codec import Received, Sender
from qalipsis.cluster.inbox import Inbox
from qalipsis.cluster.memory import MemorySubscription, MemoryTransport
from qalipsis.cluster.messages import (
    Answer,
    AssignFactory,
    DeclareMinions,
    DirectiveDone,
    DirectiveFailed,
    DirectiveIgnored,
    Handshake,
    HandshakeAccepted,
    Heartbeat,
    HeartbeatReply,
    Message,
    StartMinions,
    WarmUp,
)
from qalipsis.cluster.publisher import Publisher
from qalipsis.cluster.transport import Delivery
from qalipsis.config.settings import GracefulShutdown
from qalipsis.engine.runner import WorkerEngine
from qalipsis.errors import TransportClosed
from qalipsis.factory.kit import Kit
from qalipsis.factory.session import Identity, Session
from qalipsis.factory.worker_task import WorkerTask
from qalipsis.testing.loop_clock import LoopClock
from qalipsis.testing.virtual_loop import VirtualLoop

T = TypeVar("T")
Said = TypeVar("Said")

NODE = "eu-1"
LEASE = 15.0
SECONDS = 600.0
"""Virtual: a test that waits for what never comes fails in no time."""

SCENARIOS = """
    from qalipsis import scenario

    walk = scenario("walk", minions=4).start().returns(1).delay("100ms").named("nap").iterate(1_000_000)
    quick = scenario("quick", minions=2).start().returns(1)
"""


def play(test: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(asyncio.wait_for(test, SECONDS))


class _NoCollector:
    def open(self, now: float) -> None: ...

    def second(self, started: int, now: float) -> None: ...

    def close(self) -> None: ...


class Losable(MemoryTransport):
    """A transport that a test can lose, as when Redis is away for longer than its patience."""

    def __init__(self) -> None:
        super().__init__()
        self.lost = asyncio.Event()
        self.error: TransportClosed | None = None
        self.removal_seconds = 0.0

    def lose(self, error: TransportClosed) -> None:
        self.error = error
        self.lost.set()

    async def publish(self, topic: str, body: bytes) -> None:
        self._raise()
        await super().publish(topic, body)

    async def remove(self, topic: str) -> None:
        if not self._is_closed:
            self._raise()
            await asyncio.sleep(self.removal_seconds)
        await super().remove(topic)

    def subscribe(self, topic: str) -> _Reading:  # type: ignore[override]
        return _Reading(self, super().subscribe(topic))

    def _raise(self) -> None:
        if self.error is not None:
            raise TransportClosed(str(self.error))


class _Reading:
    def __init__(self, transport: Losable, subscription: MemorySubscription) -> None:
        self._transport = transport
        self._subscription = subscription

    def __aiter__(self) -> _Reading:
        return self

    async def __anext__(self) -> Delivery:
        tasks = [
            asyncio.create_task(each)  # type: ignore[arg-type]
            for each in (self._transport.lost.wait(), anext(self._subscription, None))
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            self._transport._raise()
            delivery: Delivery | None = tasks[1].result()  # type: ignore[assignment]
        finally:
            for task in tasks:
                task.cancel()
        if delivery is None:
            raise StopAsyncIteration
        return delivery

    async def aclose(self) -> None:
        await self._subscription.aclose()


class Stage:
    """Use it with `async with`: the factory serves from the start, `served` is how that ends."""

    def __init__(self, folder: Path, lease: float | None = LEASE, **options: Any) -> None:
        self.file = folder / "scenarios.py"
        self.file.write_text(dedent(SCENARIOS))
        self.lease = lease
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.clock = LoopClock(loop)
        self.transport = Losable()
        self.heard: list[Message] = []
        """What the factory said to the reception."""
        self.told: dict[str, list[Message]] = {}
        """What it said to each campaign."""
        self.is_silent = False
        """Whether the heads answer no heartbeat."""
        self.silent_to: set[str] = set()
        """The campaigns whose heads answer none."""
        self.epoch = 1
        self._news = asyncio.Event()
        self._publishers: dict[str, Publisher] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        kit = Kit(
            make_clock=lambda offset: self.clock,
            make_engine=partial(WorkerEngine, drain_seconds=1.0),
            make_collector=_NoCollector,
        )
        self.session = Session(
            self.transport,
            self.clock,
            Identity(node=NODE, incarnation=7, zone="eu", tenant="acme", tags={"rack": "3"}),
            2,
            partial(WorkerTask, kit=kit),
            grace=options.pop("grace", GracefulShutdown(campaign=5.0)),
            **options,
        )

    async def __aenter__(self) -> Stage:
        await self.session.load([self.file], {})
        self.served = asyncio.create_task(self.session.serve(30.0))
        self._spawn(self._read_reception())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in (*self._tasks, self.served):
            task.cancel()
        await asyncio.gather(*self._tasks, self.served, return_exceptions=True)
        await self.session.aclose()
        await self.transport.aclose()

    def fail(self, error: TransportClosed) -> None:
        """The transport is given up: nothing can be published or read any more."""
        self.transport.lose(error)

    def replace_transport(self) -> None:
        for task in self._tasks:
            task.cancel()
        self.transport = Losable()
        self._publishers.clear()
        self.session.move_to(self.transport)
        self.served = asyncio.create_task(self.session.serve(30.0))
        self._spawn(self._read_reception())

    # What heads say

    async def to_node(self, message: Message, campaign: str = "", epoch: int | None = None) -> str:
        return await self._say(topics.node(NODE, 7), message, campaign, epoch)

    async def direct(self, message: Message, campaign: str = "c-1", epoch: int | None = None) -> str:
        return await self._say(topics.directives(campaign, NODE), message, campaign, epoch)

    async def accept(self) -> None:
        await self.hears(Handshake)
        await self.to_node(HandshakeAccepted(heartbeat_s=1.0, lease_s=self.lease))

    async def assign(self, campaign: str = "c-1", scenario: str = "walk") -> None:
        """Engage the factory and start the minions of one scenario."""
        if campaign not in self.told:
            self.told[campaign] = []
            self._spawn(self._read_campaign(campaign))
        assert isinstance(
            await self.answer(await self.to_node(assignment(campaign), campaign)), DirectiveDone
        )
        start = StartMinions(at=self.clock.epoch(self.clock.now() + 0.5))
        for directive in (DeclareMinions(minions={scenario: 4}), WarmUp(), start):
            answer = await self.answer(await self.direct(directive, campaign))
            assert isinstance(answer, DirectiveDone), answer

    # What the factory says

    async def hears(self, kind: type[Said], nth: int = 1) -> Said:
        """The nth sentence of this kind that was said to the reception."""
        return await self._find(lambda: self.heard, kind, nth)

    async def is_told(self, kind: type[Said], campaign: str = "c-1") -> Said:
        """The first sentence of this kind that was said to the campaign."""
        return await self._find(lambda: self.told.setdefault(campaign, []), kind, 1)

    async def answer(self, directive: str) -> Answer:
        while True:
            for message in (message for told in self.told.values() for message in told):
                is_answer = isinstance(message, DirectiveDone | DirectiveIgnored | DirectiveFailed)
                if is_answer and message.directive == directive:
                    return message
            self._news.clear()
            await self._news.wait()

    def listen_to(self, campaign: str) -> None:
        self.told[campaign] = []
        self._spawn(self._read_campaign(campaign))

    def kinds(self, campaign: str = "c-1") -> list[type[Any]]:
        return [type(message) for message in self.told[campaign]]

    async def _find(self, said: Any, kind: type[Said], nth: int) -> Said:
        while True:
            found = [message for message in said() if isinstance(message, kind)]
            if len(found) >= nth:
                return found[nth - 1]
            self._news.clear()
            await self._news.wait()

    async def _read_reception(self) -> None:
        async for received in Inbox(self.transport, topics.HANDSHAKE).messages():
            assert (received.source, received.incarnation, received.tenant) == (NODE, 7, "acme")
            self.heard.append(received.message)
            self._news.set()

    async def _read_campaign(self, campaign: str) -> None:
        async for received in Inbox(self.transport, topics.feedback(campaign)).messages():
            self.told[campaign].append(received.message)
            self._news.set()
            await self._reply(received)

    async def _reply(self, received: Received) -> None:
        if received.campaign in self.silent_to:
            return
        if isinstance(received.message, Heartbeat) and not self.is_silent:
            reply = HeartbeatReply(lease_s=self.lease, committed=0, clock=received.message.clock)
            await self.direct(reply, received.campaign)

    async def _say(self, topic: str, message: Message, campaign: str, epoch: int | None) -> str:
        # Each epoch is another head.
        epoch = self.epoch if epoch is None else epoch
        sender = self._publishers.setdefault(
            f"{epoch} {topic}", Publisher(self.transport, Sender(f"head-{epoch}", 1, epoch=epoch))
        )
        return await sender.say(topic, message, campaign)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.create_task(work))


def assignment(campaign: str = "c-1", seed: int = 1) -> AssignFactory:
    return AssignFactory(campaign=campaign, zones=(2,), first_worker=0, seed=seed, speed_factor=1.0)


async def ends(task: asyncio.Task[None]) -> None:
    """Wait for it, whatever it raises."""
    with suppress(asyncio.CancelledError):
        await asyncio.wait([task])
