"""Factories that do no work and report a great deal: what they say is what real ones would say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.merging import STEPS, VALUES, ledger, messages, snapshots
from qalipsis.cluster import topics
from qalipsis.cluster.codec import Sender
from qalipsis.cluster.inbox import Inbox
from qalipsis.cluster.messages import (
    PROTOCOL,
    AssignFactory,
    CloseCampaign,
    DeclareMinions,
    Directive,
    DirectiveDone,
    Farewell,
    Final,
    Handshake,
    HandshakeAccepted,
    Heartbeat,
    HeartbeatReply,
    Message,
    ScenarioEnded,
    SnapshotTaken,
    StartMinions,
    WorkerState,
)
from qalipsis.cluster.publisher import Publisher
from qalipsis.cluster.transport import Transport
from qalipsis.config.loader import load
from qalipsis.plan.model import ScenarioDescriptor, StepDescriptor
from qalipsis.wiring import open_transport

SCENARIO = "shop"
KINDS = 4
"""Workers that report different things; the others repeat what these say."""

QUIET_SECONDS = 2.5
"""From the last snapshot to the end, so that a checkpoint holds everything."""


def playing(folder: str, factories: int, workers: int, seconds: int) -> dict[str, int]:
    """Take part in one campaign with so many factories; for a process of its own."""
    told = [[tuple(messages(kind, data)) for data, _ in snapshots(kind, seconds)] for kind in range(KINDS)]
    asyncio.run(_play(Path(folder), factories, workers, seconds, told))
    return {"requests": factories * workers * seconds * STEPS * VALUES}


async def _play(
    folder: Path, factories: int, workers: int, seconds: int, told: list[list[tuple[SnapshotTaken, ...]]]
) -> None:
    settings = load(folder).settings
    async with asyncio.TaskGroup() as group:
        for number in range(factories):
            group.create_task(
                PlayedFactory(await open_transport(settings), number, workers, seconds, told).run()
            )


class PlayedFactory:
    """One factory, from its handshake to its farewell after the first campaign."""

    def __init__(
        self,
        transport: Transport,
        number: int,
        workers: int,
        seconds: int,
        told: Sequence[Sequence[tuple[SnapshotTaken, ...]]],
    ) -> None:
        self._transport = transport
        self._node = f"factory-{number}"
        self._number = number
        self._workers = workers
        self._seconds = seconds
        self._told = told
        self._incarnation = time.time_ns() // 1_000_000
        self._publisher = Publisher(transport, Sender(self._node, self._incarnation))
        self._lock = asyncio.Lock()
        self._campaign = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._over = asyncio.Event()

    async def run(self) -> None:
        await self._introduce()
        self._tasks.append(asyncio.create_task(self._attend()))
        try:
            await self._over.wait()
            await self._say(topics.HANDSHAKE, Farewell())
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._transport.aclose()

    async def _introduce(self) -> None:
        steps = tuple(StepDescriptor(name=f"request-{n}", type="http.request") for n in range(STEPS))
        scenario = ScenarioDescriptor(name=SCENARIO, minions=1000, profile="immediate", steps=steps)
        await self._say(
            topics.HANDSHAKE,
            Handshake(
                node=self._node, protocol=PROTOCOL, version="1", workers=self._workers, scenarios=(scenario,)
            ),
        )

    async def _attend(self) -> None:
        async for received in Inbox(self._transport, topics.node(self._node, self._incarnation)).messages():
            match received.message:
                case HandshakeAccepted():
                    self._tasks.append(asyncio.create_task(self._beat(received.message.heartbeat_s)))
                case AssignFactory():
                    self._campaign = received.campaign
                    self._tasks.append(asyncio.create_task(self._follow()))
                    await self._report(DirectiveDone(directive=received.id))

    async def _beat(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            state = "busy" if self._campaign else "idle"
            heartbeat = Heartbeat(
                state=state, sequence=self._publisher.sequence, clock=time.time(), rtt_s=0.001
            )
            await self._say(topics.HANDSHAKE, heartbeat)
            if self._campaign:
                await self._report(heartbeat)

    async def _follow(self) -> None:
        async for received in Inbox(
            self._transport, topics.directives(self._campaign, self._node)
        ).messages():
            if isinstance(received.message, HeartbeatReply):
                continue
            assert isinstance(received.message, Directive)
            await self._carry_out(received.message)
            await self._report(DirectiveDone(directive=received.id))
            if isinstance(received.message, CloseCampaign):
                self._over.set()

    async def _carry_out(self, directive: Directive) -> None:
        match directive:
            case DeclareMinions():
                for worker in range(self._workers):
                    await self._report(WorkerState(worker=worker, pid=1 + worker, planned_s=None))
            case StartMinions():
                self._tasks.append(asyncio.create_task(self._report_each_second(directive.at)))
            case CloseCampaign():
                last: Mapping[str, tuple[int, ...]] = {SCENARIO: ledger(self._seconds * STEPS * VALUES)}
                ledgers = {worker: dict(last) for worker in range(self._workers)}
                await self._report(Final(last_sequence=self._publisher.sequence, ledgers=ledgers))

    async def _report_each_second(self, start: float) -> None:
        for second in range(self._seconds):
            await asyncio.sleep(max(0.0, start + second + 1.002 - time.time()))
            for worker in range(self._workers):
                kind = (self._number * self._workers + worker) % KINDS
                for piece in self._told[kind][second]:
                    await self._report(
                        SnapshotTaken(worker=worker, piece=piece.piece, pieces=piece.pieces, data=piece.data)
                    )
        await asyncio.sleep(QUIET_SECONDS)
        await self._report(ScenarioEnded(scenario=SCENARIO, at=time.time()))

    async def _report(self, message: Message) -> None:
        await self._say(topics.feedback(self._campaign), message)

    async def _say(self, topic: str, message: Message) -> None:
        async with self._lock:  # so that sequences are published in their order
            await self._publisher.say(topic, message, self._campaign)
