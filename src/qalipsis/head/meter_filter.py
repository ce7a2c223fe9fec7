"""Whether a meter belongs to a data series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import ge, gt, le, lt
from typing import Final

from qalipsis.head.data_series import Filter, wildcard
from qalipsis.head.meter_series import Meter

Test = Callable[[Meter], bool]

_ORDERS: Final[dict[str, Callable[[float, float], bool]]] = {
    "IS_GREATER_THAN": gt,
    "IS_LOWER_THAN": lt,
    "IS_GREATER_OR_EQUAL_TO": ge,
    "IS_LOWER_OR_EQUAL_TO": le,
}


def test_of(filters: Sequence[Filter]) -> Test:
    """The filters as one test: all of them must hold. A tag that a meter lacks is no value, and no other."""
    tests = [_test(each) for each in filters]
    return lambda meter: all(test(meter) for test in tests)


def identifying(filters: Sequence[Filter]) -> tuple[Filter, ...]:
    """Those that hold for all moments of a meter or for none: figures change, tags do not."""
    return tuple(each for each in filters if each.operator not in _ORDERS)


def figure(meter: Meter, name: str) -> float | None:
    """A field of the meter: count, value, sum, mean, max, or one of the others."""
    value = getattr(meter, name) if name in FIELDS else meter.other.get(name)
    return None if value is None else float(value)


FIELDS: Final = ("count", "value", "sum", "mean", "max")


def _test(asked: Filter) -> Test:
    name = asked.name
    if (order := _ORDERS.get(asked.operator)) is not None:
        return _ordered(name, order, _number(asked.value))
    is_negated = asked.operator.startswith("IS_NOT")
    holds = _likeness(asked)

    def test(meter: Meter) -> bool:
        text = _text(meter, name)
        return (text is not None and holds(text)) is not is_negated

    return test


def _likeness(asked: Filter) -> Callable[[str], bool]:
    match asked.operator.replace("IS_NOT", "IS"):
        case "IS_IN":
            values = {part.strip() for part in asked.value.split(",")}
            return lambda text: text in values
        case "IS_LIKE":
            pattern = wildcard(asked.value.replace("%", "*"))
            return lambda text: pattern.fullmatch(text) is not None
        case _:
            return lambda text: text == asked.value


def _ordered(name: str, order: Callable[[float, float], bool], bound: float | None) -> Test:
    def test(meter: Meter) -> bool:
        value = figure(meter, name)
        if value is None:
            text = _text(meter, name)
            value = None if text is None else _number(text)
        return value is not None and bound is not None and order(value, bound)

    return test


def _text(meter: Meter, name: str) -> str | None:
    match name:
        case "scenario" | "type":
            return str(getattr(meter, name)) or None
        case _:
            return meter.tags.get(name)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
