"""How a worker's part of a campaign ends: everything has its time for it, and nothing has more."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from qalipsis import Minion, journey, scenario
from qalipsis.engine.runner import WorkerEngine
from qalipsis.language.chain import Chain
from qalipsis.language.spec import Spec
from qalipsis.metrics.ledger import ScenarioLedger, ledger_bytes
from qalipsis.plan.compiler import compile_chain
from qalipsis.plan.ownership import Ownership
from qalipsis.plan.properties import Properties
from qalipsis.testing.loop_clock import LoopClock
from qalipsis.testing.virtual_loop import VirtualLoop
from tests.engine.sources import Fed, ListedReader

SECONDS = 100.0


@dataclass(frozen=True, eq=False)
class Opened(Spec[Any, Any]):
    """A step of which only the closing matters."""

    kind: ClassVar[str] = "opened"
    close: Callable[[], Awaitable[None]]

    def default_name(self) -> str:
        return "opened"


class OpenedStep:
    def __init__(self, spec: Opened) -> None:
        self.aclose = spec.close

    async def open(self, runtime: Any) -> None: ...

    async def execute(self, context: Any) -> int:
        return 1


class Closing:
    """Plays a scenario for a second, interrupts it, and closes the worker."""

    def __init__(self, chain: Chain[Any], **options: Any) -> None:
        plan, mistakes = compile_chain(chain, Properties({}))
        assert plan is not None, mistakes
        self.plan = plan
        self.options = options
        self.left = -1
        self.seconds = -1.0
        """How long the closing took."""
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(asyncio.wait_for(self._play(), SECONDS))

    async def _play(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        memory = memoryview(bytearray(ledger_bytes(1)))
        ScenarioLedger(memory, 0).lease[0] = float("inf")
        name = self.plan.name
        engine = WorkerEngine(
            {name: self.plan}, [name], memory, Ownership((1,)), 0, LoopClock(loop),
            find_step=lambda kind: OpenedStep, **self.options,
        )  # fmt: skip
        await engine.open({name: self.plan.minions})
        engine.start(loop.time())
        await asyncio.sleep(1.0)
        await engine.abort()
        await asyncio.sleep(0.5)  # as long as the head may take to close what it has aborted
        began = loop.time()
        self.left = await engine.aclose()
        self.seconds = round(loop.time() - began, 3)


def walking(minions: int, walk: Callable[[Minion], Awaitable[None]]) -> Chain[Any]:
    return journey("walking", minions=minions)(walk).chain()


async def swallow() -> None:
    """Ignore every cancellation for longer than anybody waits, though not for ever: the test is to end."""
    loop = asyncio.get_running_loop()
    until = loop.time() + SECONDS / 2
    while loop.time() < until:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(until - loop.time())


def test_an_interrupted_minion_is_let_to_clean_up() -> None:
    cleaned: list[int] = []

    async def walk(minion: Minion) -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(1.5)
            cleaned.append(minion.index)

    closing = Closing(walking(3, walk))
    assert sorted(cleaned) == [0, 1, 2]
    assert (closing.left, closing.seconds) == (0, 1.0)


@pytest.mark.parametrize("grace", [0.2, 2.0])
def test_minions_that_do_not_end_are_counted_and_left(grace: float, caplog: pytest.LogCaptureFixture) -> None:
    async def walk(minion: Minion) -> None:
        if minion.index < 2:
            await swallow()

    closing = Closing(walking(3, walk), minion_grace=grace)
    assert (closing.left, closing.seconds) == (2, grace)
    [message] = [record.getMessage() for record in caplog.records]
    assert message.startswith(
        f"of the coroutines of interrupted minions, 2 did not end within {grace:g} s, which"
    )
    assert message.endswith(" (2)")


class StubbornReader(ListedReader):
    async def aclose(self) -> None:
        await swallow()


class SlowReader(ListedReader):
    async def aclose(self) -> None:
        await asyncio.sleep(4.0)
        await super().aclose()


def test_a_source_has_the_time_of_its_scenario_to_close() -> None:
    source = Fed()
    chain = scenario("taking").start().then(source).named("rows")
    closing = Closing(chain, find_source=lambda kind: SlowReader)
    assert (closing.left, closing.seconds, len(source.closed)) == (0, 4.0, 1)


def test_a_source_that_does_not_close_is_named_and_keeps_no_step_open(
    caplog: pytest.LogCaptureFixture,
) -> None:
    closed: list[str] = []

    async def close() -> None:
        closed.append("step")

    chain = scenario("taking").start().then(Fed()).named("rows").then(Opened(close))
    closing = Closing(chain, find_source=lambda kind: StubbornReader, scenario_grace=3.0)
    assert (closing.left, closing.seconds, closed) == (1, 3.0, ["step"])
    [message] = [record.getMessage() for record in caplog.records]
    assert message == (
        "of the sources and steps of the scenario taking, 1 did not close within 3 s, which "
        "factory.graceful-shutdown.scenario allows, and are left: rows (1)"
    )


def test_a_step_that_does_not_close_is_named(caplog: pytest.LogCaptureFixture) -> None:
    chain = scenario("walking").start().then(Opened(swallow)).named("stubborn")
    closing = Closing(chain)
    assert (closing.left, closing.seconds) == (1, 10.0)
    assert caplog.records[0].getMessage().endswith("and are left: stubborn (1)")


def test_a_step_whose_closing_breaks_keeps_no_other_open(caplog: pytest.LogCaptureFixture) -> None:
    closed: list[str] = []

    async def breaks() -> None:
        raise OSError("broken pipe")

    async def close() -> None:
        closed.append("second")

    chain = (
        scenario("walking").start().then(Opened(breaks)).named("first").then(Opened(close)).named("second")
    )
    closing = Closing(chain)
    assert (closing.left, closed) == (0, ["second"])
    assert [record.getMessage() for record in caplog.records] == ["closing the step first broke"]
