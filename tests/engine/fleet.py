"""Several workers on virtual time, of which some are killed and replaced by others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from qalipsis.engine.runner import WorkerEngine
from qalipsis.engine.runner import find_step as installed_step
from qalipsis.head.assignment import Member, assign
from qalipsis.head.redistribution import Book, Redistribution, redistribute
from qalipsis.language.chain import Chain
from qalipsis.metrics.ledger import Books, ScenarioLedger, Slot, books, ledger_bytes, total
from qalipsis.plan.compiler import compile_chain, descriptor
from qalipsis.plan.ownership import ownership_of
from qalipsis.plan.properties import Properties
from qalipsis.testing.virtual_clock import VirtualClock


class Fleet:
    """Engines in step with each other, each on a clock of its own: that of a killed one stands still."""

    def __init__(
        self, chain: Chain[Any], workers: int, find_source: Callable[[str], Any] | None = None
    ) -> None:
        plan, mistakes = compile_chain(chain, Properties({}))
        assert plan is not None, mistakes
        self.name = plan.name
        self.assignment = assign([descriptor(plan)], [Member(node="f", workers=workers)])
        self.book = Book()
        self.now = 1000.0
        self.living = list(range(workers))
        self.lost: list[int] = []
        self.ended: list[tuple[int, float]] = []
        self._last_words: dict[int, tuple[int, ...]] = {}
        self._minions = plan.minions
        self._memory = [memoryview(bytearray(ledger_bytes(1))) for _ in range(workers)]
        self._clocks = [VirtualClock(self.now) for _ in range(workers)]
        options = {} if find_source is None else {"find_source": find_source}
        for memory in self._memory:
            ScenarioLedger(memory, 0).lease[0] = float("inf")
        self.engines = [
            WorkerEngine(
                {plan.name: plan},
                [plan.name],
                self._memory[worker],
                ownership_of((workers,), None, plan.minions),
                worker,
                self._clocks[worker],
                find_step=installed_step,
                on_ended=lambda name, worker=worker: self._has_ended(worker),
                **options,
            )
            for worker in range(workers)
        ]

    def _has_ended(self, worker: int) -> None:
        if worker in self.living:
            self.ended.append((worker, round(self.at(), 2)))

    def at(self) -> float:
        """Seconds after the start."""
        return max(clock.now() for clock in self._clocks) - 1000.0

    async def start(self) -> None:
        for engine in self.engines:
            await engine.open({self.name: self._minions})
            engine.start(self.now)

    async def run_until(self, seconds: float) -> None:
        """Let time pass until so many seconds after the start."""
        until = 1000.0 + seconds
        while True:
            for _ in range(5):
                await asyncio.sleep(0)
            timers = [self._clocks[worker].next_timer() for worker in self.living]
            upcoming = min([at for at in timers if at is not None], default=until)
            if upcoming >= until:
                break
            for worker in self.living:
                self._clocks[worker].run_until(upcoming)
        for worker in self.living:
            self._clocks[worker].run_until(until)
        for _ in range(5):
            await asyncio.sleep(0)

    def kill(self, *workers: int) -> None:
        self.living = [worker for worker in self.living if worker not in workers]
        self.lost += workers
        self._last_words.update({worker: self.row(worker) for worker in workers})

    def restart(self) -> Redistribution:
        """What the head does about all losses that it has not dealt with."""
        found = redistribute(
            self.assignment,
            self.book,
            {worker: {self.name: self.row(worker)} for worker in self.lost if worker not in self.book.lost},
            self.living,
        )
        self.book = found.book
        for directive in found.directives.values():
            for worker, takeovers in directive.takeovers.items():
                self.engines[worker].restart(takeovers)
        return found

    def row(self, worker: int) -> tuple[int, ...]:
        counted = self._last_words.get(worker)
        return counted or tuple(ScenarioLedger(self._memory[worker], 0).counts.tolist())

    def count(self, worker: int, slot: Slot) -> int:
        return self.row(worker)[slot]

    def books(self) -> Books:
        return total(
            books(self.row(worker), is_dead=worker in self.lost) for worker in range(len(self.engines))
        )

    async def aclose(self) -> None:
        for engine in self.engines:
            await engine.aclose()
