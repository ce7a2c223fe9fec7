"""How the built-in verbs run: each becomes one function of the context."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from qalipsis.engine.context import Context
from qalipsis.engine.operation import DROP
from qalipsis.engine.step import StepError
from qalipsis.language import steps
from qalipsis.language.callables import takes_context
from qalipsis.language.distributions import Normal, Uniform, draw
from qalipsis.language.durations import seconds
from qalipsis.metrics.meters import UserMeter

Call = Callable[[Context], Any]

_log = logging.getLogger("qalipsis.scenario")


class Failed(StepError, AssertionError):
    """A check that did not hold."""

    def __init__(self, message: str) -> None:
        super().__init__("assertion", message)


def on_value(fn: Callable[..., Any]) -> Call:
    """Call the author's function with what it asks for: the value, or context and value."""
    if takes_context(fn):
        return lambda context: fn(context, context.value)
    return lambda context: fn(context.value)


def returns(spec: steps.Returns) -> Call:
    if callable(spec.value):
        return on_value(spec.value)
    value = spec.value
    return lambda context: value


def pipe(spec: steps.Pipe) -> Call:
    return lambda context: context.value


def on_each(spec: steps.OnEach) -> Call:
    fn = on_value(spec.fn)

    def call(context: Context) -> Any:
        fn(context)
        return context.value

    return call


def keep(spec: steps.Filter) -> Call:
    fn = on_value(spec.fn)
    return lambda context: context.value if fn(context) else DROP


def keep_not_none(spec: steps.FilterNotNone) -> Call:
    return lambda context: DROP if context.value is None else context.value


def validate(spec: steps.Validate) -> Call:
    fn = on_value(spec.fn)

    def call(context: Context) -> Any:
        errors = fn(context)
        found = [errors] if isinstance(errors, str) else list(errors or ())
        if found:
            raise Failed("; ".join(str(error) for error in found))
        return context.value

    return call


def verify(spec: steps.Verify) -> Call:
    fn = spec.fn
    if takes_context(fn):
        with_context = on_value(fn)

        def call(context: Context) -> Any:
            holds = with_context(context)
            if not holds and holds is not None:
                raise Failed("the check does not hold")
            return context.value

        return call

    def call_value(context: Context) -> Any:
        value = context.value
        holds = fn(value)
        # A function of assert statements returns None when they hold.
        if not holds and holds is not None:
            raise Failed("the check does not hold")
        return value

    return call_value


def verify_and_map(spec: steps.VerifyAndMap) -> Call:
    fn = on_value(spec.fn)

    def call(context: Context) -> Any:
        value = fn(context)
        if value is False:
            raise Failed("the check does not hold")
        return value

    return call


def flatten(spec: steps.Flatten) -> Call:
    return lambda context: context.value


def shelve(spec: steps.Shelve) -> Call:
    fn, name = on_value(spec.fn), spec.name

    def call(context: Context) -> Any:
        context.minion[name] = fn(context)
        return context.value

    return call


def unshelve(spec: steps.Unshelve) -> Call:
    def call(context: Context) -> Any:
        shelf = context.minion.shelf
        take = shelf.pop if spec.delete else shelf.get
        found = {name: take(name, None) for name in spec.names}
        return found[spec.names[0]] if len(spec.names) == 1 else found

    return call


def black_hole(spec: steps.BlackHole) -> Call:
    return lambda context: DROP


def catch_errors(spec: steps.CatchErrors | steps.Recover) -> Call:
    fn = spec.fn
    return lambda context: fn(context.errors)


def log_errors(spec: steps.LogErrors) -> Call:
    def call(context: Context) -> None:
        for error in context.errors:
            _log.error(
                "minion %d of %s: %s: %s",
                context.minion.index,
                context.minion.scene.scenario,
                type(error).__name__,
                error,
            )

    return call


def delay(spec: steps.Delay) -> Call:
    """How long to wait, in seconds."""
    duration = spec.duration
    if isinstance(duration, Uniform | Normal):
        return lambda context: draw(duration, context.minion.random)
    fixed = seconds(duration)
    return lambda context: fixed


def pace(next_period: Callable[[float], float], key: int) -> Call:
    """The moment to go on at. `next_period` makes a period from the last one (0 at first).

    Both are kept per minion under `key`.
    """

    def call(context: Context) -> float:
        minion = context.minion
        if minion.paces is None:
            minion.paces = {}
        known = minion.paces.get(key)
        # The first time the minion passes at once; from then on its own plan counts, even when it is behind.
        due, period = (context.due, 0.0) if known is None else (known[0] + known[1], known[1])
        minion.paces[key] = (due, next_period(period))
        return due

    return call


def free_pace(spec: steps.Pace, key: int) -> Call:
    fn = spec.fn

    def next_period(last: float) -> float:
        period = seconds(fn(last))
        if period < 0:
            raise ValueError(f"pace: a period cannot be negative: {period} s")
        return period

    return pace(next_period, key)


def constant_pace(spec: steps.ConstantPace, key: int) -> Call:
    period = seconds(spec.period)
    return pace(lambda _: period, key)


def accelerating_pace(spec: steps.AcceleratingPace, key: int) -> Call:
    start, minimum, accelerator = seconds(spec.start), seconds(spec.minimum), float(spec.accelerator)
    return pace(lambda period: max(minimum, period / accelerator) if period else start, key)


def meter(spec: steps.Meter, target: UserMeter) -> Call:
    fn, record = on_value(spec.fn), target.record

    def call(context: Context) -> Any:
        record(fn(context))
        return context.value

    return call


CALLS: dict[type, Callable[[Any], Call]] = {
    steps.Returns: returns,
    steps.Pipe: pipe,
    steps.Map: lambda spec: on_value(spec.fn),
    steps.MapWithContext: lambda spec: lambda context: spec.fn(context, context.value),
    steps.OnEach: on_each,
    steps.Filter: keep,
    steps.FilterNotNone: keep_not_none,
    steps.Validate: validate,
    steps.Verify: verify,
    steps.VerifyAndMap: verify_and_map,
    steps.Shelve: shelve,
    steps.Unshelve: unshelve,
    steps.BlackHole: black_hole,
}
EXPANDS: dict[type, Callable[[Any], Call]] = {
    steps.FlatMap: lambda spec: on_value(spec.fn),
    steps.Flatten: flatten,
}
PACES: dict[type, Callable[[Any, int], Call]] = {
    steps.Pace: free_pace,
    steps.ConstantPace: constant_pace,
    steps.AcceleratingPace: accelerating_pace,
}
ERRORS: dict[type, Callable[[Any], Call]] = {
    steps.CatchErrors: catch_errors,
    steps.LogErrors: log_errors,
    steps.Recover: catch_errors,
}
