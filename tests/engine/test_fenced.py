"""Minions whose worker may send nothing any more stop, whatever their chain makes of errors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from qalipsis import Minion, backoff, journey, profile, scenario
from qalipsis.engine.runner import WorkerEngine, find_step
from qalipsis.engine.step import Fenced
from qalipsis.engine.traffic import Traffic
from qalipsis.language.spec import Spec
from qalipsis.metrics.ledger import Slot

LEASE_SECONDS = 1.0


@dataclass(frozen=True)
class Begun(Spec[Any, Any]):
    kind: ClassVar[str] = "begun"


@dataclass(frozen=True)
class Awaited(Spec[Any, Any]):
    kind: ClassVar[str] = "awaited"


class BegunStep:
    def __init__(self, tries: list[float]) -> None:
        self.tries = tries

    async def open(self, runtime: Any) -> None:
        self.runtime = runtime

    async def aclose(self) -> None: ...

    def begin(self, context: Any, strand: Any) -> Any:
        now = self.runtime.clock.now()
        self.tries.append(now)
        if now > self.runtime.ledger.lease[0]:
            raise Fenced
        return self.runtime.wheel.call_at(now + 0.1, lambda: strand.resume(1))


class AwaitedStep(BegunStep):
    begin = None  # type: ignore[assignment]

    async def execute(self, context: Any) -> Any:
        self.tries.append(self.runtime.clock.now())
        return await Traffic(self.runtime).request(self.sent)

    async def sent(self) -> int:
        answered = asyncio.Event()
        self.runtime.wheel.call_at(self.runtime.clock.now() + 0.1, answered.set)
        await answered.wait()
        return 1


class Fence:
    """Lets the lease end after a second, and interrupts everything at `abort_at`."""

    def __init__(self, abort_at: float = 1e9) -> None:
        self.tries: list[float] = []
        self.abort_at = abort_at
        self.is_aborted = False
        self.began: float | None = None
        self.tasks: set[asyncio.Task[None]] = set()

    def find_step(self, kind: str) -> Any:
        kinds: dict[str, Callable[..., Any]] = {"begun": BegunStep, "awaited": AwaitedStep}
        made = kinds.get(kind)
        return find_step(kind) if made is None else lambda spec: made(self.tries)

    def meddle(self, engine: WorkerEngine, elapsed: float) -> None:
        if self.began is None:
            self.began = engine._clock.now()
            for ledger in engine._ledgers.values():
                ledger.lease[0] = self.began + LEASE_SECONDS
        if elapsed >= self.abort_at and not self.is_aborted:
            self.is_aborted = True
            self.tasks.add(asyncio.create_task(engine.abort()))

    @property
    def late(self) -> int:
        """Tries after the lease had ended."""
        assert self.began is not None
        return sum(at > self.began + LEASE_SECONDS for at in self.tries)


@pytest.mark.parametrize("spec", [Begun(), Awaited()])
@pytest.mark.parametrize(
    "dress",
    [
        lambda step: step.iterate(1_000_000),
        lambda step: step.iterate(1_000_000, period="300ms"),
        lambda step: step.retry(backoff(1_000_000, "1ms")).iterate(100),
        lambda step: step.iterate(1_000_000).recover(lambda errors: 1),
        lambda step: step.timeout("5s").iterate(1_000_000),
    ],
)
async def test_a_chain_ends_with_its_first_try(play: Any, spec: Spec[Any, Any], dress: Any) -> None:
    fence = Fence()
    chain = dress(scenario("shop", minions=3).start().then(spec).named("page"))
    played = await play(chain, find_step=fence.find_step, meddle=fence.meddle)
    assert fence.late == played.step("page").failed == 3
    assert played[Slot.MINIONS_STARTED] == played[Slot.MINIONS_ABORTED] == 3
    assert played[Slot.PASSES_STARTED] == played[Slot.PASSES_ABORTED] == 3
    assert played.seconds < LEASE_SECONDS + 1


async def test_no_minion_walks_again(play: Any) -> None:
    fence = Fence()
    stages = profile.stages(profile.stage(100, ramp_up="1ms", total="30s"))
    chain = scenario("shop", minions=3, profile=stages).start().then(Begun()).named("page")
    played = await play(chain, find_step=fence.find_step, meddle=fence.meddle)
    assert fence.late == played[Slot.MINIONS_ABORTED] == 3


async def test_branches_end_as_well(play: Any) -> None:
    fence = Fence()
    chain = (
        scenario("shop", minions=1)
        .start()
        .stage("visit", lambda it: it.then(Begun()).named("page"))
        .iterate(10**6)
    )
    played = await play(chain, find_step=fence.find_step, meddle=fence.meddle)
    assert fence.late == played[Slot.MINIONS_ABORTED] == 1


@pytest.mark.parametrize("spec", [Begun(), Awaited()])
async def test_a_function_that_swallows_everything_waits_for_its_interruption(
    play: Any, spec: Spec[Any, Any]
) -> None:
    fence = Fence(abort_at=3.0)

    @journey("shop", minions=3)
    async def walk(minion: Minion) -> None:
        while True:
            with suppress(Exception):
                await minion.do(spec, name="page")

    played = await play(walk.chain(), find_step=fence.find_step, meddle=fence.meddle)
    assert fence.late == played.step("page").failed == 3
    assert played[Slot.MINIONS_ABORTED] == 3
