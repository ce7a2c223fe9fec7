"""A factory whose workers take over what others have lost: its supervisor, and whole workers behind it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from qalipsis.cluster.messages import (
    AssignFactory,
    CloseCampaign,
    DeclareMinions,
    Fault,
    Feedback,
    RestartMinions,
    ScenarioEnded,
    StartMinions,
    WorkerState,
)
from qalipsis.config.settings import Logging
from qalipsis.errors import CampaignRefused
from qalipsis.factory import limits
from qalipsis.factory.kit import Kit
from qalipsis.factory.orders import (
    Done,
    Ended,
    Order,
    Prepare,
    Prepared,
    Reckon,
    Reckoned,
    Restart,
    WorkerAnswer,
)
from qalipsis.factory.pipes import open_pipe
from qalipsis.factory.supervisor import Supervisor
from qalipsis.factory.worker_process import WorkerProcess
from qalipsis.factory.worker_task import WorkerTask
from qalipsis.head.assignment import Member, assign
from qalipsis.head.redistribution import Book, redistribute
from qalipsis.metrics.ledger import Slot, books, closes, total
from qalipsis.plan.model import ScenarioDescriptor
from qalipsis.plan.portion import Portion, Takeover
from qalipsis.system_clock import SystemClock
from qalipsis.testing.loop_clock import LoopClock
from qalipsis.testing.virtual_loop import VirtualLoop

WHAT = Takeover(minions=(Portion(0),), arrivals=(Portion(0),), records=(Portion(0),))


class Scripted:
    """A worker that does nothing but answer."""

    def __init__(self, pipe_end: socket.socket, descriptor: int) -> None:
        self.pid = 4711
        self.exited: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.orders: list[Order] = []
        self.connections = 10
        self._task = asyncio.create_task(self._run(pipe_end))

    def kill(self) -> None:
        if not self.exited.done():
            self.exited.set_result("was killed")
            self._task.cancel()

    def ends(self, number: int = 0) -> None:
        self._pipe.send(Ended(scenario="shop", at=5.0, round=number))

    async def _run(self, pipe_end: socket.socket) -> None:
        self._pipe: Any = await open_pipe(pipe_end, Order)
        try:
            async for order in self._pipe.messages():
                self.orders.append(order)
                self._pipe.send(self._answer(order))
        finally:
            await self._pipe.aclose()
        if not self.exited.done():
            self.exited.set_result("ended")

    def _answer(self, order: Order) -> WorkerAnswer:
        match order:
            case Prepare():
                return Prepared(
                    planned_s=None,
                    last_start_s=0.0,
                    connections=(("h", 1, 10),),
                    descriptors_allowed=1000,
                    descriptors_open=20,
                )
            case Reckon():
                return Reckoned(connections=(("h", 1, self.connections),))
            case _:
                return Done()


class Told:
    """Everything that a factory reports."""

    def __init__(self) -> None:
        self.all: list[Feedback] = []
        self._came = asyncio.Event()

    def __call__(self, feedback: Feedback) -> None:
        self.all.append(feedback)
        self._came.set()

    def ends(self) -> list[int]:
        """The rounds of the ends that were told."""
        return [each.round for each in self.all if isinstance(each, ScenarioEnded)]

    def faults(self) -> list[Fault]:
        return [each for each in self.all if isinstance(each, Fault)]

    async def until(self, is_so: Callable[[], Any]) -> None:
        async with asyncio.timeout(10):
            while not is_so():
                self._came.clear()
                await self._came.wait()


class Case:
    """A factory of two scripted workers, which are the second and the third of the fleet."""

    def __init__(self) -> None:
        self.bodies: list[Scripted] = []
        self.told = Told()
        self.supervisor = Supervisor(SystemClock(), 2, self._make_body, self.told)

    def _make_body(self, pipe_end: socket.socket, descriptor: int) -> Scripted:
        self.bodies.append(Scripted(pipe_end, descriptor))
        return self.bodies[-1]

    async def __aenter__(self) -> Case:
        await self.supervisor.open()
        await self.supervisor.prepare(
            AssignFactory(campaign="c", zones=(3,), first_worker=1, seed=0, speed_factor=1.0),
            DeclareMinions(minions={"shop": 9}),
        )
        await self.supervisor.start(StartMinions(at=SystemClock().epoch(SystemClock().now())))
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.supervisor.close(CloseCampaign())
        await self.supervisor.aclose()

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)


def restart(number: int, *workers: int) -> RestartMinions:
    return RestartMinions(round=number, takeovers={worker: {"shop": WHAT} for worker in workers})


async def test_only_the_workers_that_take_something_over_are_asked() -> None:
    async with Case() as case:
        assert await case.supervisor.restart(restart(1, 2)) is None
        assert not any(isinstance(order, Reckon | Restart) for order in case.bodies[0].orders)
        assert case.bodies[1].orders[-2:] == [
            Reckon(takeovers={"shop": WHAT}),
            Restart(round=1, takeovers={"shop": WHAT}),
        ]


async def test_an_order_that_comes_again_changes_nothing() -> None:
    async with Case() as case:
        both = await asyncio.gather(*(case.supervisor.restart(restart(1, 1)) for _ in range(2)))
        assert both == [None, "the restarts of round 1 were ordered before"]
        assert sum(isinstance(order, Restart) for order in case.bodies[0].orders) == 1


async def test_an_end_that_crossed_the_order_is_not_the_end() -> None:
    async with Case() as case:
        case.bodies[1].ends()
        await case.settle()
        await case.supervisor.restart(restart(1, 1))
        case.bodies[0].ends(0)
        await case.settle()
        assert case.told.ends() == []
        case.bodies[0].ends(1)
        await case.told.until(lambda: case.told.ends() == [1])


async def test_a_scenario_that_had_ended_is_told_to_end_once_more() -> None:
    async with Case() as case:
        for body in case.bodies:
            body.ends()
        await case.told.until(lambda: case.told.ends() == [0])
        await case.supervisor.restart(restart(3, 1, 2))
        case.bodies[0].ends(3)
        case.bodies[1].ends(3)
        await case.told.until(lambda: case.told.ends() == [0, 3])


async def test_what_this_machine_cannot_hold_is_refused_by_name() -> None:
    async with Case() as case:
        for body in case.bodies:
            body.ends()
        await case.told.until(lambda: case.told.ends() == [0])
        case.bodies[0].connections = 960
        with pytest.raises(CampaignRefused, match=r"not started again here: worker 0 may hold 960 .* 1,000"):
            await case.supervisor.restart(restart(1, 1))
        assert case.told.ends() == [0, 1]
        assert not any(isinstance(order, Restart) for order in case.bodies[0].orders)
        case.bodies[0].connections = 900
        assert await case.supervisor.restart(restart(2, 1)) is None


async def test_a_refusal_while_minions_walk_leaves_the_end_to_them() -> None:
    async with Case() as case:
        case.bodies[0].connections = 960
        with pytest.raises(CampaignRefused):
            await case.supervisor.restart(restart(1, 1))
        assert case.told.ends() == []
        for body in case.bodies:
            body.ends(0)
        await case.told.until(lambda: case.told.ends() == [1])


async def test_ports_are_counted_over_all_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Case() as case:
        monkeypatch.setattr(limits, "local_ports", lambda: (1, 25))
        case.bodies[0].connections = 16
        with pytest.raises(CampaignRefused, match="26 connections to h:1"):
            await case.supervisor.restart(restart(1, 1))


async def test_a_worker_that_dies_with_what_it_took_over_is_told_as_a_fault() -> None:
    async with Case() as case:
        await case.supervisor.restart(restart(1, 1, 2))
        case.bodies[0].kill()
        await case.told.until(case.told.faults)
        assert await case.supervisor.restart(restart(2, 1)) is None  # nobody is left to do it
        case.bodies[1].ends(1)
        await case.told.until(lambda: case.told.ends() == [2])


def test_a_worker_walks_what_it_took_over(tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(_take_over_on_virtual_time(tmp_path))


async def _take_over_on_virtual_time(folder: Path) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    clock, told = LoopClock(loop), Told()
    kit = Kit(make_clock=lambda offset: clock)
    supervisor = Supervisor(clock, 2, partial(WorkerTask, kit=kit), told)
    await supervisor.open()
    try:
        await supervisor.load([_shop(folder, "10s")], {})
        # The first worker of the fleet stands elsewhere.
        await supervisor.prepare(
            AssignFactory(campaign="c", zones=(3,), first_worker=1, seed=0, speed_factor=1.0),
            DeclareMinions(minions={"shop": 30}),
        )
        await supervisor.start(StartMinions(at=clock.epoch(clock.now())))
        await asyncio.sleep(20.0)
        assert told.ends() == [0]
        takeovers = {
            1: {"shop": Takeover(minions=(Portion(0, 2, 2),))},
            2: {"shop": Takeover(minions=(Portion(0, 3, 2),))},
        }
        assert await supervisor.restart(RestartMinions(round=1, takeovers=takeovers)) is None
        await asyncio.sleep(20.0)
        assert told.ends() == [0, 1]
        ledgers = await supervisor.close(CloseCampaign())
    finally:
        await supervisor.aclose()
    for ledger in ledgers.values():
        assert closes(books(ledger["shop"])) == ()
        assert ledger["shop"][Slot.MINIONS_RESTARTED] == 4
        assert ledger["shop"][Slot.MINIONS_COMPLETED] == 14


async def test_killed_processes_are_replaced_by_others(tmp_path: Path) -> None:
    told, clock = Told(), SystemClock()
    supervisor = Supervisor(clock, 3, partial(WorkerProcess, Logging()), told)
    assignment = assign(
        [ScenarioDescriptor(name="shop", minions=30, profile="")], [Member(node="f", workers=3)]
    )
    await supervisor.open()
    try:
        await supervisor.load([_shop(tmp_path, "600ms")], {})
        await supervisor.prepare(
            AssignFactory(campaign="c", zones=(3,), first_worker=0, seed=0, speed_factor=1.0),
            DeclareMinions(minions=assignment.minions),
        )
        [first, *_] = [each.pid for each in told.all if isinstance(each, WorkerState)]
        await supervisor.start(StartMinions(at=clock.epoch(clock.now())))
        await asyncio.sleep(0.3)
        os.kill(first, signal.SIGKILL)
        await told.until(told.faults)
        [fault] = told.faults()
        found = redistribute(assignment, Book(), {0: fault.ledgers}, [1, 2])
        assert await supervisor.restart(found.directives["f"]) is None
        await told.until(lambda: 1 in told.ends())
        ledgers = await supervisor.close(CloseCampaign())
    finally:
        await supervisor.aclose()
    account = total(books(ledgers[worker]["shop"], is_dead=worker == 0) for worker in range(3)).minions
    assert (account.completed, account.scheduled) == (30, 30)
    assert account.restarted == found.restarted[0]["shop"] == 10 - ledgers[0]["shop"][Slot.MINIONS_COMPLETED]
    assert account.lost > 0


def _shop(folder: Path, frame: str) -> Path:
    file = folder / "shop.py"
    file.write_text(
        dedent(
            f"""
            from qalipsis import profile, scenario

            ramp = profile.timeframe("100ms", "{frame}")
            shop = scenario("shop", minions=30, profile=ramp).start().delay("200ms")
            """
        )
    )
    return file
