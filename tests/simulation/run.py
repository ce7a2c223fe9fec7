"""Lets one cluster live: what comes, what goes wrong, and whether everything comes to its end."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from qalipsis.head.campaign import OnFactoryLoss
from qalipsis.head.zones import Zone
from tests.simulation import load
from tests.simulation.faults import FAULTS, HARMLESS, Fault
from tests.simulation.machines import Livelock, here
from tests.simulation.report_check import Circumstances, wrongs
from tests.simulation.world import LEASE, World

FAULTY_SECONDS = 8.0
"""Virtual: faults begin in this time."""

MOST_FAULTS = 5

RUN_SECONDS = 4.0
"""Of most campaigns, and a little less."""

ENDS_WITHIN = 150.0
"""Virtual seconds from the last fault to the end of every campaign: a preparation may time out."""

FREE_WITHIN = 60.0
"""Virtual seconds until a factory that nobody asked for its accounts is free again."""

EXPECTED_FAILURES = r"lost before the start|was killed"
"""Why a campaign may fail, when factories go before it has started."""

CLEARED_WITHIN = 1.0
STARTS_WITHIN = 0.1
LEAVES_WITHIN = 30.0
LIFE_SECONDS = 400.0


@dataclass(frozen=True)
class Outcome:
    """How the cluster of a seed did; `broken` are the invariants that did not hold."""

    seed: int
    broken: tuple[str, ...]
    trace: tuple[str, ...]
    faults: tuple[str, ...]
    seconds: float
    """Virtual."""
    ended: tuple[str, ...]
    """The states in which campaigns ended."""


def simulate(seed: int) -> Outcome:
    """The life of the cluster that this seed makes."""
    world = World(seed)
    loop = world.loop
    listener = _Listener(world)
    logger = logging.getLogger("qalipsis")
    level = logger.level
    logger.addHandler(listener)
    logger.setLevel(logging.INFO)
    loop.set_exception_handler(lambda loop, context: world.violated(f"not handled: {context}"))
    asyncio.set_event_loop(loop)
    life = _Life(world)
    try:
        try:
            loop.run_until_complete(asyncio.wait_for(life.live(), LIFE_SECONDS))
        except (Livelock, TimeoutError) as error:
            world.violated(
                f"{error!r}: {[task for task in asyncio.all_tasks(loop) if task._fut_waiter is None]}"
            )  # type: ignore[attr-defined]
        outcome = Outcome(
            seed,
            tuple(world.broken),
            tuple(world.trace),
            tuple(fault.__name__ for fault in life.happened),
            loop.time(),
            tuple(kept.record.state for kept in world.store._kept.values()),
        )
        loop.set_exception_handler(lambda loop, context: None)
        with suppress(Livelock):
            loop.run_until_complete(_bury(world))
        return outcome
    finally:
        logger.removeHandler(listener)
        logger.setLevel(level)
        asyncio.set_event_loop(None)
        loop.close()


class _Life:
    def __init__(self, world: World) -> None:
        self._world = world
        self._random = world.random
        self.happened: list[Fault] = []

    async def live(self) -> None:
        world, random = self._world, self._random
        for zone in world.zones:
            await world.store.add_zone(Zone(key=zone, title=zone))
        for _ in range(random.randint(1, 3)):
            world.add_head()
        fleet = [*world.zones, *random.choices(world.zones or (None,), k=random.randint(1, 3))]
        comings = [
            self._later(0.0 if random.random() < 0.7 else 3.0, self._join, f"f-{number}", zone)
            for number, zone in enumerate(fleet)
        ]
        campaigns = [
            self._later(2.0, world.submit, load.configuration(random, world.zones))
            for _ in range(random.choice((1, 1, 2)))
        ]
        faults = [
            self._later(FAULTY_SECONDS, self._happen, random.choice(FAULTS), random.random() < 0.5)
            for _ in range(random.randint(0, MOST_FAULTS))
        ]
        submitting = [asyncio.create_task(each) for each in campaigns]
        await asyncio.gather(*comings, *faults)
        await self._heal()
        await asyncio.gather(*submitting)
        await self._end()

    async def _later(self, most: float, what: Callable[..., Any], *arguments: Any) -> None:
        await asyncio.sleep(self._random.random() * most)
        made = what(*arguments)
        if isinstance(made, Coroutine):
            await made

    def _join(self, name: str, zone: str | None) -> None:
        self._world.add_factory(name, zone, self._random.randint(1, 2))

    async def _happen(self, fault: Fault, is_in_mid_run: bool) -> None:
        if is_in_mid_run and not self._world.is_started.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(FAULTY_SECONDS):
                    await self._world.is_started.wait()
            await asyncio.sleep(self._random.random() * RUN_SECONDS)
        self.happened.append(fault)
        await fault(self._world)

    async def _heal(self) -> None:
        """From here on nothing goes wrong, and everything that a campaign may need is there."""
        world = self._world
        if not world.living_heads:
            world.add_head()
        for zone in world.zones or (None,):
            if all(each.zone != zone for each in world.living_factories):
                world.add_factory(f"new-{len(world.factories)}", zone, 1)
        world.note("world", "nothing goes wrong from here on")

    async def _end(self) -> None:
        world = self._world
        if not await self._is_so(lambda: all(map(world.store.is_over, world.store.keys)), ENDS_WITHIN):
            states = {key: world.store._kept[key].record.state for key in world.store.keys}
            world.violated(f"{ENDS_WITHIN:g} s after the last fault campaigns are {states}")
        if not await self._is_so(
            lambda: not any(each.is_engaged for each in world.living_factories), FREE_WITHIN
        ):
            busy = [each.name for each in world.living_factories if each.is_engaged]
            world.violated(f"{FREE_WITHIN:g} s after the last campaign {busy} still work for one")
        self._check_reports()
        await asyncio.sleep(CLEARED_WITHIN)
        await self._leave()

    async def _is_so(self, condition: Callable[[], bool], seconds: float) -> bool:
        for _ in range(round(seconds / 0.5)):
            if condition():
                return True
            await asyncio.sleep(0.5)
        return condition()

    def _check_reports(self) -> None:
        world = self._world
        has_lost_nothing = HARMLESS.issuperset(self.happened)
        for key, report in world.store.reports.items():
            around = Circumstances(
                state=world.store._kept[key].record.state,
                settled=world.truth.settled(key, world.store.heard[key]),
                has_lost_nothing=has_lost_nothing,
                is_redistributing=world.defaults.on_factory_loss is OnFactoryLoss.REDISTRIBUTE,
                accepts_redistribution=world.defaults.accept_redistribution,
            )
            for wrong in wrongs(report, world.truth, around):
                world.violated(wrong)
        if not self.happened:
            self._check_starts()
        for key, ended_at in world.ended_at.items():
            late = world.truth.last_at.get(key, 0.0) - ended_at
            if late > LEASE:
                world.violated(f"{key}: it was over, but requests were sent for {late:.1f} s more")
        for key, kept in world.store._kept.items():
            if kept.record.aborter and kept.record.state != "ABORTED":
                world.violated(f"{key}: {kept.record.aborter} has stopped it, but it is {kept.record.state}")
            reason = kept.record.failure_reason or ""
            if reason and not re.search(EXPECTED_FAILURES, reason):
                world.violated(f"{key}: it failed because {reason}")
            if kept.record.state != "FAILED" and world.truth.received[key] and key not in world.store.reports:
                world.violated(f"{key}: it is {kept.record.state} without a report, but requests were sent")

    def _check_starts(self) -> None:
        """Minions that all start at once do so on all machines at once, whatever their clocks show."""
        world = self._world
        for key, report in world.store.reports.items():
            if all(each.profile.startswith("immediate") for each in report.scenarios):
                moments = world.truth.first_at[key].values()
                if max(moments) - min(moments) > STARTS_WITHIN:
                    world.violated(f"{key}: workers started at {world.truth.first_at[key]}")

    async def _leave(self) -> None:
        """Everybody ends in order, and leaves nothing behind."""
        world = self._world
        for factory in world.living_factories:
            factory.machine.spawn(factory.stop(is_hard=False))
        leaving = [factory.task for factory in world.factories if factory.machine.is_running]
        if leaving:
            await asyncio.wait(leaving, timeout=LEAVES_WITHIN)
        closing = [head.machine.spawn(head.service.aclose(False)) for head in world.living_heads]  # type: ignore[union-attr]
        tasks = [*closing, *(head.task for head in world.living_heads)]
        await asyncio.wait(tasks, timeout=LEAVES_WITHIN)
        for head in world.living_heads:
            head.task.cancel()
        await asyncio.sleep(5.0)
        for machine in world.machines:
            for each in (machine, *machine.parts):
                if not each.is_dead and each.unfinished:
                    world.violated(f"{each.name} left {each.unfinished} behind")
        self._check_broker()

    def _check_broker(self) -> None:
        """Everything said can be read. Who crashes cannot clear up: its topics go with their time."""
        for topic, body in self._world.broker.dead_letters:
            self._world.violated(f"what was said on {topic} was set aside: {body!r}")
        if {fault.__name__ for fault in self.happened} <= {
            "store_is_away",
            "answers_are_lost",
            "broker_freezes_for_a_moment",
            "user_aborts",
        }:
            broker = self._world.broker
            left = [topic for topic in broker._topics if topic.startswith("{")]
            if left:
                self._world.violated(f"the broker still holds {left}")


async def _bury(world: World) -> None:
    """Let the coroutines of dead machines end, so that Python does not complain of them."""
    for machine in world.machines:
        for each in (machine, *machine.parts):
            each.bury()
    for _ in range(20):
        await asyncio.sleep(5.0)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if not left:
            return
        for task in left:
            task.cancel()


class _Listener(logging.Handler):
    """What the parts of the cluster log belongs to its story; an unexpected error is a defect."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        machine = here()
        who = "world" if machine is None else machine.name
        self._world.note(who, record.getMessage())
        if record.levelno >= logging.ERROR:
            error = "" if record.exc_info is None else logging.Formatter().formatException(record.exc_info)
            self._world.violated(f"{who} logged an error: {record.getMessage()} {error}")
