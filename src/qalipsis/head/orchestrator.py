"""Drives one campaign: performs what its state machine decides, merges what factories tell, reports."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

import msgspec

from qalipsis.clock import Clock, TimerHandle
from qalipsis.cluster import messages, topics
from qalipsis.cluster.accompanied import accompanied
from qalipsis.cluster.codec import Received
from qalipsis.cluster.inbox import Inbox
from qalipsis.cluster.messages import (
    AbortCampaign,
    AssignFactory,
    CloseCampaign,
    DeclareMinions,
    Directive,
    DirectiveDone,
    DirectiveFailed,
    DirectiveIgnored,
    Fault,
    ScenarioEnded,
    SnapshotTaken,
    StartMinions,
    StopScenario,
    WorkerSilent,
    WorkerState,
)
from qalipsis.cluster.publisher import Publisher
from qalipsis.cluster.transport import Transport
from qalipsis.errors import CampaignRefused, FactoryError, QalipsisError, ServiceUnavailable
from qalipsis.head import campaign as life
from qalipsis.head import limits
from qalipsis.head.accounts import worker_name
from qalipsis.head.assignment import Assignment, Member, assign, eligible
from qalipsis.head.campaign import Campaign, Phase
from qalipsis.head.conditions import check
from qalipsis.head.limits import Limits
from qalipsis.head.live_view import LiveView
from qalipsis.head.reception import Reception
from qalipsis.head.report_builder import Ending, build
from qalipsis.head.scenario_request import ScenarioRequest, as_requested, check_scenarios
from qalipsis.head.stage_limits import check_stages
from qalipsis.head.store import Store
from qalipsis.head.tally import Place, Tally
from qalipsis.head.zone_check import check_zones
from qalipsis.metrics.snapshot import Snapshot
from qalipsis.plan.model import ScenarioDescriptor
from qalipsis.plan.selection import select
from qalipsis.reports.live import Live
from qalipsis.reports.model import Message, Report, Second

SNAPSHOTS_ARRIVE: Final = 0.2
"""Seconds after a full second until the workers' snapshots of it have been merged."""

IDLE_TICK: Final = 0.5

_ERRORS: Final = {"refused": CampaignRefused, "unavailable": ServiceUnavailable}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignRequest:
    """What is to be run. Durations are seconds.

    When `scenarios` are named, they are those that are run, each as it is asked for; otherwise those that the
    `patterns` match.
    """

    key: str
    name: str | None
    seed: int
    patterns: tuple[str, ...] = ()
    scenarios: Mapping[str, ScenarioRequest] = field(default_factory=dict)
    minions_factor: float = 1.0
    minions_per_scenario: int | None = None
    speed_factor: float = 1.0
    start_offset: float = 0.5
    grace: float = 30.0
    required_factories: int = 1
    factories_timeout: float = 30.0
    limits: Limits = field(default_factory=Limits)
    environment: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Tick:
    """A moment to close seconds, check conditions and deadlines, and show how it stands."""


@dataclass(frozen=True, slots=True)
class _Stop:
    is_hard: bool
    reason: str


class Orchestrator:
    """One campaign from request to report. `stop` may be called at any time."""

    def __init__(
        self,
        transport: Transport,
        publisher: Publisher,
        reception: Reception,
        store: Store,
        clock: Clock,
        request: CampaignRequest,
        watch: Callable[[Live], None],
    ) -> None:
        self._publisher = publisher
        self._reception = reception
        self._store = store
        self._clock = clock
        self._request = request
        self._watch = watch
        self._inbox = Inbox(transport, topics.feedback(request.key))
        self._events: asyncio.Queue[Received | _Tick | _Stop] = asyncio.Queue()
        self._campaign = Campaign(key=request.key, start_offset=request.start_offset, grace=request.grace)
        self._scenarios: tuple[ScenarioDescriptor, ...] = ()
        self._factories: tuple[Member, ...] = ()
        self._assignment = Assignment({}, {}, {})
        self._tally = Tally()
        self._live = LiveView(request.name or request.key)
        self._name = request.name or request.key
        self._pieces: dict[Place, list[bytes]] = {}
        self._awaited: frozenset[str] = frozenset()
        self._messages: list[Message] = []
        self._faults: list[str] = []
        self._ended_at: float | None = None
        self._created_at = clock.epoch(clock.now())
        self._timer: TimerHandle | None = None

    async def run(self) -> Report:
        """Run the campaign to its end.

        Raises ScenarioErrors, CampaignRefused, ServiceUnavailable or FactoryError when it cannot start.
        """
        try:
            return await accompanied(self._drive(), self._listen())
        except QalipsisError:
            await self._store.save_state(self._campaign.key, Phase.FAILED, self._epoch())
            raise
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def stop(self, is_hard: bool, reason: str = "by the user") -> None:
        """Stop softly, so that running passes end, or hard, so that everything is interrupted."""
        self._events.put_nowait(_Stop(is_hard, reason))

    async def _listen(self) -> None:
        async for received in self._inbox.messages():
            await self._events.put(received)

    async def _drive(self) -> Report:
        try:
            return await self._drive_to_the_end()
        except Exception:
            await self._dismiss()
            raise

    async def _dismiss(self) -> None:
        """Have the factories forget a campaign that failed, so that they are free for the next one."""
        waiting = set(self._campaign.factories)
        with suppress(TimeoutError, QalipsisError):
            async with asyncio.timeout(life.CLOSING_SECONDS):
                await self._direct(CloseCampaign())
                while waiting:
                    event = await self._events.get()
                    if isinstance(event, Received) and isinstance(
                        event.message, messages.Final | DirectiveIgnored
                    ):
                        waiting.discard(event.source)

    async def _drive_to_the_end(self) -> Report:
        self._schedule_tick()
        await self._step(life.Requested())
        while not self._campaign.is_over:
            event = await self._events.get()
            match event:
                case Received():
                    await self._hear(event)
                case _Tick():
                    await self._tick()
                case _Stop():
                    await self._stop(event)
        return await self._conclude()

    async def _stop(self, asked: _Stop) -> None:
        before = self._campaign
        await self._step(life.StopRequested(asked.is_hard))
        if self._campaign != before:
            how = "at once" if asked.is_hard else "softly"
            self._messages.append(Message(severity="ABORT", text=f"stopped {how} {asked.reason}"))

    # The state machine

    async def _step(self, event: life.Event) -> None:
        before = self._campaign
        self._campaign, actions = life.step(before, event, self._clock.now())
        if self._campaign.phase is not before.phase:
            await self._store.save_state(before.key, self._campaign.phase, self._epoch())
            self._show()
        for action in actions:
            await self._perform(action)

    async def _perform(self, action: life.Action) -> None:
        match action:
            case life.FindFactories():
                await self._find_factories()
            case life.Assign():
                await self._assign()
            case life.WarmUp():
                self._awaited = await self._direct(messages.WarmUp())
            case life.Start():
                self._schedule_tick()
                await self._direct(StartMinions(at=self._clock.epoch(action.at)))
            case life.Stop():
                for scenario in self._campaign.scenarios:
                    await self._direct(StopScenario(scenario=scenario))
            case life.Interrupt():
                await self._direct(AbortCampaign())
            case life.Close():
                await self._direct(CloseCampaign())
            case life.Conclude():
                return  # `_drive` sees that it is over
            case _:
                assert_never(action)

    async def _find_factories(self) -> None:
        request = self._request
        found = await self._reception.wait_for(request.required_factories, request.factories_timeout)
        known = {scenario.name: scenario for each in found.values() for scenario in each.scenarios}
        there = [Member(node=each.node, workers=each.workers, zone=each.zone) for each in found.values()]
        await self._check(known, there)
        self._scenarios = tuple(
            as_requested(known[name], request.scenarios.get(name))
            for name in (request.scenarios or select(known, request.patterns))
        )
        self._factories = tuple(eligible(there, request.scenarios))
        self._assignment = assign(
            self._scenarios,
            self._factories,
            request.minions_factor,
            request.minions_per_scenario,
            request.scenarios,
        )
        _refuse_beyond(request, self._assignment.minions)
        names = tuple(scenario.name for scenario in self._scenarios)
        self._name = request.name or ", ".join(names)
        self._live.name = self._name
        self._live.minions_scheduled = sum(self._assignment.minions.values())
        await self._step(life.FactoriesFound(tuple(each.node for each in self._factories), names))

    async def _check(self, known: Mapping[str, ScenarioDescriptor], factories: list[Member]) -> None:
        requested = self._request.scenarios
        problems = check_scenarios(requested, known)
        if any(request.zones for request in requested.values()):
            problems += check_zones(requested, await self._store.zones(), factories)
        if problems:
            raise CampaignRefused("\n".join(problems))

    async def _assign(self) -> None:
        for factory in self._factories:
            await self._direct_one(
                factory.node,
                AssignFactory(
                    campaign=self._campaign.key,
                    zones=tuple(self._assignment.zones.values()),
                    first_worker=self._assignment.first_worker[factory.node],
                    seed=self._request.seed,
                    speed_factor=self._request.speed_factor,
                ),
            )
        requested = self._request.scenarios
        self._awaited = await self._direct(
            DeclareMinions(
                minions=self._assignment.minions,
                shares=self._assignment.shares,
                profiles={name: each.profile for name, each in requested.items() if each.profile is not None},
            )
        )

    async def _direct(self, directive: Directive) -> frozenset[str]:
        """Say it to all factories; returns the ids of the messages."""
        return frozenset([await self._direct_one(node, directive) for node in self._campaign.factories])

    async def _direct_one(self, node: str, directive: Directive) -> str:
        return await self._publisher.say(topics.node(node), directive, self._campaign.key)

    # What factories tell

    async def _hear(self, received: Received) -> None:
        node, message = received.source, received.message
        match message:
            case DirectiveDone():
                if message.directive in self._awaited:
                    await self._step(life.Answered(node))
            case DirectiveIgnored():
                _log.info("%s ignored a directive: %s", node, message.reason)
            case DirectiveFailed():
                failure = life.Failure(message.cause, message.reason)
                await self._step(life.CouldNot(node, failure))
            case WorkerState():
                self._meet((node, message.worker), message)
            case SnapshotTaken():
                self._collect((node, message.worker), message)
            case WorkerSilent():
                place = (node, message.worker)
                self._tally.silent(place, message.seconds)
                self._live.notice(f"{worker_name(place)} does not report: user code blocks its event loop")
            case Fault():
                self._lose((node, message.worker), message)
            case ScenarioEnded():
                self._ended_at = max(message.at, self._ended_at or message.at)
                await self._step(life.Ended(node, message.scenario))
            case messages.Final():
                self._settle(node, message)
                await self._step(life.Closed(node))
            case _:
                _log.warning("%s sent %s, which only factories read", node, type(message).__name__)

    def _meet(self, place: Place, message: WorkerState) -> None:
        self._tally.add_worker(place, message.pid)
        planned = message.planned_s
        if planned is None:
            return
        self._live.planned_s = max(planned, self._live.planned_s or 0.0)
        refusal = limits.refusal_of_duration(self._request.limits, planned)
        if refusal is not None:
            raise CampaignRefused(refusal)

    def _collect(self, place: Place, message: SnapshotTaken) -> None:
        pieces = self._pieces.setdefault(place, [])
        if message.piece == 0:
            pieces.clear()
        pieces.append(message.data)
        if len(pieces) < message.pieces:
            return
        data = b"".join(pieces)
        pieces.clear()
        try:
            self._tally.add(place, msgspec.msgpack.decode(data, type=Snapshot))
        except (msgspec.MsgspecError, ValueError) as error:
            fault = f"a snapshot of {worker_name(place)} could not be read and is missing here: {error}"
            self._faults.append(fault)
            self._live.notice(fault)

    def _lose(self, place: Place, message: Fault) -> None:
        after = max(0.0, message.at - self._started_at())
        reason = f"{message.reason}, {after:.1f} s after the start"
        if place in self._tally.workers:
            self._tally.lose(place, reason, message.at, message.ledgers)
        self._live.notice(f"{worker_name(place)} (process {message.pid}) {reason}")

    def _settle(self, node: str, message: messages.Final) -> None:
        for worker, ledgers in message.ledgers.items():
            if (tally := self._tally.workers.get((node, worker))) is not None:
                tally.ledgers = ledgers

    # Once a second

    def _schedule_tick(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        now, start = self._clock.now(), self._campaign.started_at
        at = now + IDLE_TICK
        if start is not None:
            # A little is added, or rounding would make the same second follow itself.
            past = (now - start - SNAPSHOTS_ARRIVE + 0.01) // 1.0
            at = start + max(0.0, past + 1.0) + SNAPSHOTS_ARRIVE
        self._timer = self._clock.call_at(at, lambda: self._events.put_nowait(_Tick()))

    async def _tick(self) -> None:
        self._schedule_tick()
        if self._campaign.started_at is not None:
            elapsed = self._clock.now() - self._campaign.started_at
            await self._keep(self._tally.close_seconds(elapsed))
            self._check_conditions()
        self._show()
        await self._step(life.TimePassed())

    async def _keep(self, seconds: tuple[Second, ...]) -> None:
        for second in seconds:
            self._live.add(second, self._tally)
        await self._store.save_seconds(self._campaign.key, seconds)
        await self._store.save_meters(self._campaign.key, self._tally.take_meters(self._started_at()))

    def _check_conditions(self) -> None:
        for each in check(self._scenarios, self._tally.aggregate):
            if not each.is_violated:
                continue
            text = f"{each.scenario}: expected {each.expectation.text}"
            self._live.notice(text)
            if each.abort and self._campaign.phase is Phase.RUNNING:
                self.stop(False, f"because a condition is violated, {text}")

    def _show(self) -> None:
        start = self._campaign.started_at
        elapsed = 0.0 if start is None else max(0.0, self._clock.now() - start)
        self._watch(self._live.show(self._campaign.phase, elapsed, self._tally))

    # The end

    async def _conclude(self) -> Report:
        failure = self._campaign.failure
        if failure is not None and self._campaign.started_at is None:
            raise _ERRORS.get(failure.cause, FactoryError)(failure.reason)
        if failure is not None:
            self._faults.append(failure.reason)
        await self._keep(self._tally.close_all_seconds())
        started_at = self._started_at()
        report = build(
            Ending(
                key=self._campaign.key,
                name=self._name,
                seed=self._request.seed,
                speed_factor=self._request.speed_factor,
                started_at=started_at,
                ended_at=max(started_at, self._ended_at or self._epoch()),
                scenarios=self._scenarios,
                factories=self._factories,
                assignment=self._assignment,
                tally=self._tally,
                timeline=await self._store.seconds(self._campaign.key),
                is_aborted=self._campaign.phase is Phase.ABORTED,
                messages=tuple(self._messages),
                faults=tuple(self._faults),
                environment=self._request.environment,
            )
        )
        await self._store.save_report(report)
        return report

    def _started_at(self) -> float:
        start = self._campaign.started_at
        return self._created_at if start is None else self._clock.epoch(start)

    def _epoch(self) -> float:
        return self._clock.epoch(self._clock.now())


def _refuse_beyond(request: CampaignRequest, minions: Mapping[str, int]) -> None:
    """Raises CampaignRefused when the campaign is more than the installation allows."""
    refusal = limits.refusal(request.limits, minions)
    if refusal is not None:
        raise CampaignRefused(refusal)
    problems = [
        f"{name}: {problem}"
        for name, each in request.scenarios.items()
        for problem in check_stages(request.limits.stage, each.profile, minions[name])
    ]
    if problems:
        raise CampaignRefused("\n".join(problems))
