"""Runs the scenarios of a campaign in one worker."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from msgspec.structs import replace

from qalipsis import registry
from qalipsis.clock import Clock
from qalipsis.engine.aside import Aside
from qalipsis.engine.assembly import Assembly, StepFactory
from qalipsis.engine.background import Tasks
from qalipsis.engine.events import EventLog
from qalipsis.engine.lifecycle import Replays
from qalipsis.engine.pacing import indices_of, starts, taken_starts
from qalipsis.engine.scene import Scene
from qalipsis.engine.supply import Place, SourceFactory, Supply
from qalipsis.engine.troupe import Troupe
from qalipsis.engine.vitals import Vitals
from qalipsis.engine.wheel import TimerWheel
from qalipsis.errors import FactoryError
from qalipsis.metrics.events import Event, LevelFilter
from qalipsis.metrics.ledger import ScenarioLedger, Slot
from qalipsis.metrics.meters import WorkerMeters
from qalipsis.metrics.snapshot import Snapshot
from qalipsis.plan.model import Plan
from qalipsis.plan.ownership import Ownership
from qalipsis.plan.portion import Takeover

_log = logging.getLogger(__name__)

MOST_NAMES = 10

DRAIN_SECONDS = 0.02
"""How often records become buckets: once a second would stall the loop for 20 ms at 100,000 requests/s."""


def find_step(kind: str) -> StepFactory:
    """The installed implementation of a kind of step."""
    factory: StepFactory = registry.load(registry.STEPS, kind)
    return factory


def find_source(kind: str) -> SourceFactory:
    """The installed reader of a kind of source."""
    factory: SourceFactory = registry.load(registry.SOURCES, kind)
    return factory


class WorkerEngine:
    """One worker's part of a campaign. Call open, warm_up, start, wait_ended, aclose, in this order.

    `ownership` is the one of all scenarios, or one by scenario. `minion_grace` are the seconds that
    interrupted minions get to clean up at the end, `scenario_grace` those that each scenario then gets to
    close its sources and steps.
    """

    def __init__(
        self,
        plans: Mapping[str, Plan],
        scenarios: Sequence[str],
        memory: memoryview,
        ownership: Ownership | Mapping[str, Ownership],
        worker: int,
        clock: Clock,
        seed: int = 0,
        speed_factor: float = 1.0,
        on_ended: Callable[[str], None] = lambda scenario: None,
        find_step: Callable[[str], StepFactory] = find_step,
        find_source: Callable[[str], SourceFactory] = find_source,
        campaign: str = "",
        collect_event: Callable[[Event], None] | None = None,
        event_filter: LevelFilter | None = None,
        drain_seconds: float = DRAIN_SECONDS,
        minion_grace: float = 2.0,
        scenario_grace: float = 10.0,
    ) -> None:
        self._plans = plans
        self._scenarios = tuple(scenarios)
        self._ownership = (
            dict.fromkeys(self._scenarios, ownership) if isinstance(ownership, Ownership) else ownership
        )
        self._worker = worker
        self._clock = clock
        self._seed = seed
        self._speed_factor = speed_factor
        self._on_ended = on_ended
        self._find_step = find_step
        self._find_source = find_source
        self._campaign = campaign
        self._collect_event = collect_event
        self._event_filter = event_filter or LevelFilter()
        self._drain_seconds = drain_seconds
        self._minion_grace = minion_grace
        self._scenario_grace = scenario_grace
        self._wheel = TimerWheel(clock)
        self._tasks = Tasks()
        """The coroutines of minions."""
        self._readers: dict[str, Tasks] = {}
        """What reads the sources of each scenario."""
        self._vitals = Vitals(clock)
        self._ledgers = {name: ScenarioLedger(memory, place) for place, name in enumerate(self._scenarios)}
        self._assemblies: dict[str, Assembly] = {}
        self._supplies: dict[str, Supply] = {}
        self._troupes: dict[str, Troupe] = {}
        self._minions: dict[str, int] = {}
        self._taken: dict[str, int] = {}
        """Minions of lost workers that this one was given."""
        self._asides: dict[str, list[Aside]] = {}
        self._running: set[str] = set()
        self._ended = asyncio.Event()
        self._started_at: float | None = None
        self._sequence = 0
        self.meters = WorkerMeters()

    async def open(self, minions: Mapping[str, int]) -> None:
        """Prepare the scenarios for so many minions in the whole fleet."""
        self._minions = dict(minions)
        for name in self._scenarios:
            plan, ledger = self._plans[name], self._ledgers[name]
            events = None
            if self._collect_event is not None:
                events = EventLog(name, self._clock, self._event_filter, self._collect_event)
            scene = Scene(
                name, self._seed, self._clock, self._wheel, ledger, self.meters, self._tasks, events
            )
            self._readers[name] = Tasks()
            supply = Supply(scene, self._find_source, self._place(name), self._readers[name])
            assembly = Assembly(scene, self._find_step, plan.properties, supply)
            self._assemblies[name] = assembly
            self._supplies[name] = supply
            setup = await assembly.chain(plan.setup)
            chain = await assembly.chain(plan.chain)
            for number, aside in enumerate(plan.asides):
                if self._is_first(name) or aside.is_everywhere:
                    beside = await assembly.chain(aside.chain, supply.of_aside(aside.is_everywhere))
                    self._asides.setdefault(name, []).append(Aside(number, scene, beside))
            profile = plan.profile
            ledger.counts[Slot.MINIONS_SCHEDULED] = self._own_count(name)
            self._troupes[name] = Troupe(
                scene,
                chain,
                setup,
                starts(profile, minions[name], self._speed_factor, self._arrivals(name), self._worker),
                is_open=profile.is_arrivals,
                pool=self._own_indices(name),
                on_ended=lambda name=name: self._scenario_ended(name),  # type: ignore[misc]
                on_start_delay=self._vitals.start_delay,
            )
            self._running.add(name)

    def connections(self, takeovers: Mapping[str, Takeover] | None = None) -> dict[tuple[str, int], int]:
        """How many connections this worker may hold open per (host, port), with what it is to take over."""
        needed: dict[tuple[str, int], int] = {}
        for name, assembly in self._assemblies.items():
            minions = self._own_count(name) + self._taken.get(name, 0)
            if takeovers is not None and name in takeovers:
                minions += self._taken_count(name, takeovers[name])
            of_scenario: dict[tuple[str, int], int] = {}
            for step in assembly.steps:
                count = getattr(step, "connections", None)
                if count is not None:
                    for target, number in count(minions).items():
                        # Steps that share a client share its connections: the largest need counts.
                        of_scenario[target] = max(of_scenario.get(target, 0), number)
            for target, number in of_scenario.items():
                needed[target] = needed.get(target, 0) + number
        return needed

    async def warm_up(self) -> None:
        """See that targets can be reached, and connect what the author wants connected before the start.

        Raises ServiceUnavailable: a wrong address is one message, and not a million failed requests.
        """
        for name, assembly in self._assemblies.items():
            for step in assembly.steps:
                reach = getattr(step, "reach", None)
                if reach is not None:
                    await reach()
            steps = [step for step in assembly.steps if getattr(step, "is_warmed_up", False)]
            if not steps:
                continue
            minions = self._troupes[name].minions(self._own_indices(name))
            for step in steps:
                await step.warm_up(minions)  # type: ignore[union-attr]

    def start(self, at: float) -> None:
        """Begin at a common instant of the machine's monotonic clock."""
        self._started_at = at
        for name in self._scenarios:
            profile = self._plans[name].profile
            replay = profile.replay(self._speed_factor)
            replays = None if replay is None else Replays(at + replay.until, replay.is_hard)
            for aside in self._asides.get(name, ()):
                if self._own_count(name):
                    aside.start(at)
                else:
                    aside.end()
            self._troupes[name].start(at, replays)
            if replays is not None:
                self._wheel.call_at(replays.ends_at, self._supplies[name].stop)
        self._drain_at = self._clock.now() + self._drain_seconds
        self._wheel.call_at(self._drain_at, self._drain)

    def restart(self, takeovers: Mapping[str, Takeover]) -> None:
        """Start minions of lost workers again, after `start`; a scenario that had ended here ends once more.

        Whose planned moment has passed starts at once and is due now, the others keep their moment. Arrivals
        whose moment has passed are counted as dropped.
        """
        if self._started_at is None:
            raise FactoryError("nothing can be started again before the start")
        now = self._clock.now()
        for name, what in takeovers.items():
            profile, minions = self._plans[name].profile, self._minions[name]
            count = self._taken_count(name, what)
            self._taken[name] = self._taken.get(name, 0) + count
            self._supplies[name].take_over(what.records, self._busy(name))
            for aside in self._asides.get(name, ()):
                aside.go_on(now)
            self._running.add(name)
            self._ended.clear()
            self._troupes[name].take_over(
                count,
                indices_of(self._ownership[name], what.minions, minions),
                taken_starts(profile, minions, self._speed_factor, self._arrivals(name), what),
            )

    async def wait_ended(self) -> None:
        """Until every scenario has ended here. Bounded by the caller, who may stop or abort."""
        await self._ended.wait()

    def stop(self, scenario: str | None = None) -> None:
        """No new starts and passes, of one scenario or of all."""
        for name, troupe in self._troupes.items():
            if scenario in (None, name):
                troupe.stop()
                self._supplies[name].stop()

    async def abort(self) -> None:
        """Interrupt everything; what walks counts as aborted."""
        for troupe in self._troupes.values():
            troupe.abort()
        for name in self._asides:
            self._end_asides(name)

    def snapshot(self) -> Snapshot:
        """Everything counted so far, and the distributions since the last call."""
        now = self._clock.now()
        self.meters.drain()
        self._sequence += 1
        dropped = sum(ledger.counts[Slot.ARRIVALS_DROPPED] for ledger in self._ledgers.values())
        elapsed = 0.0 if self._started_at is None else max(0.0, now - self._started_at)
        return replace(
            self.meters.freeze(self._sequence, elapsed),
            ledgers={name: tuple(ledger.counts.tolist()) for name, ledger in self._ledgers.items()},
            health=self._vitals.take(dropped),
        )

    async def aclose(self) -> int:
        """End what still runs, close every connection; returns how much did not end in time, and is left."""
        await self.abort()
        left = await self._tasks.aclose(self._minion_grace)
        if left:
            _log.warning(
                "of the coroutines of interrupted minions, %d did not end within %g s, which "
                "factory.graceful-shutdown.minion allows, and are left: %s",
                *(left.total(), self._minion_grace, _named(left)),
            )
        unclosed = await asyncio.gather(*map(self._close, self._assemblies))
        self._wheel.close()
        return left.total() + sum(unclosed)

    async def _close(self, scenario: str) -> int:
        """Close the sources and the steps of a scenario at the same time; returns how many are left open."""
        assembly = self._assemblies[scenario]
        closing = asyncio.create_task(assembly.aclose())
        left, _ = await asyncio.gather(
            self._readers[scenario].aclose(self._scenario_grace),
            asyncio.wait([closing], timeout=self._scenario_grace),
        )
        if not closing.done():
            left[assembly.closing] += 1
            closing.cancel()
        if left:
            _log.warning(
                "of the sources and steps of the scenario %s, %d did not close within %g s, which "
                "factory.graceful-shutdown.scenario allows, and are left: %s",
                *(scenario, left.total(), self._scenario_grace, _named(left)),
            )
        return left.total()

    def _drain(self) -> None:
        now = self._clock.now()
        self._vitals.lag(now - self._drain_at)
        self.meters.drain()
        self._drain_at = self._clock.now() + self._drain_seconds
        self._wheel.call_at(self._drain_at, self._drain)

    def _arrivals(self, scenario: str) -> Ownership:
        """Who owns which start."""
        return (
            self._busy(scenario) if self._plans[scenario].profile.is_arrivals else self._ownership[scenario]
        )

    def _busy(self, scenario: str) -> Ownership:
        """Only workers that own a minion, should there be more workers than minions."""
        return self._ownership[scenario].busy(self._minions[scenario])

    def _place(self, scenario: str) -> Place:
        """Rows of sources go to workers that own a minion, so that none lies where nobody comes for it."""
        ownership = self._busy(scenario)
        is_idle = self._own_count(scenario) == 0
        return Place(self._campaign, ownership.owner, self._worker, ownership.workers == 1, is_idle)

    def _is_first(self, scenario: str) -> bool:
        return self._busy(scenario).owner(0) == self._worker

    def _end_asides(self, scenario: str) -> None:
        for aside in self._asides.get(scenario, ()):
            aside.end()

    def _own_count(self, scenario: str) -> int:
        return self._ownership[scenario].count(self._worker, 0, self._minions[scenario])

    def _own_indices(self, scenario: str) -> Iterator[int]:
        return self._ownership[scenario].indices(self._worker, 0, self._minions[scenario])

    def _taken_count(self, scenario: str, what: Takeover) -> int:
        ownership, minions = self._ownership[scenario], self._minions[scenario]
        return sum(portion.count(ownership.count(portion.worker, 0, minions)) for portion in what.minions)

    def _scenario_ended(self, name: str) -> None:
        if name not in self._running:
            raise FactoryError(f"the scenario {name} ended twice")
        if any(aside.is_in_step for aside in self._asides.get(name, ())):
            # Its record was what the last minion waited for: it cannot be interrupted in the middle of that.
            self._wheel.call_at(self._clock.now(), partial(self._scenario_still_ended, name))
            return
        self._running.discard(name)
        self._end_asides(name)
        self._on_ended(name)
        if not self._running:
            self._ended.set()

    def _scenario_still_ended(self, name: str) -> None:
        if self._troupes[name].has_ended and name in self._running:
            self._scenario_ended(name)


def _named(counted: Counter[str]) -> str:
    """The most frequent first, as in `walk (3), basket (1)`."""
    shown = ", ".join(f"{name} ({count})" for name, count in counted.most_common(MOST_NAMES))
    return shown if len(counted) <= MOST_NAMES else f"{shown}, …"
