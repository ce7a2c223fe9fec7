"""The graph form: every verb returns a new value, and nothing runs while it is built.

Verbs never raise on bad values: what an author got wrong is found by the compiler, all at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from qalipsis.errors import Mistake
from qalipsis.language import steps
from qalipsis.language.conditions import Claim, Statistics
from qalipsis.language.context import Context
from qalipsis.language.distributions import Normal, Uniform
from qalipsis.language.durations import Duration
from qalipsis.language.joins import CACHE_SIZE, Join, LeftJoin, Pair, Zip, ZipLast
from qalipsis.language.location import Location, caller
from qalipsis.language.options import BackoffSpec, IterationSpec, Options
from qalipsis.language.source import Source
from qalipsis.language.spec import Spec

Out = TypeVar("Out")
New = TypeVar("New")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")

DEFAULTS = Options()
ZIP_TIMEOUT: Duration = "30s"


@dataclass(frozen=True, eq=False, slots=True)
class Written:
    """One step as the author wrote it."""

    spec: Spec[Any, Any]
    location: Location
    options: Options = DEFAULTS
    branches: tuple[Chain[Any], ...] = ()
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Head:
    """What belongs to the scenario as a whole, carried along by its chains."""

    name: Any
    minions: Any
    profile: Any
    retry: BackoffSpec | None
    location: Location
    description: str = ""
    setup: Chain[Any] | None = None
    asides: tuple[tuple[Any, Chain[Any], Location], ...] = ()
    """Roots beside the loaded one: name, steps, place."""


@dataclass(frozen=True, eq=False)
class Chain(Generic[Out]):
    """Steps in a row, the last of which emits values of type Out."""

    head: Head | None
    steps: tuple[Written, ...] = ()
    expectations: tuple[tuple[Claim, bool], ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    previous: Chain[Any] | None = None
    """The value this one was made from: a value that another one extends is no scenario of its own."""

    # first steps and free steps

    @overload
    def returns(self, value: Callable[[Context, Out], New]) -> Chain[New]: ...
    @overload
    def returns(self, value: Callable[[Out], New]) -> Chain[New]: ...
    @overload
    def returns(self, value: New) -> Chain[New]: ...
    def returns(self, value: Any) -> Chain[Any]:
        """Emit `value`, or what the function returns."""
        return self._add(steps.Returns(value))

    def execute(self, fn: Callable[[Context], Awaitable[Any]]) -> Chain[Any]:
        """Run a coroutine that reads `context.input` and sends any number of outputs.

        What it returns, if not None, is one more.
        """
        return self._add(steps.Execute(fn))

    def then(self, spec: Spec[Out, New]) -> Chain[New]:
        """Run a plugin's step."""
        return self._add(spec)

    # values

    def pipe(self) -> Chain[Out]:
        """Forward the value as it is."""
        return self._add(steps.Pipe())

    @overload
    def map(self, fn: Callable[[Out], New]) -> Chain[New]: ...
    @overload
    def map(self, fn: Callable[[Context, Out], New]) -> Chain[New]: ...
    def map(self, fn: Any) -> Chain[Any]:
        """One output: what `fn` returns."""
        return self._add(steps.Map(fn))

    def map_with_context(self, fn: Callable[[Context, Out], New]) -> Chain[New]:
        """One output: what `fn(context, value)` returns."""
        return self._add(steps.MapWithContext(fn))

    @overload
    def flat_map(self, fn: Callable[[Out], Iterable[New] | AsyncIterable[New]]) -> Chain[New]: ...
    @overload
    def flat_map(self, fn: Callable[[Context, Out], Iterable[New] | AsyncIterable[New]]) -> Chain[New]: ...
    def flat_map(self, fn: Any) -> Chain[Any]:
        """One output per item of what `fn` returns; items of a mapping become pairs."""
        return self._add(steps.FlatMap(fn))

    def flatten(self) -> Chain[Any]:
        """One output per item of the value."""
        return self._add(steps.Flatten())

    @overload
    def on_each(self, fn: Callable[[Out], Any]) -> Chain[Out]: ...
    @overload
    def on_each(self, fn: Callable[[Context, Out], Any]) -> Chain[Out]: ...
    def on_each(self, fn: Any) -> Chain[Any]:
        """Call `fn` and forward the value."""
        return self._add(steps.OnEach(fn))

    @overload
    def filter(self, predicate: Callable[[Out], Any]) -> Chain[Out]: ...
    @overload
    def filter(self, predicate: Callable[[Context, Out], Any]) -> Chain[Out]: ...
    def filter(self, predicate: Any) -> Chain[Any]:
        """Drop what does not satisfy `predicate`: no error, the record just ends here."""
        return self._add(steps.Filter(predicate))

    def filter_not_none(self: Chain[New | None]) -> Chain[New]:
        """Drop None."""
        return self._add(steps.FilterNotNone())

    # checks

    @overload
    def validate(self, fn: Callable[[Out], Iterable[Any]]) -> Chain[Out]: ...
    @overload
    def validate(self, fn: Callable[[Context, Out], Iterable[Any]]) -> Chain[Out]: ...
    def validate(self, fn: Any) -> Chain[Any]:
        """Fail the record when `fn` returns errors; an empty list is fine."""
        return self._add(steps.Validate(fn))

    @overload
    def verify(self, fn: Callable[[Out], Any]) -> Chain[Out]: ...
    @overload
    def verify(self, fn: Callable[[Context, Out], Any]) -> Chain[Out]: ...
    def verify(self, fn: Any) -> Chain[Any]:
        """Fail the record when `fn` returns something false, None excepted, or raises AssertionError."""
        return self._add(steps.Verify(fn))

    @overload
    def verify_and_map(self, fn: Callable[[Out], New]) -> Chain[New]: ...
    @overload
    def verify_and_map(self, fn: Callable[[Context, Out], New]) -> Chain[New]: ...
    def verify_and_map(self, fn: Any) -> Chain[Any]:
        """Forward what `fn` returns; False or an AssertionError fails the record."""
        return self._add(steps.VerifyAndMap(fn))

    # time

    def delay(self, duration: Duration | Uniform | Normal) -> Chain[Out]:
        """Wait; the next step is due when the wait is over."""
        return self._add(steps.Delay(duration))

    def pace(self, fn: Callable[[float], Duration]) -> Chain[Out]:
        """Let the minion through once per period; `fn` makes it from the last one (seconds, 0 at first)."""
        return self._add(steps.Pace(fn))

    def constant_pace(self, period: Duration) -> Chain[Out]:
        """Let the minion through once per `period`."""
        return self._add(steps.ConstantPace(period))

    def accelerating_pace(self, start: Duration, accelerator: float, minimum: Duration) -> Chain[Out]:
        """As `constant_pace`, the period divided by `accelerator` each time, down to `minimum`."""
        return self._add(steps.AcceleratingPace(start, accelerator, minimum))

    # the minion's shelf

    @overload
    def shelve(self, name: str, fn: Callable[[Out], Any] = ...) -> Chain[Out]: ...
    @overload
    def shelve(self, name: str, fn: Callable[[Context, Out], Any]) -> Chain[Out]: ...
    def shelve(self, name: str, fn: Any = lambda value: value) -> Chain[Any]:
        """Keep what `fn` returns under `name`, for this minion, and forward the value."""
        return self._add(steps.Shelve(name, fn))

    def unshelve(self, *names: str, delete: bool = True) -> Chain[Any]:
        """Emit the kept value (one name) or a dict of them (several); None where nothing was kept."""
        return self._add(steps.Unshelve(names, delete))

    # sub-graphs

    def stage(self, name: str, build: Callable[[Chain[Out]], Chain[New]]) -> Chain[New]:
        """A sub-graph as one step: iterate, retry and timeout apply to the whole."""
        return self._add(steps.Stage(), self._branches(build), Options(name=name))

    def split(self, *builds: Callable[[Chain[Out]], Chain[Any]]) -> Chain[Out]:
        """Concurrent branches that each get the value; the chain goes on with it at once."""
        return self._add(steps.Split(), self._branches(*builds))

    @overload
    def gather(self, a: Callable[[Chain[Out]], Chain[A]], /) -> Chain[tuple[A]]: ...
    @overload
    def gather(
        self, a: Callable[[Chain[Out]], Chain[A]], b: Callable[[Chain[Out]], Chain[B]], /
    ) -> Chain[tuple[A, B]]: ...
    @overload
    def gather(
        self,
        a: Callable[[Chain[Out]], Chain[A]],
        b: Callable[[Chain[Out]], Chain[B]],
        c: Callable[[Chain[Out]], Chain[C]],
        /,
    ) -> Chain[tuple[A, B, C]]: ...
    @overload
    def gather(
        self,
        a: Callable[[Chain[Out]], Chain[A]],
        b: Callable[[Chain[Out]], Chain[B]],
        c: Callable[[Chain[Out]], Chain[C]],
        d: Callable[[Chain[Out]], Chain[D]],
        /,
    ) -> Chain[tuple[A, B, C, D]]: ...
    @overload
    def gather(self, *builds: Callable[[Chain[Out]], Chain[Any]]) -> Chain[tuple[Any, ...]]: ...
    def gather(self, *builds: Callable[[Chain[Out]], Chain[Any]]) -> Chain[Any]:
        """Concurrent branches rejoined: a tuple of their last values, None for one that emitted nothing."""
        return self._add(steps.Gather(), self._branches(*builds))

    def choose(self, *weighted: tuple[float, Callable[[Chain[Out]], Chain[New]]]) -> Chain[New]:
        """One branch by weight, drawn per record."""
        branches = self._branches(*(build for _, build in weighted))
        return self._add(steps.Choose(tuple(weight for weight, _ in weighted)), branches)

    # records of others

    @overload
    def inner_join(
        self,
        right: Source[New],
        on: Callable[[Out], Any],
        having: Callable[[New], Any],
        timeout: Duration,
        cache_timeout: Duration = 0,
        cache_size: int = CACHE_SIZE,
    ) -> Chain[Pair[Out, New]]: ...
    @overload
    def inner_join(
        self,
        right: Source[New],
        on: Callable[[Context, Out], Any],
        having: Callable[[New], Any],
        timeout: Duration,
        cache_timeout: Duration = 0,
        cache_size: int = CACHE_SIZE,
    ) -> Chain[Pair[Out, New]]: ...
    @overload
    def inner_join(
        self,
        right: str,
        on: Callable[..., Any],
        having: Callable[[Any], Any],
        timeout: Duration,
        cache_timeout: Duration = 0,
        cache_size: int = CACHE_SIZE,
    ) -> Chain[Pair[Out, Any]]: ...
    def inner_join(
        self,
        right: Any,
        on: Any,
        having: Any,
        timeout: Duration,
        cache_timeout: Duration = 0,
        cache_size: int = CACHE_SIZE,
    ) -> Chain[Any]:
        """Wait for the right value with the same key and emit the pair; the match is used up.

        `right` is a source, or the name of a step of this scenario. A record without a match within `timeout`
        fails. Right values wait for `cache_timeout` (0: as long as they are among the latest `cache_size`).
        """
        return self._add(Join(right, on, having, timeout, cache_timeout, cache_size))

    @overload
    def left_join(
        self,
        right: Source[New],
        on: Callable[[Out], Any],
        having: Callable[[New], Any],
        timeout: Duration,
        cache_timeout: Duration = 0,
        cache_size: int = CACHE_SIZE,
    ) -> Chain[Pair[Out, New | None]]: ...
    @overload
    def left_join(
        self,
        right: Source[New],
        on: Callable[[Context, Out], Any],
        having: Callable[[New], Any],
        timeout: Duration,
        cache_timeout: Duration = 0,
        cache_size: int = CACHE_SIZE,
    ) -> Chain[Pair[Out, New | None]]: ...
    @overload
    def left_join(
        self,
        right: str,
        on: Callable[..., Any],
        having: Callable[[Any], Any],
        timeout: Duration,
        cache_timeout: Duration = 0,
        cache_size: int = CACHE_SIZE,
    ) -> Chain[Pair[Out, Any]]: ...
    def left_join(
        self,
        right: Any,
        on: Any,
        having: Any,
        timeout: Duration,
        cache_timeout: Duration = 0,
        cache_size: int = CACHE_SIZE,
    ) -> Chain[Any]:
        """As `inner_join`; a record without a match goes on with `right=None` after the timeout."""
        return self._add(LeftJoin(right, on, having, timeout, cache_timeout, cache_size))

    @overload
    def zip(self, on: Source[New], timeout: Duration = ...) -> Chain[Pair[Out, New]]: ...
    @overload
    def zip(self, on: str, timeout: Duration = ...) -> Chain[Pair[Out, Any]]: ...
    def zip(self, on: Any, timeout: Duration = ZIP_TIMEOUT) -> Chain[Any]:
        """Pair with the next unread value of a source or of a named step; each is used once."""
        return self._add(Zip(on, timeout))

    @overload
    def zip_last(self, on: Source[New], timeout: Duration = ...) -> Chain[Pair[Out, New]]: ...
    @overload
    def zip_last(self, on: str, timeout: Duration = ...) -> Chain[Pair[Out, Any]]: ...
    def zip_last(self, on: Any, timeout: Duration = ZIP_TIMEOUT) -> Chain[Any]:
        """Pair with the latest value of a source or of a named step, waiting for the first."""
        return self._add(ZipLast(on, timeout))

    def collect(self, timeout: Duration, batch_size: int | None = None) -> Chain[list[Out]]:
        """Gather records across the minions of a worker into a list.

        It is released when it holds `batch_size` records, or `timeout` after its first. The list goes on with
        the minion whose record came last; the others end here.
        """
        return self._add(steps.Collect(timeout, batch_size))

    # errors

    def catch_errors(self, fn: Callable[[tuple[BaseException, ...]], Any]) -> Chain[Out]:
        """Call `fn` with the record's errors, when there are any; the record stays failed."""
        return self._add(steps.CatchErrors(fn))

    def log_errors(self) -> Chain[Out]:
        """Write the record's errors to the log; the record stays failed."""
        return self._add(steps.LogErrors())

    def recover(self, fn: Callable[[tuple[BaseException, ...]], New]) -> Chain[Out | New]:
        """Turn a failed record into a good one with the value `fn(errors)`; others pass as they are."""
        return self._add(steps.Recover(fn))

    def black_hole(self) -> Chain[None]:
        """Swallow everything."""
        return self._add(steps.BlackHole())

    # meters

    def counter(self, name: str, fn: Callable[..., float] = lambda value: 1) -> MeterChain[Out]:
        """Add up what `fn` returns. Statistics: count, value."""
        return self._meter("counter", name, fn)

    def gauge(self, name: str, fn: Callable[..., float]) -> MeterChain[Out]:
        """Keep the latest value."""
        return self._meter("gauge", name, fn)

    def rate(self, name: str, fn: Callable[..., tuple[float, float] | bool]) -> MeterChain[Out]:
        """Observed divided by total: `fn` returns the pair, or a bool."""
        return self._meter("rate", name, fn)

    def throughput(self, name: str, fn: Callable[..., float] = lambda value: 1) -> MeterChain[Out]:
        """What `fn` returns, summed per second."""
        return self._meter("throughput", name, fn)

    def timer(self, name: str, fn: Callable[..., Duration]) -> MeterChain[Out]:
        """Durations, as a distribution."""
        return self._meter("timer", name, fn)

    def summary(self, name: str, fn: Callable[..., float]) -> MeterChain[Out]:
        """Any numbers, as a distribution."""
        return self._meter("summary", name, fn)

    # of the step just added

    def named(self, name: str) -> Chain[Out]:
        return self._option(name=name)

    def timeout(self, duration: Duration) -> Chain[Out]:
        """Per iteration, spanning its retries."""
        return self._option(timeout=duration)

    def retry(self, policy: BackoffSpec) -> Chain[Out]:
        return self._option(retry=policy)

    def iterate(self, count: int, period: Duration = 0, stop_on_error: bool = False) -> Chain[Out]:
        """Execute the step `count` times with the same input, each output going on down the chain."""
        return self._option(iterate=IterationSpec(count, period, stop_on_error))

    def monitor(self, meters: bool = True, events: bool = True) -> Chain[Out]:
        return self._option(monitor_meters=meters, monitor_events=events)

    def tag(self, **tags: str) -> Chain[Out]:
        """Add tags to the step's events and meters."""
        before = self.steps[-1].options.tags if self.steps else ()
        return self._option(tags=(*before, *tags.items()))

    def report(self, errors: bool = True) -> Chain[Out]:
        """`errors=False`: failures of this step neither fail the campaign nor show as messages."""
        return self._option(report_errors=errors)

    def tolerate(self, share: float) -> Chain[Out]:
        """The share (0 to 1) of failed executions that does not fail the campaign."""
        return self._option(tolerate=share)

    # of the whole scenario

    def expect(self, *claims: Claim, abort: bool = False) -> Chain[Out]:
        """Conditions on fleet-wide aggregates of steps; `abort=True` stops the campaign when violated."""
        added = tuple((claim, abort) for claim in claims)
        return replace(self, expectations=self.expectations + added, previous=self)

    if not TYPE_CHECKING:

        def __getattr__(self, verb: str) -> Callable[..., Chain[Any]]:
            # A misspelt verb must not hide the file's other mistakes: record it and go on.
            if verb.startswith("_"):
                raise AttributeError(verb)
            where = caller()
            verbs = [name for name in dir(Chain) if not name.startswith("_")]
            near = get_close_matches(verb, verbs, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "see the documentation for the verbs there are"
            mistake = Mistake(where.file, where.line, f"there is no step verb {verb!r}", hint)
            broken = replace(self, mistakes=(*self.mistakes, mistake), previous=self)
            return lambda *args, **kwargs: broken

    def _add(
        self, spec: Spec[Any, Any], branches: tuple[Chain[Any], ...] = (), options: Options = DEFAULTS
    ) -> Chain[Any]:
        step = Written(spec, caller(2), options, branches)
        return Chain(self.head, (*self.steps, step), self.expectations, self.mistakes, self)

    def _meter(self, type: str, name: str, fn: Callable[..., Any]) -> MeterChain[Out]:
        step = Written(steps.Meter(type, name, fn), caller(2), Options(name=name))
        return MeterChain(self.head, (*self.steps, step), self.expectations, self.mistakes, self)

    def _branches(self, *builds: Callable[[Chain[Any]], Chain[Any]]) -> tuple[Chain[Any], ...]:
        return tuple(build(Chain(None)) for build in builds)

    def _option(self, **changes: Any) -> Chain[Any]:
        if not self.steps:
            where = caller(2)
            verb = next(iter(changes))
            mistake = Mistake(
                where.file,
                where.line,
                f"{verb} speaks of a step, and there is none yet",
                "add the step first",
            )
            return replace(self, mistakes=(*self.mistakes, mistake), previous=self)
        last = self.steps[-1]
        last = replace(last, options=replace(last.options, **changes))
        return replace(self, steps=(*self.steps[:-1], last), previous=self)


@dataclass(frozen=True, eq=False)
class MeterChain(Chain[Out]):
    """A chain that ends with a meter, of which conditions can be required."""

    def should_satisfy(self, fn: Callable[[Statistics], Claim | Iterable[Claim]]) -> MeterChain[Out]:
        """Require what `fn` claims, of the aggregate over all factories; `fn` runs once, while building."""
        where = caller()
        stated = fn(Statistics())
        claims = tuple(stated) if isinstance(stated, Iterable) else (stated,)
        if not claims or not all(isinstance(claim, Claim) for claim in claims):
            mistake = Mistake(
                where.file,
                where.line,
                "should_satisfy needs a condition",
                'for example lambda timer: timer.percentile(95).is_less_than("1s")',
            )
            return replace(self, mistakes=(*self.mistakes, mistake), previous=self)
        last = self.steps[-1]
        last = replace(last, claims=(*last.claims, *claims))
        return replace(self, steps=(*self.steps[:-1], last), previous=self)
