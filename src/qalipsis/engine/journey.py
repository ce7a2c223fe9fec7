"""Journeys: an author's coroutine as one operation, with the hand it acts through."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from random import Random
from typing import Any, Protocol

from qalipsis.engine.context import Context
from qalipsis.engine.minion import Minion
from qalipsis.engine.operation import DROP, WAIT, Kind, Mode, Operation
from qalipsis.engine.step import Fenced, Pending
from qalipsis.engine.walk import describe, kind_of, note, record
from qalipsis.language.distributions import Normal, Uniform, draw
from qalipsis.language.durations import Duration, seconds
from qalipsis.language.minion import StepFailed, Walk
from qalipsis.language.spec import Spec


class InnerSteps(Protocol):
    """Opens the steps that a journey names as it runs."""

    async def operation(self, spec: Spec[Any, Any], name: str | None) -> Operation: ...

    def record_timer(self, name: str, duration: float) -> None: ...


def journey(
    function: Callable[[Any], Awaitable[None]], inner: InnerSteps
) -> Callable[[Context], Coroutine[Any, Any, None]]:
    """The coroutine function of the operation."""

    async def run(context: Context) -> None:
        hand = Hand(context, inner)
        try:
            await function(hand)
        except NoRecordLeft:
            pass  # an end in order
        except BaseExceptionGroup as group:
            # Taken in a task group: the end of one of its tasks is that of the journey.
            _, others = group.split(NoRecordLeft)
            if others is not None:
                raise others from None
        finally:
            hand.end()

    return run


class NoRecordLeft(BaseException):
    """Ends a journey whose source has no more records; not an Exception, so that no author swallows it."""


class Answer:
    """A strand for one awaited step."""

    __slots__ = ("_future",)

    def __init__(self, future: asyncio.Future[Any]) -> None:
        self._future = future

    def resume(self, value: Any) -> None:
        if not self._future.done():
            self._future.set_result(value)

    def fail(self, error: BaseException) -> None:
        if not self._future.done():
            self._future.set_exception(error)


class Hand:
    """What `language.minion.Minion` promises."""

    def __init__(self, context: Context, inner: InnerSteps) -> None:
        self._context = context
        self._inner = inner
        self._minion: Minion = context.minion
        self._clock = context.minion.scene.clock
        self._is_over = False
        self._running: dict[asyncio.Future[Any], tuple[Operation, Pending]] = {}

    def end(self) -> None:
        """Interrupt what the function began in tasks of its own and did not wait for: its pass is over."""
        self._is_over = True
        running, self._running = self._running, {}
        for future, (operation, pending) in running.items():
            pending.cancel()
            future.cancel()
            if not self._context.is_over:
                operation.meters.fail("cancelled", "the journey ended before this step: await what you begin")

    @property
    def index(self) -> int:
        return self._minion.index

    @property
    def random(self) -> Random:
        return self._minion.random

    @property
    def shelf(self) -> MutableMapping[str, Any]:
        return self._minion.shelf

    def __getitem__(self, name: str) -> Any:
        return self._minion[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._minion[name] = value

    def __contains__(self, name: object) -> bool:
        return name in self._minion

    async def do(self, spec: Spec[Any, Any], value: Any = None, name: str | None = None) -> Any:
        operation = await self._inner.operation(spec, name)
        await self._refuse_when_over()
        context = Context(self._minion, value, self._context.due)
        context.operation = operation
        operation.meters.attempted += 1
        try:
            result = await self._run(operation, context)
        except asyncio.CancelledError:
            if not (self._is_over or self._context.is_over):  # else it is counted, or the pass as aborted
                operation.meters.fail("cancelled", "")
            raise
        except Fenced as error:
            note(operation, context, error)
            # The interruption is on its way; a function that goes on after errors would only try again.
            return await asyncio.get_running_loop().create_future()
        except BaseException as error:
            note(operation, context, error)
            raise StepFailed(operation.name, kind_of(error), str(error) or describe(error)) from error
        finally:
            self._context.due = self._clock.now()
        operation.meters.successful += 1
        if result is DROP and operation.mode is Mode.TAKE:
            raise NoRecordLeft
        return result

    async def take(self, source: Spec[Any, Any], name: str | None = None) -> Any:
        return await self.do(source, name=name)

    async def pause(self, duration: Duration | Uniform | Normal) -> None:
        length = draw(duration, self.random) if isinstance(duration, Uniform | Normal) else seconds(duration)
        if length < 0:
            raise ValueError(f"a pause cannot be negative: {duration!r}")
        await self._refuse_when_over()
        # The plan goes on from `due`: lateness shows in the next step. The pause is never cut short.
        self._context.due += length
        await self._sleep_until(self._clock.now() + length)

    async def run(self, journey: Walk) -> None:
        await journey.function(self)

    def timer(self, name: str, duration: Duration) -> None:
        self._inner.record_timer(name, seconds(duration))

    async def _refuse_when_over(self) -> None:
        """A function that swallowed its cancellation does nothing any more, and does not block the loop."""
        if self._is_over or self._context.is_over:
            await asyncio.sleep(0)
            raise asyncio.CancelledError("this pass has ended")

    async def _run(self, operation: Operation, context: Context) -> Any:
        if operation.kind is Kind.CALL:
            return operation.call(context)
        if operation.kind is Kind.PAUSE:
            await self._sleep_until(self._clock.now() + operation.call(context))
            return context.value
        if operation.kind is Kind.PACE:
            await self._sleep_until(operation.call(context))
            return context.value
        if operation.kind is Kind.PERFORM and operation.mode is Mode.COROUTINE:
            assert operation.coroutine is not None
            context.outputs = []
            sent = self._clock.now()
            result = await operation.coroutine(context)
            record(operation, context, sent, self._clock.now())
            return result
        if operation.kind is Kind.TAKE:
            value = operation.call(context)
            if value is not WAIT:
                return value
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        pending = operation.begin(context, Answer(future))
        self._running[future] = (operation, pending)
        try:
            return await future
        except asyncio.CancelledError:
            if future in self._running:
                pending.cancel()
            raise
        finally:
            self._running.pop(future, None)

    async def _sleep_until(self, at: float) -> None:
        if at <= self._clock.now():
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self._minion.scene.wheel.call_at(
            at, lambda: None if future.done() else future.set_result(None)
        )
        try:
            await future
        finally:
            timer.cancel()
