"""The walk of one minion through a chain: a single generator, whatever the chain holds.

Steps with several outputs (iterations, flat maps) do not recurse: the walk remembers where to come back
to, goes on to the end of the chain with one output, and returns for the next. Only sub-graphs nest.
"""

from __future__ import annotations

import traceback
from collections.abc import Generator, Iterator
from math import ceil, inf
from typing import Any

from qalipsis.engine.context import Context
from qalipsis.engine.operation import DROP, WAIT, Kind, Mode, Operation, Operations
from qalipsis.engine.step import Fenced, StepError
from qalipsis.engine.strand import Abort, Errors, StepTimeout, Strand, Walk
from qalipsis.engine.wheel import TICKS_PER_SECOND
from qalipsis.metrics.events import Level
from qalipsis.metrics.meters import CHECKS

CALL = Kind.CALL
BEGIN = Kind.BEGIN
PAUSE = Kind.PAUSE
PACE = Kind.PACE
LOOP = Kind.LOOP
EXPAND = Kind.EXPAND
PERFORM = Kind.PERFORM
SPLIT = Kind.SPLIT
TAKE = Kind.TAKE
RECOVER = Kind.RECOVER

MAX_DETAIL = 20_000
"""Characters of a traceback kept for the report."""


class Loop:
    """Where to come back to for the next iteration; the context knows which one is under way."""

    __slots__ = ("due", "errors", "first", "is_tail", "iteration", "last", "outer", "period", "value")

    def __init__(self, operation: Operation, context: Context, outer: Loop | Outputs | None) -> None:
        self.first = operation.next
        self.last = operation.count - 1
        self.period = operation.period
        self.outer = outer
        self.value = context.value
        self.due = context.due
        self.errors = context.errors
        self.is_tail = context.is_tail
        self.iteration = context.iteration


class Outputs:
    """Where to come back to for the next output; one is read ahead to know the last.

    The execution is over when its last output is read: only then it is known to have succeeded.
    """

    __slots__ = ("ahead", "is_tail", "items", "operation", "outer")

    def __init__(
        self,
        operation: Operation,
        items: Iterator[Any],
        context: Context,
        outer: Loop | Outputs | None,
    ) -> None:
        self.operation = operation
        self.outer = outer
        self.items = items
        self.ahead: Any = DROP
        self.is_tail = context.is_tail

    def read_ahead(self, context: Context) -> Errors:
        """Read the next output; an iterator of the author that breaks is a failure of its step."""
        try:
            self.ahead = next(self.items, DROP)
        except BaseException as error:
            self.ahead = DROP
            note(self.operation, context, error)
            return (error,)
        if self.ahead is DROP:
            self.operation.meters.successful += 1
        return ()


class ForkWait:
    """Waiting for branches; giving up ends them."""

    __slots__ = ("forks",)

    def __init__(self, forks: list[Fork]) -> None:
        self.forks = forks

    def cancel(self) -> None:
        end_forks(self.forks)


class Fork:
    """A concurrent branch."""

    __slots__ = ("errors", "is_ended", "outputs", "parent", "strand")

    def __init__(self, parent: Strand, strand: Strand) -> None:
        self.parent = parent
        self.strand = strand
        self.outputs: list[Any] = []
        self.errors: Errors = ()
        self.is_ended = False

    def ended(self, errors: Errors, is_aborted: bool) -> None:
        self.errors = errors
        self.is_ended = True
        waiting = self.parent.pending
        if isinstance(waiting, ForkWait) and all(fork.is_ended for fork in waiting.forks):
            self.parent.resume()


def walk(
    strand: Strand,
    context: Context,
    chain: Operations,
    outputs: list[Any] | None = None,
    limit: float = inf,
) -> Walk:
    """Walk `chain` with the context's value; returns the errors of the records that failed.

    `outputs` receives what comes out of the chain's end. `limit` is the deadline in force around it.
    """
    # Every local is memory of each minion that waits: what seldom happens keeps none of its own.
    if not chain:
        if outputs is not None:
            outputs.append(context.value)
        return ()
    now = context.minion.scene.clock.now
    slots = context.minion.scene.wheel.slots
    inner: Loop | Outputs | None = None  # the innermost of those to come back to
    forks: list[Fork] | None = None
    failures: Errors = ()
    operation: Operation | None = chain[0]
    try:
        while True:
            try:
                while operation is not None:
                    context.operation = operation
                    kind = operation.kind
                    if kind is CALL:
                        meters = operation.meters
                        meters.attempted += 1
                        value = operation.call(context)
                        meters.successful += 1
                        if value is DROP:
                            break
                        context.value = value
                        operation = operation.next
                    elif kind is PAUSE:
                        meters = operation.meters
                        meters.attempted += 1
                        delay = operation.delay
                        if delay is None:
                            delay = operation.call(context)
                        # The plan goes on from `due`: lateness shows. The pause itself is never cut short.
                        if operation.is_looped and context.iteration:
                            # `due` is now: it was read on the way back.
                            until = context.due + delay
                            context.due = until
                        elif operation.is_due_now:
                            until = now() + delay
                            context.due = until
                        else:
                            until = now() + delay
                            context.due += delay
                        slot = slots.get(ceil(until * TICKS_PER_SECOND))
                        if slot is None:
                            strand.sleep_until(until)
                        else:
                            # The same, spelt out: ten thousand minions may do nothing else.
                            strand.slot = slot
                            slot.append(strand)
                        yield
                        meters.successful += 1
                        operation = operation.next
                    elif kind is BEGIN:
                        if operation.is_due_now:
                            context.due = now()
                        meters = operation.meters
                        meters.attempted += 1
                        if operation.timeout:
                            strand.limit(min(limit, now() + operation.timeout))
                        strand.pending = operation.begin(context, strand)
                        context.value = yield
                        if operation.timeout:
                            strand.deadline = limit
                        meters.successful += 1
                        operation = operation.next
                    elif kind is LOOP:
                        if operation.is_due_now:
                            context.due = now()
                        inner = Loop(operation, context, inner)
                        context.iteration = 0
                        context.is_tail = inner.is_tail and inner.last == 0
                        operation = operation.next
                    elif kind is PACE:
                        if operation.is_due_now:
                            context.due = now()
                        meters = operation.meters
                        meters.attempted += 1
                        until = operation.call(context)
                        context.due = until
                        if until > now():
                            strand.sleep_until(until)
                            yield
                        meters.successful += 1
                        operation = operation.next
                    elif kind is TAKE:
                        if operation.is_due_now:
                            context.due = now()
                        meters = operation.meters
                        meters.attempted += 1
                        value = operation.call(context)
                        if value is WAIT:
                            strand.pending = operation.begin(context, strand)
                            value = yield
                        meters.successful += 1
                        if value is DROP:
                            if context.minion.is_dry:
                                stop_at_dry(inner, operation)
                            break
                        context.value = value
                        operation = operation.next
                    elif kind is PERFORM or kind is EXPAND:
                        if operation.is_due_now:
                            context.due = now()
                        meters = operation.meters
                        meters.attempted += 1
                        items = yield from perform(strand, context, operation, limit)
                        value = next(items, DROP)
                        if value is DROP:
                            meters.successful += 1
                            if operation.mode is Mode.TAKE and context.minion.is_dry:
                                stop_at_dry(inner, operation)
                            break
                        context.value = value
                        more = Outputs(operation, items, context, inner)
                        failures += more.read_ahead(context)
                        if more.ahead is not DROP:
                            context.is_tail = False
                            inner = more
                        operation = operation.next
                    elif kind is SPLIT:
                        operation.meters.attempted += 1
                        forks = [fork for fork in forks or () if not fork.is_ended or fork.errors]
                        forks += start_forks(strand, context, operation, limit)
                        operation.meters.successful += 1
                        operation = operation.next
                    elif context.errors:
                        operation.meters.attempted += 1
                        if operation.is_slow:
                            value = next((yield from perform(strand, context, operation, limit)))
                        else:
                            value = operation.call(context)
                        operation.meters.successful += 1
                        if kind is RECOVER:
                            context.errors = ()
                            context.value = value
                            operation = operation.next
                        else:
                            operation = operation.on_error
                    else:
                        operation = operation.next  # nothing to process
                else:
                    if outputs is not None and not context.errors:
                        outputs.append(context.value)
            except Abort:
                raise
            except BaseException as error:
                # User code may raise anything, SystemExit included: it is this step's failure.
                assert operation is not None
                if is_closing(error):
                    raise
                note(operation, context, error)
                if isinstance(error, Fenced):
                    raise Abort from None
                if isinstance(error, StepTimeout):
                    if error.at == limit:
                        raise  # the deadline of the sub-graph around this chain
                    operation.meters.timeouts += 1
                if limit == inf:
                    strand.deadline = inf
                else:
                    strand.limit(limit)  # its timer may just have been used up
                context.errors = (*context.errors, error)
                if operation.stop_on_error and type(inner) is Loop and inner.first is operation:
                    inner.last = 0
                operation = operation.on_error
                continue

            # This record's walk is over.
            if context.errors:
                failures = (*failures, *context.errors) if len(failures) < 10 else failures
                context.errors = ()
            while inner is not None:
                if type(inner) is Loop:
                    iteration = context.iteration + 1
                    if iteration >= inner.last:
                        if iteration > inner.last:
                            context.iteration = inner.iteration
                            inner = inner.outer
                            continue
                        context.is_tail = inner.is_tail
                    context.iteration = iteration
                    context.value = inner.value
                    context.errors = inner.errors
                    if inner.period is None:
                        context.due = now()
                    else:
                        context.due = inner.due = inner.due + inner.period
                        if inner.due > now():
                            strand.sleep_until(inner.due)
                            yield
                    operation = inner.first
                    break
                assert type(inner) is Outputs
                value = inner.ahead
                if value is not DROP:
                    failures += inner.read_ahead(context)
                    context.value = value
                    context.is_tail = inner.is_tail and inner.ahead is DROP
                    context.due = now()
                    operation = inner.operation.next
                    break
                inner = inner.outer
            else:
                break

        if forks:
            while not all(fork.is_ended for fork in forks):
                strand.pending = ForkWait(forks)
                yield
            failures = (*failures, *(error for fork in forks for error in fork.errors))
        return failures
    finally:
        if forks:
            end_forks(forks)


def stop_at_dry(inner: Loop | Outputs | None, operation: Operation) -> None:
    """The next iterations of a step whose source ran dry would find no record either."""
    if type(inner) is Loop and inner.first is operation:
        inner.last = 0


def perform(
    strand: Strand, context: Context, operation: Operation, limit: float
) -> Generator[None, Any, Iterator[Any]]:
    """One execution with its deadline and retries; returns an iterator of its outputs."""
    now = context.minion.scene.clock.now
    began = now()
    timeout_at = min(limit, began + operation.timeout) if operation.timeout else limit
    if timeout_at < limit:
        strand.limit(timeout_at)
    if operation.is_told:
        tell(operation, context, "started", Level.DEBUG)
    attempt = 1
    while True:
        try:
            outputs = yield from _attempt(strand, context, operation, timeout_at)
            if operation.timeout and now() > timeout_at:
                raise StepTimeout(timeout_at)  # synchronous code cannot be interrupted, only judged
        except (Abort, GeneratorExit, StepTimeout):
            raise
        except BaseException as error:
            retry = operation.retry
            if retry is None or attempt > retry.retries or isinstance(error, Fenced):
                raise
            operation.meters.retried += 1
            keep_first(operation, error)
            # `due` stays: failed attempts and the waits between them are part of what a user waits.
            strand.sleep_until(now() + retry.wait(attempt))
            yield
            attempt += 1
        else:
            strand.deadline = limit
            if operation.is_metered:
                record(operation, context, began, now())
            if operation.is_told:
                tell(operation, context, "complete", Level.INFO, (now() - began) * 1000)
            return outputs


def _attempt(
    strand: Strand, context: Context, operation: Operation, limit: float
) -> Generator[None, Any, Iterator[Any]]:
    mode = operation.mode
    if mode is Mode.BEGIN:
        strand.pending = operation.begin(context, strand)
        return iter(((yield),))
    if mode is Mode.COROUTINE:
        return (yield from _run_coroutine(strand, context, operation))
    if mode is Mode.STAGE or mode is Mode.CHOOSE:
        return (yield from _walk_inside(strand, context, operation, limit))
    if mode is Mode.GATHER:
        forks = start_forks(strand, context, operation, limit)
        try:
            while not all(fork.is_ended for fork in forks):
                strand.pending = ForkWait(forks)
                yield
        finally:
            end_forks(forks)
        for fork in forks:
            if fork.errors:
                raise InnerFailure(fork.errors[-1])
        return iter((tuple(fork.outputs[-1] if fork.outputs else None for fork in forks),))
    if mode is Mode.TAKE:
        value = operation.call(context)
        if value is WAIT:
            strand.pending = operation.begin(context, strand)
            value = yield
        return iter(()) if value is DROP else iter((value,))
    if mode is Mode.PAUSE:
        delay = operation.call(context) if operation.delay is None else operation.delay
        context.due += delay
        strand.sleep_until(context.minion.scene.clock.now() + delay)
        yield
        return iter((context.value,))
    if mode is Mode.PACE:
        context.due = operation.call(context)
        strand.sleep_until(context.due)
        yield
        return iter((context.value,))
    value = operation.call(context)
    if operation.kind is EXPAND:
        if hasattr(value, "__aiter__"):
            return (yield from _collect(strand, context, value, operation.name))
        return iter(value.items() if hasattr(value, "items") else value)
    return iter(()) if value is DROP else iter((value,))


def _walk_inside(
    strand: Strand, context: Context, operation: Operation, limit: float
) -> Generator[None, Any, Iterator[Any]]:
    branch = operation.branches[0]
    if operation.mode is Mode.CHOOSE:
        [branch] = context.minion.random.choices(operation.branches, operation.weights)
    outputs: list[Any] = []
    scene = context.minion.scene
    sent = scene.clock.now()
    errors = yield from walk(strand, context.fork(), branch, outputs, limit)
    if errors:
        raise InnerFailure(errors[-1])
    if operation.mode is Mode.STAGE:
        record(operation, context, sent, scene.clock.now())
    return iter(outputs)


def _run_coroutine(
    strand: Strand, context: Context, operation: Operation
) -> Generator[None, Any, Iterator[Any]]:
    assert operation.coroutine is not None
    own = context.fork()
    own.operation = operation
    own.outputs = []
    scene = context.minion.scene
    sent = scene.clock.now()
    strand.pending = scene.background.run(operation.coroutine(own), strand.settle, operation.name)
    try:
        returned = yield
    finally:
        own.is_over = True  # a coroutine that swallows its cancellation must not go on sending
    record(operation, context, sent, scene.clock.now())
    if returned is not None:
        own.outputs.append(returned)
    return iter(own.outputs)


def _collect(strand: Strand, context: Context, items: Any, name: str) -> Generator[None, Any, Iterator[Any]]:
    async def read() -> list[Any]:
        return [item async for item in items]

    strand.pending = context.minion.scene.background.run(read(), strand.settle, name)
    return iter((yield))


def record(operation: Operation, context: Context, sent: float, done: float) -> None:
    """The latency of something that is no request."""
    context.minion.scene.meters.records.add(
        operation.meters.index, 0, context.due, sent, sent, done, done, 0, 0
    )


def start_forks(strand: Strand, context: Context, operation: Operation, limit: float) -> list[Fork]:
    """Start every branch with a context of its own; a deadline counts from now."""
    scene = context.minion.scene
    now = scene.clock.now()
    if operation.timeout:
        limit = min(limit, now + operation.timeout)
    forks = [Fork(strand, Strand(scene.wheel)) for _ in operation.branches]
    for fork, branch in zip(forks, operation.branches, strict=True):
        own = context.fork()
        own.due = now if operation.is_due_now else context.due
        fork.strand.start(_walk_fork(fork, own, branch, limit), fork.ended)
    return forks


def _walk_fork(fork: Fork, context: Context, branch: Operations, limit: float) -> Walk:
    if limit < inf:
        fork.strand.limit(limit)
    try:
        return (yield from walk(fork.strand, context, branch, fork.outputs, limit))
    except StepTimeout as error:
        return (error,)  # counted where it struck


def end_forks(forks: list[Fork]) -> None:
    for fork in forks:
        if not fork.is_ended:
            fork.strand.on_end = None  # its end is of no interest any more
            fork.is_ended = True
            fork.strand.abort()


class InnerFailure(StepError):
    """A sub-graph failed because something inside it did; counted under that class."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(kind_of(cause), str(cause))
        self.__cause__ = cause


def kind_of(error: BaseException) -> str:
    """The class a failure is counted under."""
    if isinstance(error, StepError):
        return error.kind
    if isinstance(error, AssertionError):
        return "assertion"
    return type(error).__name__


def note(operation: Operation, context: Context, error: BaseException) -> None:
    """Count a failed execution."""
    meters = operation.meters
    detail = "" if meters.first_error else describe(error)
    meters.fail(kind_of(error), detail)
    if operation.is_told:
        tell(operation, context, "failed", Level.ERROR, kind_of(error))
    # The frames hold the context, and the context its errors: cut the cycle, spare the collector.
    error.__traceback__ = None


def tell(
    operation: Operation, context: Context, what: str, level: Level, value: float | str | None = None
) -> None:
    """An event of a monitored step: its executions, and for checks what they found."""
    events = context.minion.scene.events
    if events is None:
        return
    events.tell(f"step.execution.{what}", level, value, operation.tags)
    if operation.meters.type in CHECKS and what != "started":
        found = "success" if what == "complete" else "failure" if value == "assertion" else "error"
        events.tell(f"step.assertion.{found}", level, None, operation.tags)


def keep_first(operation: Operation, error: BaseException) -> None:
    if not operation.meters.first_error:
        operation.meters.first_error = describe(error)
    error.__traceback__ = None


def is_closing(error: BaseException) -> bool:
    """Whether the walk itself is being closed: a GeneratorExit from deeper down was raised by user code."""
    where = error.__traceback__
    return isinstance(error, GeneratorExit) and where is not None and where.tb_next is None


def describe(error: BaseException) -> str:
    """A message for failures we raise, the traceback for what user code raises."""
    if isinstance(error, StepError):
        return f"{error.kind}: {error}" if str(error) != error.kind else error.kind
    return "".join(traceback.format_exception(error))[-MAX_DETAIL:]
