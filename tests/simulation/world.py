"""A whole cluster in one thread and one seed: heads, factories, broker, store, people."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from functools import partial
from random import Random
from typing import Any

import msgspec
from msgspec import Struct

from qalipsis.cluster.accompanied import accompanied
from qalipsis.cluster.codec import Received, decode
from qalipsis.cluster.memory import MemoryTransport
from qalipsis.cluster.transport import Transport
from qalipsis.config.settings import GracefulShutdown
from qalipsis.engine.runner import WorkerEngine
from qalipsis.errors import QalipsisError, TransportClosed
from qalipsis.factory.kit import Kit
from qalipsis.factory.membership import stay
from qalipsis.factory.orders import Order
from qalipsis.factory.pipes import open_pipe
from qalipsis.factory.session import Identity, Session
from qalipsis.factory.worker import Worker
from qalipsis.head.campaign import OnFactoryLoss
from qalipsis.head.campaign_configuration import CampaignConfiguration
from qalipsis.head.campaign_list import moment
from qalipsis.head.campaign_request import CampaignRequest
from qalipsis.head.office import Office
from qalipsis.head.orchestrator import Orchestrator
from qalipsis.head.reception import Reception
from qalipsis.head.roster import Roster
from qalipsis.head.service import CampaignService
from qalipsis.testing.chaos import ChaosTransport
from qalipsis.testing.loop_clock import EPOCH
from qalipsis.testing.virtual_loop import START
from tests.simulation import load
from tests.simulation.invariants import KnowingDirectory, WatchedStore
from tests.simulation.lines import Ice, Line, Remote, Weather
from tests.simulation.machines import Machine, MachineLoop
from tests.simulation.truth import Truth

HEARTBEAT = 0.5
LEASE = 3.0
CLAIM_LEASE = 1.5

DEAF_AFTER = (HEARTBEAT / 2, HEARTBEAT)
"""When a machine notices that the broker answers nobody; over Redis it takes half a second to a second of the
usual heartbeat.
"""

QUIET_SECONDS = 3 * HEARTBEAT
"""A factory to which nothing happened for so long has said a heartbeat, and has been there to say it."""

HELD_SECONDS = 0.8
"""Longer than a head takes to hear of something, commit what follows and say it; nobody is lost by it."""


class _Said(Struct):
    """What is of interest of a message, of all that its envelope says."""

    kind: str
    campaign: str
    source: str
    incarnation: int
    sequence: int


_said = msgspec.msgpack.Decoder(_Said)


class MachineClock:
    """The clocks of one machine, which agree with no other's."""

    def __init__(self, loop: MachineLoop, boot: float, skew: float) -> None:
        self._loop = loop
        self._boot = boot
        self._skew = skew

    def now(self) -> float:
        return self._loop.time() + self._boot

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return self._loop.call_at(when - self._boot, callback)

    def epoch(self, at: float) -> float:
        return at - self._boot - START + EPOCH + self._skew

    def cpu(self) -> float:
        return 0.0


class _NoCollector:
    def open(self, now: float) -> None: ...

    def second(self, started: int, now: float) -> None: ...

    def close(self) -> None: ...


class WorkerMachine:
    """A worker that dies as a process does: nothing is closed in order, its counters stay."""

    def __init__(
        self, world: World, factory: Factory, pipe_end: socket.socket, ledger_descriptor: int
    ) -> None:
        self.pid = world.next_number()
        self.exited: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.machine = Machine(world.loop, f"{factory.name}/{self.pid}")
        self.machine.on_crash = self._crashed
        self._pipe_end = pipe_end
        factory.machine.parts.append(self.machine)
        kit = Kit(
            make_clock=lambda offset: factory.clock,
            load=lambda paths, values: load.loaded(),
            make_engine=partial(_engine, world, self.machine.name),
            make_collector=_NoCollector,
        )
        task = self.machine.spawn(self._run(ledger_descriptor, kit))
        task.add_done_callback(self._ended)

    def kill(self) -> None:
        self.machine.crash()

    async def _run(self, ledger_descriptor: int, kit: Kit) -> None:
        await Worker(await open_pipe(self._pipe_end, Order), ledger_descriptor, kit).run()

    def _crashed(self) -> None:
        # As the kernel does: who listens to the other end sees that nobody is there any more.
        with suppress(OSError):
            self._pipe_end.shutdown(socket.SHUT_RDWR)
        if not self.exited.done():
            self.exited.set_result("was killed")

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not self.exited.done():
            self.exited.set_result("ended")


class CountingTarget:
    """The target of the load, as a worker reaches it in a campaign."""

    def __init__(self, world: World, worker: str, campaign: str) -> None:
        self._world = world
        self._worker = worker
        self._campaign = campaign

    def receive(self, scenario: str, minion: int | None, is_last: bool) -> None:
        at = self._world.loop.time()
        self._world.truth.receive(at, self._campaign, self._worker, scenario, minion, is_last)

    def answer_last(self, scenario: str, minion: int) -> None:
        self._world.truth.answer_last(self._campaign, scenario, minion)


def _engine(world: World, worker: str, *arguments: Any, **options: Any) -> WorkerEngine:
    def find_step(kind: str) -> Callable[[Any], load.CountedStep]:
        return partial(load.CountedStep, target=CountingTarget(world, worker, options["campaign"]))

    return WorkerEngine(*arguments, **options, find_step=find_step, drain_seconds=1.0)


class Overseen(Orchestrator):
    """The world looks at whom it takes for lost."""

    def __init__(self, world: World, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._world = world

    async def _lose(self, node: str, reason: str, *, has_told: bool) -> None:
        if not has_told and node in self._campaign.present:
            self._world.given_up(self._campaign.key, node)
        await super()._lose(node, reason, has_told=has_told)


class Head:
    """A process of `qalipsis head`."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self.machine = Machine(world.loop, name)
        self.clock = world.make_clock()
        self.line = world.make_line()
        self.service: CampaignService | None = None
        self.store = Remote(world.store, world.weather, world.fork())
        self.store.on_doom = self.machine.crash
        self._world = world
        self.task = self.machine.spawn(self._serve())

    @property
    def is_living(self) -> bool:
        return self.machine.is_running and self.service is not None and not self.task.done()

    async def _serve(self) -> None:
        world = self._world
        directory = Remote(world.directory, world.weather, world.fork())
        office = Office(
            head=self.name,
            transport=world.wrapped(self.line),
            store=self.store,  # type: ignore[arg-type]
            directory=directory,  # type: ignore[arg-type]
            roster=Roster(directory),  # type: ignore[arg-type]
            clock=self.clock,
            heartbeat_s=HEARTBEAT,
            lease_s=LEASE,
            claim_lease_s=CLAIM_LEASE,
        )
        self.service = CampaignService(
            office,
            world.defaults,
            lambda tenure, asked, watch: Overseen(world, office, tenure, asked, watch),
            is_alone=False,
            now=lambda: moment(self.clock.epoch(self.clock.now())),
        )
        await accompanied(self.service.serve(), Reception(office, world.next_number()).serve())


class Factory:
    """A process of `qalipsis factory`, and its workers."""

    def __init__(self, world: World, name: str, zone: str | None, workers: int) -> None:
        self.name = name
        self.zone = zone
        self.workers = workers
        self.machine = Machine(world.loop, name)
        self.clock = world.make_clock()
        self.line = world.make_line()
        self.session: Session | None = None
        self._world = world
        self.task = self.machine.spawn(self._serve())

    @property
    def is_living(self) -> bool:
        is_ending = self.session is not None and self.session.is_ending
        return self.machine.is_running and not self.task.done() and not is_ending

    @property
    def is_engaged(self) -> bool:
        return self.session is not None and any(seat.engagement for seat in self.session._seats)

    def is_well_in(self, campaign: str) -> bool:
        """Whether it works for the campaign, and nothing kept it from saying so."""
        now = self._world.loop.time()
        is_there = self.session is not None and any(
            seat.engagement and seat.engagement.campaign == campaign for seat in self.session._seats
        )
        is_reached = self.line.is_whole and not self.line.is_lost
        undisturbed_since = max(self.machine.thawed_at, self.line.disturbed_at)
        return self.is_living and is_there and is_reached and now - undisturbed_since > QUIET_SECONDS

    async def _serve(self) -> None:
        world = self._world
        transport = world.wrapped(self.line)
        self.session = session = Session(
            transport,
            self.clock,
            Identity(node=self.name, incarnation=world.next_number(), zone=self.zone),
            self.workers,
            partial(WorkerMachine, world, self),
            grace=GracefulShutdown(campaign=1.0),
        )
        try:
            await session.load(["simulated.py"], {})
            await stay(session, transport, self._open_again, 1e6)
        finally:
            await session.aclose()

    async def stop(self, is_hard: bool) -> None:
        if self.session is not None:
            self.session.stop(is_hard)

    async def _open_again(self) -> Transport:
        self.line = self._world.make_line()
        return self._world.wrapped(self.line)


class World:
    """Everything that the seed decides before the start; `run` is what becomes of it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.loop = MachineLoop()
        self.broken: list[str] = []
        self.trace: list[str] = []
        clock = MachineClock(self.loop, 0.0, 0.0)
        self.broker = MemoryTransport()
        self.ice = Ice()
        self.store = WatchedStore(clock, self.violated, self._changed)
        self.ended_at: dict[str, float] = {}
        """When each campaign was over."""
        self.directory = KnowingDirectory(clock, self.store)
        self.weather = Weather()
        self.truth = Truth(self.violated)
        self.heads: list[Head] = []
        self.factories: list[Factory] = []
        self.machines: list[Machine] = []
        self._number = 0
        self.is_started = asyncio.Event()
        """Some campaign runs, or has run."""
        self._awaited: dict[str, list[asyncio.Future[Received]]] = {}
        """Who waits for a message to hold back, by its kind."""
        self.is_chaotic = self.random.random() < 0.5
        self.zones = self.random.choice(((), (), ("east", "west")))
        self.defaults = CampaignRequest(
            key="",
            name=None,
            seed=seed,
            grace=1.0,
            on_factory_loss=self.random.choice((*(4 * (OnFactoryLoss.REDISTRIBUTE,)), *OnFactoryLoss)),
            accept_redistribution=self.random.random() < 0.5,
        )

    # For its parts

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def fork(self) -> Random:
        return Random(self.random.random())

    def make_clock(self) -> MachineClock:
        # A power of two, so that no moment is rounded to one before it.
        boot = 4096.0 * self.random.randint(1, 4)
        return MachineClock(self.loop, boot, self.random.choice((0.0, 0.0, -0.05, 0.3, 2.0)))

    def make_line(self) -> Line:
        return Line(self.broker, self.ice, self.random.uniform(*DEAF_AFTER), self.fork(), self._overhear)

    def wrapped(self, line: Line) -> Transport:
        if not self.is_chaotic:
            return line
        return ChaosTransport(line, self.random.randrange(1 << 30), 0.05, 0.05, 0.1)

    async def held_back(self, kind: str) -> Received:
        """Wait for such a message, and hold it back for a while: the line is cut that it would take."""
        held: asyncio.Future[Received] = self.loop.create_future()
        self._awaited.setdefault(kind, []).append(held)
        return await held

    def _overhear(self, line: Line, body: bytes) -> None:
        said = _said.decode(body)
        if said.kind == "final":
            self.truth.say_last(said.campaign, said.source, said.incarnation, said.sequence)
        elif said.kind == "assign_factory":
            self.truth.begin_anew(said.campaign)
        elif said.kind == "start_minions":
            self.is_started.set()
        for held in self._awaited.pop(said.kind, ()):
            if not held.done():
                line.cut()
                # On no machine: one that freezes must not stay cut off.
                self.loop.call_later(HELD_SECONDS, line.mend, context=Context())
                held.set_result(decode(body))

    def note(self, who: str, what: str) -> None:
        self.trace.append(f"{self.loop.time() - START:9.3f} {who:>8}: {what}")

    def _changed(self, key: str, what: str) -> None:
        self.note("store", f"{key} {what}")
        if self.store.is_over(key):
            self.ended_at.setdefault(key, self.loop.time())

    def violated(self, what: str) -> None:
        self.note("BROKEN", what)
        self.broken.append(what)

    def given_up(self, campaign: str, node: str) -> None:
        """A head takes the factory for lost because it has not heard it."""
        self.note("store", f"{campaign} goes on without {node}, of which nothing was heard")
        if any(each.is_well_in(campaign) for each in self.factories if each.name == node):
            self.violated(f"{campaign}: {node} is taken for lost, though it lives and nothing happened to it")

    # Who comes and goes

    def add_head(self) -> Head:
        head = Head(self, f"head-{len(self.heads) + 1}")
        head.task.add_done_callback(partial(self._has_ended, head.name, head.line))
        self.heads.append(head)
        self.machines.append(head.machine)
        self.note(head.name, "starts")
        return head

    def add_factory(self, name: str, zone: str | None, workers: int) -> Factory:
        factory = Factory(self, name, zone, workers)
        factory.task.add_done_callback(partial(self._has_ended, name, factory.line))
        self.factories.append(factory)
        self.machines.append(factory.machine)
        self.note(name, f"starts in {zone} with {workers} workers")
        return factory

    def _has_ended(self, name: str, line: Line, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            if isinstance(error, TransportClosed) and line.is_lost:
                self.note(name, "has ended: its broker is gone")
                return
            self.violated(f"{name} has ended by {type(error).__name__}: {error}")

    @property
    def living_heads(self) -> list[Head]:
        return [head for head in self.heads if head.is_living]

    @property
    def living_factories(self) -> list[Factory]:
        return [each for each in self.factories if each.is_living]

    # People

    async def ask(self, head: Head, work: Coroutine[Any, Any, Any]) -> Any:
        """What a head answers to a client of its API, who waits for two seconds."""
        task = head.machine.spawn(work)
        done, _ = await asyncio.wait([task], timeout=2.0)
        if not done:
            return None
        with suppress(QalipsisError):
            return task.result()
        return None

    async def submit(self, configuration: CampaignConfiguration) -> None:
        """Ask until a head takes it: before the factories have come, it is refused."""
        while True:
            known = len(self.store.keys)
            if heads := self.living_heads:
                head = self.random.choice(heads)
                assert head.service is not None
                await self.ask(head, head.service.start(configuration, "anna"))
                if len(self.store.keys) > known:
                    self.note("anna", f"submits {self.store.keys[-1]}")
                    return
            await asyncio.sleep(0.4)

    async def abort(self, is_hard: bool) -> None:
        """Stop any campaign that is there."""
        keys = [key for key in self.store.keys if not self.store.is_over(key)]
        if keys and (heads := self.living_heads):
            key, head = self.random.choice(keys), self.random.choice(heads)
            assert head.service is not None
            self.note("ben", f"aborts {key} at {head.name}, {'hard' if is_hard else 'softly'}")
            await self.ask(head, head.service.abort(key, is_hard=is_hard, user="ben"))
