"""The promises of a step, as a suite that the author of a plugin runs against a real service."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Sequence
from math import inf
from types import SimpleNamespace
from typing import Any, Final

from qalipsis.engine.background import Tasks
from qalipsis.engine.context import Context
from qalipsis.engine.minion import Minion
from qalipsis.engine.scene import Scene
from qalipsis.engine.step import BeginStep, ExecuteStep, Pending, StepError, StepRuntime
from qalipsis.engine.wheel import TimerWheel
from qalipsis.language.durations import Duration, seconds
from qalipsis.metrics.ledger import ScenarioLedger, Slot, ledger_bytes
from qalipsis.metrics.meters import WorkerMeters
from qalipsis.metrics.records import UNPACK
from qalipsis.system_clock import SystemClock
from qalipsis.testing.description import check_description, check_imports, check_mistakes
from qalipsis.testing.leftovers import Leftovers, within
from qalipsis.testing.promise import promise

OpenStep = Callable[[Any], BeginStep | ExecuteStep]

ANYTHING: Final = object()
TOGETHER: Final = 3
TURNS: Final = (0, 1, 2, 5, 20)
"""Turns of the loop that an execution gets before it is cancelled: in each of its phases, more or less."""
AFTERWARDS_SECONDS: Final = 0.02
"""How long a cancelled execution is watched for an answer that must not come."""

KIND = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]*")


async def check_step(
    open_step: OpenStep,
    spec: Any,
    *,
    input: Any = None,
    expects: Any = ANYTHING,
    failing: Any = None,
    wrong: Iterable[Any] = (),
    drivers: Iterable[str] = (),
    patience: Duration = "10s",
) -> None:
    """Hold the step of `spec` against the contract in `qalipsis.engine.step`; raises AssertionError.

    `open_step` is what the entry point names. Every execution with `input` must put out `expects`, or what
    satisfies it when it is a function. `failing` describes a step whose executions fail, `wrong` are
    descriptions with mistakes, `drivers` the modules that importing a description must not load.

    Each execution is a real one: choose a request that may be sent some twenty times. Nothing may take longer
    than `patience`.
    """
    check_description(spec)
    check_mistakes(wrong)
    await check_imports(spec, drivers)
    limit = seconds(patience)
    await _check_executions(open_step, spec, input, expects, limit)  # what loads once is loaded then
    leftovers = Leftovers()
    await _check_executions(open_step, spec, input, expects, limit)
    await leftovers.check("a closed step", limit)
    await _check_cancellation(open_step, spec, input, expects, limit)
    await leftovers.check("a step whose executions were cancelled", limit)
    if failing is not None:
        await _check_failure(open_step, failing, input, limit)
        await leftovers.check("a step whose executions failed", limit)


class _Bench:
    """Opens steps and executes them, as a worker does for one scenario."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.clock = SystemClock()
        self.wheel = TimerWheel(self.clock)
        self.meters = WorkerMeters()
        memory = memoryview(bytearray(ledger_bytes(1)))
        self.ledger = ScenarioLedger(memory, 0)
        self.ledger.lease[0] = inf
        self._tasks = Tasks()
        self._scene = Scene("checked", 0, self.clock, self.wheel, self.ledger, self.meters, self._tasks)
        self._shared: dict[Any, Any] = {}
        self._minions: list[Minion] = []
        self._steps: list[Any] = []
        self._strands: list[_Strand] = []
        self._records: list[tuple[Any, ...]] = []

    async def __aenter__(self) -> _Bench:
        return self

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        try:
            await self._close()
        except Exception:
            if error is None:  # what was found first is what the author wants to know
                raise

    async def open(self, open_step: OpenStep, spec: Any) -> Any:
        name = f"{spec.default_name()}-{len(self._steps)}"
        step = open_step(spec)
        self._steps.append(step)
        runtime = StepRuntime(
            clock=self.clock,
            wheel=self.wheel,
            meters=self.meters.step("checked", name, spec.kind),
            worker_meters=self.meters,
            ledger=self.ledger,
            shared=self._shared,
        )
        await within(self.limit, "open()", step.open(runtime))
        promise(hasattr(step, "begin") or hasattr(step, "execute"), "a step has a method begin or execute")
        return step

    def minion(self) -> Minion:
        minion = Minion(len(self._minions), self._scene)
        self._minions.append(minion)
        return minion

    def context(self, minion: Minion, value: Any) -> Context:
        context = Context(minion, value, self.clock.now())
        context.operation = SimpleNamespace(name="checked", previous_name=None)
        return context

    async def execute(self, step: Any, minion: Minion, value: Any) -> Any:
        context = self.context(minion, value)
        if not hasattr(step, "begin"):
            return await within(self.limit, "an execution", step.execute(context))
        strand, _ = self.begin(step, context)
        output = await within(self.limit, "an execution", strand.answer)
        self._check_record(context)
        return output

    def begin(self, step: Any, context: Context) -> tuple[_Strand, Pending]:
        strand = _Strand()
        self._strands.append(strand)
        pending = step.begin(context, strand)
        strand.has_begun = True
        return strand, pending

    def check_books(self) -> None:
        counts = self.ledger.counts
        attempted, ok = counts[Slot.REQUESTS_ATTEMPTED], counts[Slot.REQUESTS_OK]
        error = counts[Slot.REQUESTS_ERROR]
        promise(
            attempted == ok + error,
            f"the books of requests do not close: {attempted} attempted, {ok} ended well, {error} failed",
        )

    async def _close(self) -> None:
        for minion in self._minions:
            for resource in list(minion.resources.values()):
                resource.close()
                resource.close()  # safe to call twice
            minion.close()
        for step in (*self._steps, *self._steps):  # twice: once each, and once more
            await within(self.limit, "aclose()", step.aclose())
        await self._tasks.aclose()
        self.wheel.close()
        self.check_books()
        for strand in self._strands:
            strand.check()

    def _check_record(self, context: Context) -> None:
        """A step with `begin` writes its own latencies."""
        self._records += UNPACK(self.meters.records.take())
        place = next((place for place, record in enumerate(self._records) if record[1] == context.due), None)
        if place is None:
            raise AssertionError(
                "an execution that ended well wrote no record that is due when its context says so: "
                "its latency is missing"
            )
        _, due, sent, _, _, done, _, _ = self._records.pop(place)
        promise(due <= sent <= done, f"a record was due at {due}, sent at {sent} and done at {done}")


class _Strand:
    """Waits for the one answer of a step that was begun."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.has_begun = False
        self.is_over = False
        self.mistake: str | None = None

    def resume(self, value: Any) -> None:
        if self._is_right():
            self.answer.set_result(value)

    def fail(self, error: BaseException) -> None:
        if self._is_right():
            self.answer.set_exception(error)

    def check(self) -> None:
        promise(self.mistake is None, str(self.mistake))

    def _is_right(self) -> bool:
        if self.is_over:
            self.mistake = "a strand was resumed after its step had been cancelled"
        elif not self.has_begun:
            self.answer.set_exception(AssertionError("begin() resumed its strand before it returned"))
        elif self.answer.done():
            self.mistake = "a strand was resumed twice"
        else:
            return True
        return False


async def _check_executions(open_step: OpenStep, spec: Any, value: Any, expects: Any, limit: float) -> None:
    """Outputs are right one after the other and side by side, also of two steps that share what they can."""
    async with _Bench(limit) as bench:
        steps = [await bench.open(open_step, spec) for _ in range(2)]
        if hasattr(steps[0], "reach"):
            await within(limit, "reach()", steps[0].reach())
        minion = bench.minion()
        for step in (*steps, *steps):
            _check_output(await bench.execute(step, minion, value), expects)
            bench.check_books()
        minions = [bench.minion() for _ in range(TOGETHER)]
        outputs: Sequence[Any] = await asyncio.gather(
            *(bench.execute(steps[0], minion, value) for minion in minions)
        )
        for output in outputs:
            _check_output(output, expects)
        errors = bench.ledger.counts[Slot.REQUESTS_ERROR]
        promise(errors == 0, f"{errors} requests are counted as failed, and no execution failed")


async def _check_cancellation(open_step: OpenStep, spec: Any, value: Any, expects: Any, limit: float) -> None:
    """A cancelled execution ends, closes its books, and leaves the next one in peace."""
    async with _Bench(limit) as bench:
        step = await bench.open(open_step, spec)
        for turns in TURNS:
            minion = bench.minion()
            for _ in range(2):  # the second time on what the minion kept
                if hasattr(step, "begin"):
                    await _cancel_begun(bench, step, bench.context(minion, value), turns)
                else:
                    await _cancel_executing(bench, step, bench.context(minion, value), turns)
                bench.check_books()
            _check_output(await bench.execute(step, minion, value), expects)
            minion.close()
        _check_output(await bench.execute(step, bench.minion(), value), expects)


async def _cancel_begun(bench: _Bench, step: Any, context: Context, turns: int) -> None:
    strand, pending = bench.begin(step, context)
    for _ in range(turns):
        await asyncio.sleep(0)
    if not strand.answer.done():
        strand.is_over = True
        pending.cancel()
    await asyncio.sleep(AFTERWARDS_SECONDS)
    strand.check()
    if strand.answer.done():
        strand.answer.exception()


async def _cancel_executing(bench: _Bench, step: Any, context: Context, turns: int) -> None:
    task = asyncio.ensure_future(step.execute(context))
    for _ in range(turns):
        await asyncio.sleep(0)
    if task.done():
        task.result()
        return
    task.cancel()
    await asyncio.wait([task], timeout=bench.limit)
    promise(task.done(), f"a cancelled execution still ran after {bench.limit:g} s")
    if not task.cancelled():
        made = task.exception() or task.result()
        raise AssertionError(f"an execution made {made!r} of its cancellation: let CancelledError through")


async def _check_failure(open_step: OpenStep, failing: Any, value: Any, limit: float) -> None:
    """A failure is a StepError with a class and a message, each time."""
    check_description(failing)
    async with _Bench(limit) as bench:
        step = await bench.open(open_step, failing)
        for minion in (bench.minion(), bench.minion()):
            for _ in range(2):
                try:
                    output = await bench.execute(step, minion, value)
                except StepError as error:
                    promise(KIND.fullmatch(error.kind), f"{error.kind!r} is no class of errors: use one word")
                    promise(
                        " " in str(error),
                        f"the message of the error {error.kind} should say what failed, not {str(error)!r}",
                    )
                except AssertionError:
                    raise
                except Exception as error:
                    raise AssertionError(
                        f"a failing execution raised {error!r}: make it a StepError(kind, message)"
                    ) from error
                else:
                    raise AssertionError(f"an execution that should fail put out {output!r}")
                bench.check_books()


def _check_output(output: Any, expects: Any) -> None:
    if expects is ANYTHING:
        return
    if callable(expects):
        promise(expects(output), f"an execution put out {output!r}, which does not satisfy what is expected")
    else:
        promise(output == expects, f"an execution put out {output!r} where {expects!r} was expected")
