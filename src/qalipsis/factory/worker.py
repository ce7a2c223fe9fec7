"""One worker: the only place where user code runs. Usually in a process of its own."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from typing import Any, assert_never

import msgspec

from qalipsis.cluster.messages import AbortCampaign, CloseCampaign, StartMinions, StopScenario, WarmUp
from qalipsis.engine.runner import WorkerEngine
from qalipsis.engine.step import StepError
from qalipsis.errors import CampaignRefused, FactoryError, QalipsisError, ScenarioErrors, ServiceUnavailable
from qalipsis.factory import limits
from qalipsis.factory.event_log import LoggedEvents
from qalipsis.factory.kit import Kit
from qalipsis.factory.orders import (
    Closed,
    Done,
    Ended,
    Failed,
    Frozen,
    Load,
    Loaded,
    Mistaken,
    Order,
    Prepare,
    Prepared,
    Reckon,
    Reckoned,
    Restart,
    WorkerAnswer,
)
from qalipsis.factory.pipes import Pipe
from qalipsis.factory.properties import WorkerProperties
from qalipsis.factory.shared_ledger import map_ledger
from qalipsis.metrics.ledger import Slot
from qalipsis.metrics.snapshot import Snapshot
from qalipsis.plan.compiler import descriptor
from qalipsis.plan.model import Plan
from qalipsis.plan.ownership import ownership_of
from qalipsis.plan.portion import Takeover
from qalipsis.plan.profile_override import ProfileOverride, profile_of

SNAPSHOT_SECONDS = 1.0

KIT = Kit()

_log = logging.getLogger(__name__)


class Worker:
    """Carries out the supervisor's orders, each answered in order, until the pipe ends.

    An order that takes time is a task, so that an abort can interrupt it.
    """

    def __init__(self, pipe: Pipe[Order], ledger_descriptor: int, kit: Kit = KIT) -> None:
        self._pipe = pipe
        self._ledger_descriptor = ledger_descriptor
        self._plans: dict[str, Plan] = {}
        self._events: LoggedEvents | None = None
        self._kit = kit
        self._clock = kit.make_clock(None)
        self._engine: WorkerEngine | None = None
        self._rounds: dict[str, int] = {}
        """The last round of restarts of each scenario."""
        self._task: asyncio.Task[WorkerAnswer] | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._collector = kit.make_collector()
        self._encoder = msgspec.msgpack.Encoder()

    async def run(self) -> None:
        """Work until the supervisor closes the pipe or dies; then everything is ended at once."""
        try:
            async for order in self._pipe.messages():
                await self._accept(order)
        finally:
            await self._end_task()
            await self._close_engine()
            await self._pipe.aclose()

    async def _accept(self, order: Order) -> None:
        match order:
            case Load():
                self._pipe.send(self._load(order))
            case Prepare():
                self._begin(self._prepare(order))
            case WarmUp():
                self._begin(self._warm_up())
            case StartMinions():
                self._pipe.send(self._start(order.at))
            case Reckon():
                self._pipe.send(self._reckon(order))
            case Restart():
                self._pipe.send(self._restart(order))
            case StopScenario():
                if self._engine is not None:
                    self._engine.stop(order.scenario)
                self._pipe.send(Done())
            case AbortCampaign():
                await self._end_task()
                if self._engine is not None:
                    await self._engine.abort()
                self._pipe.send(Done())
            case CloseCampaign():
                await self._end_task()
                self._pipe.send(Closed(left=await self._close_engine()))
            case _:
                assert_never(order)

    def _load(self, order: Load) -> Loaded | Mistaken:
        try:
            found = self._kit.load(order.paths, WorkerProperties(order.properties, os.environ))
        except ScenarioErrors as error:
            return Mistaken(mistakes=tuple((m.file, m.line, m.message, m.hint) for m in error.mistakes))
        self._plans = found.plans
        self._events = None if order.event_levels is None else LoggedEvents(order.event_levels)
        return Loaded(
            scenarios=tuple(descriptor(plan) for plan in found.plans.values()),
            property_keys=tuple(sorted(found.property_keys)),
        )

    async def _prepare(self, order: Prepare) -> Prepared:
        self._clock = self._kit.make_clock(order.epoch_offset)
        self._rounds = {}
        plans = _overridden(self._plans, order.profiles)
        self._engine = engine = self._kit.make_engine(
            plans,
            tuple(order.minions),
            map_ledger(self._ledger_descriptor, len(order.minions)),
            {
                scenario: ownership_of(order.zones, order.shares.get(scenario), minions)
                for scenario, minions in order.minions.items()
            },
            order.worker,
            self._clock,
            campaign=order.campaign,
            seed=order.seed,
            speed_factor=order.speed_factor,
            on_ended=self._scenario_ended,
            minion_grace=order.minion_grace,
            scenario_grace=order.scenario_grace,
            collect_event=None if self._events is None else self._events.collect,
            event_filter=None if self._events is None else self._events.filter,
        )
        await engine.open(order.minions)
        planned, last_start = _planned_seconds(order, plans)
        return Prepared(
            planned_s=planned,
            last_start_s=last_start,
            connections=_connections(engine),
            descriptors_allowed=limits.raise_descriptor_limit(),
            descriptors_open=limits.open_descriptors(),
        )

    async def _warm_up(self) -> Done:
        if self._engine is not None:
            await self._engine.warm_up()
        return Done()

    def _start(self, at: float) -> Done | Failed:
        if self._engine is None:
            return _failed("there is nothing to start: no campaign was prepared")
        start = at - self._clock.epoch(0.0)
        self._collector.open(self._clock.now())
        self._engine.start(start)
        self._ticker = asyncio.create_task(self._tick(self._engine, start))
        return Done()

    def _reckon(self, order: Reckon) -> Reckoned | Failed:
        if self._engine is None:
            return _failed("there is nothing to start again: no campaign was prepared")
        return Reckoned(connections=_connections(self._engine, order.takeovers))

    def _restart(self, order: Restart) -> Done | Failed:
        if self._engine is None:
            return _failed("there is nothing to start again: no campaign was prepared")
        try:
            # Noted first, for a scenario in which nobody can start any more ends again at once.
            self._rounds.update(dict.fromkeys(order.takeovers, order.round))
            self._engine.restart(order.takeovers)
        except FactoryError as error:
            return _failed(str(error))
        return Done()

    async def _tick(self, engine: WorkerEngine, start: float) -> None:
        """Freeze a snapshot at each full second after the common start."""
        following = start + SNAPSHOT_SECONDS
        while True:
            reached = asyncio.Event()
            timer = self._clock.call_at(following, reached.set)
            try:
                await reached.wait()
            finally:
                timer.cancel()
            snapshot = self._freeze(engine)
            started = sum(counts[Slot.MINIONS_STARTED] for counts in snapshot.ledgers.values())
            self._collector.second(started, self._clock.now())
            following = start + SNAPSHOT_SECONDS * ((self._clock.now() - start) // SNAPSHOT_SECONDS + 1)

    def _freeze(self, engine: WorkerEngine) -> Snapshot:
        snapshot = engine.snapshot()
        self._pipe.send(Frozen(data=self._encoder.encode(snapshot)))
        return snapshot

    def _scenario_ended(self, scenario: str) -> None:
        now = self._clock.epoch(self._clock.now())
        self._pipe.send(Ended(scenario=scenario, at=now, round=self._rounds.get(scenario, 0)))

    def _begin(self, work: Coroutine[Any, Any, WorkerAnswer]) -> None:
        self._task = asyncio.create_task(work)
        # A callback, for a task that is cancelled before it began does not run a line of its own.
        self._task.add_done_callback(self._answer)

    def _answer(self, task: asyncio.Task[WorkerAnswer]) -> None:
        self._pipe.send(_failed("interrupted") if task.cancelled() else _outcome(task))

    async def _end_task(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _close_engine(self) -> int:
        """End what still walks, and send what was counted after the last full second.

        Returns how much of it did not end in time.
        """
        engine, self._engine = self._engine, None
        ticker, self._ticker = self._ticker, None
        if ticker is not None:
            ticker.cancel()
            await asyncio.wait([ticker])
        if engine is None:
            return 0
        await engine.abort()
        if ticker is not None:
            self._freeze(engine)
            self._collector.close()
        return await engine.aclose()


def _overridden(plans: Mapping[str, Plan], profiles: Mapping[str, ProfileOverride]) -> dict[str, Plan]:
    """The plans with the profiles that this campaign asks for; the next one finds their own again."""
    overridden = dict(plans)
    for scenario, override in profiles.items():
        profile = profile_of(override)
        if profile is not None:
            overridden[scenario] = replace(plans[scenario], profile=profile)
    return overridden


def _connections(
    engine: WorkerEngine, takeovers: Mapping[str, Takeover] | None = None
) -> tuple[tuple[str, int, int], ...]:
    return tuple((host, port, count) for (host, port), count in engine.connections(takeovers).items())


def _planned_seconds(order: Prepare, plans: Mapping[str, Plan]) -> tuple[float | None, float]:
    """How long everything takes, None when only the minions decide; and when the last one starts."""
    longest, last_start, is_known = 0.0, 0.0, True
    for scenario, minions in order.minions.items():
        plan = plans[scenario]
        profile = plan.profile
        try:
            # Asked of all, for an author's own profile that does not work refuses the campaign here.
            planned = profile.planned_seconds(minions, order.speed_factor)
        except CampaignRefused as error:
            raise CampaignRefused(f"{plan.file}:{plan.line}: {error}") from error
        if planned is None or not (profile.is_arrivals or profile.replay(order.speed_factor)):
            is_known = False  # the profile knows when minions start, and they alone when they end
            last_start = max(last_start, planned or 0.0)
        else:
            longest = max(longest, planned)
    return longest if is_known else None, last_start


def _outcome(task: asyncio.Task[WorkerAnswer]) -> WorkerAnswer:
    match task.exception():
        case None:
            return task.result()
        case CampaignRefused() as error:
            return Failed(cause="refused", reason=str(error))
        case ServiceUnavailable() | StepError() as error:
            return Failed(cause="unavailable", reason=str(error))
        case QalipsisError() as error:
            return _failed(str(error))
        case error:
            _log.error("an order of the supervisor failed", exc_info=error)
            return _failed(f"{type(error).__name__}: {error}")


def _failed(reason: str) -> Failed:
    return Failed(cause="failed", reason=reason)
