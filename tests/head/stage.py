"""Heads on virtual time, over the memory transport, and the factories that a test plays."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar, cast

import msgspec

from qalipsis.cluster import topics
from qalipsis.cluster.accompanied import accompanied
from qalipsis.cluster.codec import Received, Sender
from qalipsis.cluster.inbox import Inbox
from qalipsis.cluster.memory import MemoryTransport
from qalipsis.cluster.messages import (
    PROTOCOL,
    AbortCampaign,
    AssignFactory,
    CloseCampaign,
    DeclareMinions,
    DirectiveDone,
    DirectiveFailed,
    Final,
    Handshake,
    HandshakeAccepted,
    HandshakeRefused,
    HandshakeWanted,
    Heartbeat,
    HeartbeatReply,
    Message,
    RestartMinions,
    ScenarioEnded,
    SnapshotTaken,
    StartMinions,
    StopScenario,
    WorkerState,
)
from qalipsis.cluster.publisher import Publisher
from qalipsis.head.campaign_list import NewCampaign
from qalipsis.head.campaign_request import CampaignRequest
from qalipsis.head.memory_directory import MemoryDirectory
from qalipsis.head.office import Office
from qalipsis.head.orchestrator import Orchestrator
from qalipsis.head.reception import Reception
from qalipsis.head.roster import Roster
from qalipsis.head.store import MemoryStore
from qalipsis.head.tenure import Tenure
from qalipsis.metrics.ledger import SLOTS, Slot
from qalipsis.metrics.meters import WorkerMeters
from qalipsis.plan.model import ScenarioDescriptor
from qalipsis.plan.ownership import ownership_of
from qalipsis.reports.live import Live
from qalipsis.reports.model import Report
from qalipsis.testing.loop_clock import LoopClock
from qalipsis.testing.virtual_loop import VirtualLoop

T = TypeVar("T")

SECONDS = 900.0
"""Virtual: a test that waits for what never comes fails in no time."""

LEASE = 15.0
CLAIM_LEASE = 3.0

SHOP = ScenarioDescriptor(name="shop", minions=2, profile="immediate")


def virtual(test: Callable[..., Coroutine[Any, Any, T]]) -> Callable[..., T]:
    """A test that runs on virtual time."""

    @functools.wraps(test)
    def played(*arguments: Any, **more: Any) -> T:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(asyncio.wait_for(test(*arguments, **more), SECONDS))

    return played


def clock_of_loop() -> LoopClock:
    return LoopClock(cast("VirtualLoop", asyncio.get_running_loop()))


async def until(holds: Callable[[], object]) -> None:
    """Until it does, looked at twenty times a second."""
    while True:
        if holds():
            return
        await asyncio.sleep(0.05)


def row(**given: int) -> tuple[int, ...]:
    counts = [0] * SLOTS
    for name, value in given.items():
        counts[Slot[name.upper()]] = value
    return tuple(counts)


ENDED = {"shop": row(minions_started=2, minions_completed=2, passes_started=2, passes_completed=2)}


class MortalStore:
    """The store as a head sees it that dies at one of its calls, before or after it had its effect."""

    def __init__(self, store: MemoryStore, calls: int, has_effect: bool) -> None:
        self.died = asyncio.Event()
        self.calls = 0
        self.fatal: str | None = None
        """The state that it commits last."""
        self._store = store
        self._calls = calls
        self._has_effect = has_effect

    def kill(self) -> None:
        """It dies at its next call."""
        self._calls, self._has_effect = self.calls + 1, False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        async def call(*arguments: Any, **more: Any) -> Any:
            self.calls += 1
            if name == "commit" and arguments[1].state == self.fatal:
                self._calls, self._has_effect = self.calls, True
            if self.calls < self._calls:
                return await method(*arguments, **more)
            if self.calls == self._calls and self._has_effect:
                await method(*arguments, **more)
            self.died.set()
            return await asyncio.Event().wait()

        return call


class PlayedFactory:
    """Beats every second, answers every directive with done, and plays what the test says to each kind."""

    def __init__(
        self,
        transport: MemoryTransport,
        *scenarios: ScenarioDescriptor,
        node: str = "node",
        zone: str | None = None,
        workers: int = 1,
        incarnation: int = 1,
    ) -> None:
        self.node = node
        self.workers = workers
        self.incarnation = incarnation
        self.clock = clock_of_loop()
        self.heard: list[Message] = []
        """All but the answers to heartbeats."""
        self.replies: list[HeartbeatReply] = []
        """Of the head of its campaign."""
        self.presence_replies: list[HeartbeatReply] = []
        """Of the reception."""
        self.answers: dict[type[Any], tuple[str, str]] = {}
        """What it cannot do, with cause and reason."""
        self.on: dict[type[Any], Callable[[], list[Message]]] = {
            DeclareMinions: lambda: [
                WorkerState(worker=worker, pid=41 + worker, planned_s=None) for worker in range(workers)
            ],
            StartMinions: lambda: [self.ended()],
            CloseCampaign: lambda: [Final(last_sequence=0, ledgers={0: ENDED})],
        }
        self.is_beating = True
        self.is_silent = False
        """What it says is not even kept."""
        self.is_cut_off = False
        """What it says waits until it is connected again."""
        self._kept: list[tuple[str, Message]] = []
        self.round_trip: float | None = None
        self.clock_offset = 0.0
        self.campaign: str | None = None
        self.has_closed = asyncio.Event()
        self.handshake = Handshake(
            node=node, protocol=PROTOCOL, version="1", workers=workers, scenarios=scenarios, zone=zone
        )
        self._transport = transport
        self._publisher = Publisher(transport, Sender(node, incarnation))
        self._tasks: set[asyncio.Task[None]] = set()
        self._done: set[str] = set()
        """Directives, each of which has its effect once, as at every factory."""
        self._is_dead = False

    def epoch(self) -> float:
        """By its own clock."""
        return self.clock.epoch(self.clock.now()) + self.clock_offset

    def ended(self, scenario: str = "shop", round: int = 0) -> ScenarioEnded:
        return ScenarioEnded(scenario=scenario, at=self.epoch(), round=round)

    async def say(self, message: Message, campaign: str | None = None) -> None:
        key = campaign or self.campaign or "c-1"
        await self._say(topics.feedback(key), message, key)

    async def introduce(self, message: Message) -> None:
        await self._say(topics.HANDSHAKE, message, "")

    async def _say(self, topic: str, message: Message, campaign: str) -> None:
        if self.is_cut_off:
            self._kept.append((topic, message))
        elif not self._is_dead and not self.is_silent:
            await self._publisher.say(topic, message, campaign)

    async def reconnect(self) -> None:
        """Say what could not be said, in its order."""
        self.is_cut_off = False
        kept, self._kept = self._kept, []
        for topic, message in kept:
            await self._say(topic, message, self.campaign or "c-1")

    def kill(self) -> None:
        """It is gone, whatever it was about to say."""
        self._is_dead = True
        for task in self._tasks:
            task.cancel()

    async def run(self) -> None:
        """Until it is killed, or cancelled."""
        self.spawn(self._live())
        try:
            while self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            self.kill()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _live(self) -> None:
        await self.introduce(self.handshake)
        self.spawn(self._beat())
        async for received in Inbox(self._transport, topics.node(self.node, self.incarnation)).messages():
            match received.message:
                case HeartbeatReply():
                    self.presence_replies.append(received.message)
                case HandshakeAccepted() | HandshakeRefused():
                    self.heard.append(received.message)
                case HandshakeWanted():
                    self.heard.append(received.message)
                    await self.introduce(self.handshake)
                case AssignFactory():
                    self.heard.append(received.message)
                    self.campaign = received.message.campaign
                    self.has_closed.clear()
                    await self._carry_out(received)
                    self.spawn(self._engage(received.message.campaign))
                case _:
                    self.heard.append(received.message)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            if self.is_beating:
                beat = Heartbeat(
                    state="idle",
                    sequence=self._publisher.sequence,
                    clock=self.epoch(),
                    rtt_s=self.round_trip,
                )
                await self.introduce(beat)
                if self.campaign is not None:
                    await self.say(beat)

    async def _engage(self, campaign: str) -> None:
        topic = topics.directives(campaign, self.node)
        async for received in Inbox(self._transport, topic).messages():
            if isinstance(received.message, HeartbeatReply):
                self.replies.append(received.message)
                continue
            if received.id in self._done:
                continue
            self._done.add(received.id)
            self.heard.append(received.message)
            await self._carry_out(received)
            if isinstance(received.message, CloseCampaign):
                self.campaign = None
                self.has_closed.set()
                break
        await self._transport.remove(topic)

    async def _carry_out(self, received: Received) -> None:
        kind = type(received.message)
        if kind in self.answers:
            cause, reason = self.answers[kind]
            await self.say(DirectiveFailed(directive=received.id, cause=cause, reason=reason))
            return
        await self.perform(received.message)
        for message in self.on.get(kind, list)():
            await self.say(message)
        await self.say(DirectiveDone(directive=received.id))

    async def perform(self, directive: Message) -> None:
        """What it does of itself; this one only plays."""

    def heard_kinds(self) -> list[type[Any]]:
        return [type(message) for message in self.heard]


class WalkingFactory(PlayedFactory):
    """Walks the minions that it is due by what it is told, in the way of a real one.

    Each minion of `shop` walks for `seconds` and makes one request in each of them, which is answered.
    """

    def __init__(self, *arguments: Any, seconds: int = 4, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.seconds = seconds
        self.rows: dict[int, dict[Slot, int]] = {}
        self.lost: set[int] = set()
        """Its workers that have died."""
        self.round = 0
        self._begin_anew()
        self.on[StartMinions] = list
        self.on[CloseCampaign] = lambda: [self.final()]
        self._assigned: AssignFactory | None = None
        self._declared: DeclareMinions | None = None
        self._began = 0.0

    def _begin_anew(self) -> None:
        self.rows = {worker: dict.fromkeys(Slot, 0) for worker in range(self.workers)}
        self.lost, self.round, self._walking = set(), 0, 0
        self._meters = {worker: WorkerMeters() for worker in range(self.workers)}
        self._sequences = dict.fromkeys(range(self.workers), 0)
        self._stopped = asyncio.Event()

    def ledgers(self, worker: int) -> dict[str, tuple[int, ...]]:
        return {"shop": tuple(self.rows[worker][slot] for slot in Slot)}

    def final(self) -> Final:
        return Final(last_sequence=0, ledgers={worker: self.ledgers(worker) for worker in self.rows})

    def due(self, worker: int) -> int:
        assert self._assigned is not None
        assert self._declared is not None
        minions = self._declared.minions["shop"]
        ownership = ownership_of(self._assigned.zones, self._declared.shares.get("shop"), minions)
        return ownership.count(self._assigned.first_worker + worker, 0, minions)

    async def perform(self, directive: Message) -> None:
        match directive:
            case AssignFactory():
                self._begin_anew()
                self._assigned = directive
            case DeclareMinions():
                self._declared = directive
            case StartMinions():
                self._began = directive.at
                for worker in self.rows:
                    self.rows[worker][Slot.MINIONS_SCHEDULED] = self.due(worker)
                dealt = {worker: self.due(worker) for worker in self.rows}
                self.spawn(self._walk(dealt, self.seconds, directive.at - self.epoch()))
            case RestartMinions():
                self.round = directive.round
                dealt = {}
                for worker, takeovers in directive.takeovers.items():
                    own = worker - self._first
                    dealt[own] = sum(
                        portion.count(self._due_of_fleet(portion.worker))
                        for portion in takeovers["shop"].minions
                    )
                    self.rows[own][Slot.MINIONS_RESTARTED] += dealt[own]
                self.spawn(self._walk(dealt, self.seconds, 0.0))
            case StopScenario() | AbortCampaign():
                self._stopped.set()

    def die(self, worker: int) -> None:
        """A worker is gone, as the factory sees it: `Fault` is for the test to say."""
        self.lost.add(worker)

    async def _walk(self, dealt: Mapping[int, int], seconds: int, delay: float) -> None:
        """Minions begin at once, and end after so many seconds, or when they are stopped."""
        self._walking += 1
        await asyncio.sleep(max(0.0, delay))
        for worker, minions in dealt.items():
            self.rows[worker][Slot.MINIONS_STARTED] += minions
            self.rows[worker][Slot.PASSES_STARTED] += minions
        for _ in range(seconds):
            if not self._stopped.is_set():
                await asyncio.sleep(1.0)
                for worker, minions in dealt.items():
                    self._count(worker, minions)
                await self._report(dealt)
        for worker, minions in dealt.items():
            if worker not in self.lost:
                ended = "ABORTED" if self._stopped.is_set() else "COMPLETED"
                self.rows[worker][Slot[f"MINIONS_{ended}"]] += minions
                self.rows[worker][Slot[f"PASSES_{ended}"]] += minions
        self._walking -= 1
        if not self._walking:
            await self.say(self.ended(round=self.round))

    def _count(self, worker: int, requests: int) -> None:
        if worker in self.lost:
            return
        step = self._meters[worker].step("shop", "order", "http.request")
        step.attempted += requests
        step.successful += requests
        self.rows[worker][Slot.REQUESTS_ATTEMPTED] += requests
        self.rows[worker][Slot.REQUESTS_OK] += requests

    async def say_snapshots(self) -> None:
        """How all of its workers stand."""
        await self._report(dict.fromkeys(self.rows, 0))

    async def _report(self, workers: Mapping[int, int]) -> None:
        for worker in workers:
            if worker in self.lost:
                continue
            self._sequences[worker] += 1
            elapsed = self.epoch() - self._began + 0.001
            snapshot = self._meters[worker].freeze(self._sequences[worker], elapsed)
            snapshot = msgspec.structs.replace(snapshot, ledgers=self.ledgers(worker))
            data = msgspec.msgpack.encode(snapshot)
            await self.say(SnapshotTaken(worker=worker, piece=0, pieces=1, data=data))

    @property
    def _first(self) -> int:
        assert self._assigned is not None
        return self._assigned.first_worker

    def _due_of_fleet(self, worker: int) -> int:
        assert self._assigned is not None
        assert self._declared is not None
        minions = self._declared.minions["shop"]
        ownership = ownership_of(self._assigned.zones, self._declared.shares.get("shop"), minions)
        return ownership.count(worker, 0, minions)


class Stage:
    """A head with its reception, and the played factories."""

    def __init__(self, *scenarios: ScenarioDescriptor, lease: float | None = None, **request: Any) -> None:
        self.clock = clock_of_loop()
        self.transport = MemoryTransport()
        self.factory = PlayedFactory(self.transport, *(scenarios or (SHOP,)))
        self.others: list[PlayedFactory] = []
        self.store = MemoryStore(self.clock)
        self.directory = MemoryDirectory(self.clock)
        self.lease = lease
        self.lives: list[Live] = []
        self.office = self.office_of("head")
        self.reception = Reception(self.office, 1)
        settings = {"key": "c-1", "name": "nightly", "seed": 7, "start_offset": 0.0, "grace": 0.3} | request
        self.request = CampaignRequest(**settings)
        self.orchestrator: Orchestrator | None = None

    def office_of(self, head: str, **changes: Any) -> Office:
        settings: dict[str, Any] = {
            "transport": self.transport,
            "store": self.store,
            "directory": self.directory,
        } | changes
        return Office(
            head=head,
            roster=Roster(settings["directory"]),
            clock=self.clock,
            heartbeat_s=1.0,
            lease_s=self.lease,
            claim_lease_s=CLAIM_LEASE,
            **settings,
        )

    async def own(self, office: Office) -> Tenure:
        """The campaign is this head's, from its creation or from what another one left."""
        if await self.store.campaign(self.request.key) is None:
            await self.store.create_campaign(NewCampaign(key=self.request.key, name="nightly"))
        claim = await self.store.claim(self.request.key, office.head, CLAIM_LEASE)
        assert claim is not None
        return Tenure(office.store, office.transport, claim)

    async def conduct(self, office: Office | None = None) -> Report:
        """The campaign at one head, from its beginning or the checkpoint that there is."""
        office = office or self.office
        tenure = await self.own(office)
        self.orchestrator = Orchestrator(office, tenure, self.request, self.lives.append)
        return await self.orchestrator.run(await self.store.checkpoint(self.request.key))

    async def leftovers(self, key: str = "c-1") -> list[str]:
        """What is left of the campaign at the broker."""
        await asyncio.sleep(1)
        return [topic for topic in self.transport._topics if key in topic]

    def stop(self, is_hard: bool) -> None:
        assert self.orchestrator is not None
        self.orchestrator.stop(is_hard)

    async def conduct_mortally(self, mortal: MortalStore) -> Report:
        """At a head that dies at a call of its store, then at another one."""
        first = asyncio.ensure_future(self.conduct(self.office_of("first", store=mortal)))
        dying = asyncio.ensure_future(mortal.died.wait())
        await asyncio.wait([first, dying], return_when=asyncio.FIRST_COMPLETED)
        dying.cancel()
        if first.done():
            return first.result()
        first.cancel()
        await asyncio.wait([first])
        if (report := self.store.reports.get(self.request.key)) is not None:
            return report
        while True:
            if self.request.key in await self.store.claimable():
                break
            await asyncio.sleep(0.1)
        return await self.conduct(self.office_of("second"))

    async def play(self, conduct: Coroutine[Any, Any, Report] | None = None) -> Report:
        return await accompanied(
            conduct or self.conduct(),
            self.reception.serve(),
            *(_for_ever(factory) for factory in (self.factory, *self.others)),
        )


async def _for_ever(factory: PlayedFactory) -> None:
    await factory.run()
    await asyncio.Event().wait()
