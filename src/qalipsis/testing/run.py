"""Runs one scenario in this process, on the virtual clock or the machine's, and returns its report."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, Literal

import uvloop

from qalipsis.clock import Clock
from qalipsis.config.settings import Settings
from qalipsis.engine.runner import WorkerEngine
from qalipsis.factory.kit import Kit
from qalipsis.language.chain import Chain
from qalipsis.language.durations import Duration, duration_problems, seconds, text
from qalipsis.language.scenario import Journey
from qalipsis.reports.live import Live
from qalipsis.reports.model import Report
from qalipsis.system_clock import SystemClock
from qalipsis.testing.fake_http import Answers, FakeHttp, fake_http
from qalipsis.testing.fake_step import FakeCall
from qalipsis.testing.fakes import Fakes, FakeSource
from qalipsis.testing.loop_clock import LoopClock
from qalipsis.testing.script import Script
from qalipsis.testing.stage import Stage
from qalipsis.testing.virtual_loop import VirtualLoop
from qalipsis.wiring import RunRequest, open_run

ClockName = Literal["virtual", "real"]

TIMEOUTS = {"virtual": 24 * 3600.0, "real": 600.0}
SELDOM = 3600.0
"""Heartbeats cost real time and tell nothing of virtual one."""

SNAPSHOT_SECONDS = 1.0
"""On virtual time records become buckets with each snapshot: no loop can be stalled by it."""


def run_scenario(
    scenario: Chain[Any] | Journey,
    *,
    minions: int | None = None,
    profile: Any = None,
    target: FakeHttp | Answers | None = None,
    fakes: Mapping[str, Callable[[FakeCall], Any]] | None = None,
    sources: Mapping[Any, FakeSource] | None = None,
    clock: ClockName = "virtual",
    properties: Mapping[str, Any] | None = None,
    seed: int = 0,
    timeout: Duration | None = None,
) -> Report:
    """Run a scenario to its end and return the report that `qalipsis run` would write.

    On the virtual clock waiting takes no time: an hour's ramp is over in moments, and what the report says
    of latencies is exact. There is no network then: `target` answers the HTTP requests, `fakes` are functions
    of a `FakeCall` by kind of step ("kafka.produce"), `sources` are records by kind of source or by the
    source itself. On the real clock the run is that of `qalipsis run --workers 0`; fakes work there as well.

    `minions` and `profile` replace what the scenario says, `properties` are what its `prop(…)` read. Beyond
    `timeout` (of the run's own time; 24 hours virtual, 10 minutes real) TimeoutError is raised. What makes
    `qalipsis run` end without a report is raised, ScenarioErrors for mistakes of the scenario among it, and
    whatever a fake raises, other than StepError.

    In a running event loop use `run_scenario_async`.
    """
    play = _play_of(scenario, minions, profile, target, fakes, sources, clock, properties, seed, timeout)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise RuntimeError(
            "run_scenario cannot wait in a running event loop: use `await run_scenario_async(…)`"
        )
    return play.on_a_loop_of_its_own()


async def run_scenario_async(
    scenario: Chain[Any] | Journey,
    *,
    minions: int | None = None,
    profile: Any = None,
    target: FakeHttp | Answers | None = None,
    fakes: Mapping[str, Callable[[FakeCall], Any]] | None = None,
    sources: Mapping[Any, FakeSource] | None = None,
    clock: ClockName = "virtual",
    properties: Mapping[str, Any] | None = None,
    seed: int = 0,
    timeout: Duration | None = None,
) -> Report:
    """As `run_scenario`, for coroutines.

    On the real clock the scenario runs on the running loop, beside what else lives there. On the virtual
    clock it runs on a loop of its own, in a thread.
    """
    play = _play_of(scenario, minions, profile, target, fakes, sources, clock, properties, seed, timeout)
    is_virtual = isinstance(asyncio.get_running_loop(), VirtualLoop)
    if is_virtual and clock == "real":
        raise RuntimeError('the running event loop has virtual time: leave clock="real" out')
    if is_virtual or clock == "real":
        return await play.here()
    return await _in_a_thread(play)


def _play_of(
    scenario: Chain[Any] | Journey,
    minions: int | None,
    profile: Any,
    target: FakeHttp | Answers | None,
    fakes: Mapping[str, Callable[[FakeCall], Any]] | None,
    sources: Mapping[Any, FakeSource] | None,
    clock: ClockName,
    properties: Mapping[str, Any] | None,
    seed: int,
    timeout: Duration | None,
) -> _Play:
    if clock not in TIMEOUTS:
        raise ValueError(f'clock={clock!r} should be "virtual" or "real"')
    if timeout is not None:
        for problem in duration_problems("timeout", timeout):
            raise ValueError(problem)
    return _Play(
        scenario=scenario,
        minions=minions,
        profile=profile,
        target=target if target is None or isinstance(target, FakeHttp) else fake_http(target),
        fakes=dict(fakes or {}),
        sources=dict(sources or {}),
        clock=clock,
        properties=dict(properties or {}),
        seed=seed,
        timeout=TIMEOUTS[clock] if timeout is None else seconds(timeout),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Play:
    """What was asked for."""

    scenario: Chain[Any] | Journey
    minions: int | None
    profile: Any
    target: FakeHttp | None
    fakes: Mapping[str, Callable[[FakeCall], Any]]
    sources: Mapping[Any, FakeSource]
    clock: str
    properties: Mapping[str, Any]
    seed: int
    timeout: float

    def on_a_loop_of_its_own(self, play: Callable[[], Coroutine[Any, Any, Report]] | None = None) -> Report:
        make_loop = VirtualLoop if self.clock == "virtual" else uvloop.new_event_loop
        with asyncio.Runner(loop_factory=make_loop) as runner:
            return runner.run((play or self.here)())

    async def here(self) -> Report:
        """Run on the running loop."""
        loop = asyncio.get_running_loop()
        virtual = loop if isinstance(loop, VirtualLoop) else None
        clock: Clock = SystemClock() if virtual is None else LoopClock(virtual)
        stage = Stage(clock.now)
        fakes = Fakes(self.target, self.fakes, self.sources, stage, virtual is not None)
        script = Script(self.scenario, self.minions, self.profile, self.properties, fakes.settle)
        kit = Kit(load=script.load, make_engine=partial(_Engine, stage, fakes))
        if virtual is not None:
            virtual.on_refused = stage.broke
            kit = _on_virtual_time(kit, clock)
        request = RunRequest(
            paths=(Path(script.file),),
            settings=_settings(self.seed, virtual is not None),
            check_keys=script.check_keys,
            environment={"clock": self.clock},
        )
        last: list[Live] = []

        def watch(live: Live) -> None:
            last[:] = [live]

        deadline = asyncio.timeout(self.timeout)
        try:
            async with deadline, open_run(request, watch, kit) as run:
                stage.on_broken = lambda: run.stop(hard=True)
                report = await run.wait()
        except Exception as error:
            if stage.broken is not None:
                raise stage.broken from None
            if deadline.expired():
                raise TimeoutError(self._late(last)) from error
            raise
        if stage.broken is not None:
            raise stage.broken
        return report

    def _late(self, last: list[Live]) -> str:
        late = f"the scenario has not ended within {text(self.timeout)} of {self.clock} time"
        for live in last:
            late += (
                f": {live.minions_running} minions still walk, {live.minions_ended} of "
                f"{live.minions_scheduled} have ended, {live.requests} requests were sent"
            )
        return late


class _Engine(WorkerEngine):
    """The engine, with fakes and a stage that knows when it begins."""

    def __init__(self, stage: Stage, fakes: Fakes, *arguments: Any, **options: Any) -> None:
        options |= {"find_step": fakes.find_step, "find_source": fakes.find_source}
        super().__init__(*arguments, **options)
        self._stage = stage

    def start(self, at: float) -> None:
        self._stage.begin(at)
        super().start(at)


class _NoCollector:
    """Pauses of Python's garbage collector take no virtual time."""

    def open(self, now: float) -> None: ...

    def second(self, started: int, now: float) -> None: ...

    def close(self) -> None: ...


def _on_virtual_time(kit: Kit, clock: Clock) -> Kit:
    return replace(
        kit,
        make_clock=lambda offset: clock,
        make_engine=partial(kit.make_engine, drain_seconds=SNAPSHOT_SECONDS),
        make_collector=_NoCollector,
    )


def _settings(seed: int, is_virtual: bool) -> Settings:
    """The defaults, whatever lies in the working directory; how long it may take is the test's to say."""
    settings = Settings()
    configuration = settings.campaign.configuration
    validation = replace(configuration.validation, max_execution_duration=inf)
    campaign = replace(
        settings.campaign, seed=seed, configuration=replace(configuration, validation=validation)
    )
    head = settings.head
    if is_virtual:
        head = replace(head, heartbeat_delay=SELDOM)
    return replace(settings, campaign=campaign, head=head, factory=replace(settings.factory, workers=0))


async def _in_a_thread(play: _Play) -> Report:
    """Play beside the running loop; when this is cancelled, the run is interrupted and waited for."""
    tasks: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []
    is_cancelled = False

    async def here() -> Report:
        task = asyncio.current_task()
        assert task is not None
        tasks.append((asyncio.get_running_loop(), task))
        if is_cancelled:
            raise asyncio.CancelledError
        return await play.here()

    playing = asyncio.ensure_future(asyncio.to_thread(play.on_a_loop_of_its_own, here))
    try:
        return await asyncio.shield(playing)
    except asyncio.CancelledError:
        is_cancelled = True
        for loop, task in tasks:
            loop.call_soon_threadsafe(task.cancel)
        await asyncio.wait([playing])
        if not playing.cancelled():
            playing.exception()  # the interruption comes first
        raise
