"""What is kept of each second, for data series: the closed second of a campaign as meters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from qalipsis.head.campaign_list import moment
from qalipsis.head.load import LoadSecond
from qalipsis.head.meter_series import Meter
from qalipsis.metrics.meter_totals import MeterTotals
from qalipsis.metrics.timeline import SecondFigures, StepSecond

MINIONS: Final = "minions.count"
OFFERED: Final = "requests.offered"
ACHIEVED: Final = "requests.achieved"
ERRORS: Final = "errors"
LATENCY: Final = "step.latency"
EXECUTIONS: Final = "step.executions"
FAILURES: Final = "step.failures"

NAMES: Final = (MINIONS, OFFERED, ACHIEVED, ERRORS, LATENCY, EXECUTIONS, FAILURES)
"""The meters that every campaign has; those of the authors come to them."""

_PERCENTILES: Final = {
    "percentile_50.0": "p50_ms",
    "percentile_75.0": "p75_ms",
    "percentile_95.0": "p95_ms",
    "percentile_99.0": "p99_ms",
    "percentile_99.9": "p999_ms",
}


_START: Final = moment(0.0)


class Counted(Struct, frozen=True, array_like=True):
    """How much a meter of an author had counted, and its sum: in one zone, or where that is empty in all."""

    zone: str
    scenario: str
    meter: str
    count: float
    sum: float


@dataclass(frozen=True, slots=True)
class Part:
    """What one zone of several has to a second, beside its figures."""

    load: LoadSecond
    totals: Iterable[MeterTotals]


@dataclass(frozen=True, slots=True)
class _Origin:
    """What meters tell of: the fleet, or a zone that is a part of it."""

    t: int
    zone: str
    is_part: bool


_NO_PARTS: Final[Mapping[str, Part]] = MappingProxyType({})


class MeterRows:
    """Turns closed seconds into meters, which wait until they are taken.

    A meter says what happened in its second, not since the start. Durations are milliseconds. Of the timers
    and summaries of authors a second keeps count, sum and mean: their distributions are merged as they come.
    """

    def __init__(self, counted: Iterable[Counted] = ()) -> None:
        self._waiting: list[tuple[_Origin, Meter]] = []
        self._before = {(each.zone, each.scenario, each.meter): (each.count, each.sum) for each in counted}

    def counted(self) -> tuple[Counted, ...]:
        """What the next second is held against."""
        return tuple(Counted(*key, *figures) for key, figures in self._before.items())

    def add(
        self,
        figures: SecondFigures,
        load: LoadSecond,
        totals: Iterable[MeterTotals],
        *,
        zone: str = "",
        parts: Mapping[str, Part] = _NO_PARTS,
    ) -> None:
        """A second was closed; `totals` are the authors' meters as they stand.

        A fleet that stands in one zone names it; one that stands in several has parts, by their zones.
        """
        # Nobody has named those with an underscore. Where the fleet shows a step, every zone does.
        shown = [key for key, second in figures.steps.items() if second.failed or not key[1].startswith("_")]
        self._add(_Origin(figures.t, zone, is_part=False), figures, load, totals, shown)
        for each, part in parts.items():
            origin = _Origin(figures.t, each, is_part=True)
            self._add(origin, figures.zones[each], part.load, part.totals, shown)

    def take(self, started_at: float) -> tuple[Meter, ...]:
        """All that wait, of a campaign that started at this instant, in epoch seconds; each is taken once."""
        taken, self._waiting = self._waiting, []
        return tuple(
            replace(meter, at=moment(started_at + origin.t), zone=origin.zone, is_part=origin.is_part)
            for origin, meter in taken
        )

    def _add(
        self,
        origin: _Origin,
        figures: SecondFigures,
        load: LoadSecond,
        totals: Iterable[MeterTotals],
        shown: Iterable[tuple[str, str]],
    ) -> None:
        self._waiting += ((origin, meter) for meter in _of_campaign(figures, load))
        for key in shown:
            if (second := figures.steps.get(key)) is not None:
                self._waiting += ((origin, meter) for meter in _of_step(*key, second))
        part = origin.zone if origin.is_part else ""
        for each in totals:
            if (meter := self._of_author(each, part)) is not None:
                self._waiting.append((origin, meter))

    def _of_author(self, totals: MeterTotals, part: str) -> Meter | None:
        """What changed in this second; None when nothing did. A gauge keeps its value till it is set."""
        key = (part, totals.scenario, totals.name)
        known_count, known_sum = self._before.get(key, (0.0, 0.0))
        made = Meter(name=totals.name, at=_START, type=totals.type, scenario=totals.scenario)
        if totals.type in ("gauge", "rate"):
            return None if totals.value is None else replace(made, value=totals.value)
        if totals.type in ("counter", "throughput"):
            now = totals.value or 0.0
            self._before[key] = (now, 0.0)
            return replace(made, value=now - known_count)
        count, total = totals.distribution.count, totals.distribution.sum
        self._before[key] = (count, total)
        fresh, factor = int(count - known_count), 1e3 if totals.type == "timer" else 1.0
        if not fresh:
            return None
        added = factor * (total - known_sum)
        return replace(made, count=fresh, sum=added, mean=added / fresh)


def _of_campaign(figures: SecondFigures, load: LoadSecond) -> Iterator[Meter]:
    yield Meter(name=MINIONS, at=_START, type="gauge", value=float(load.minions))
    for name, count in ((OFFERED, load.offered), (ACHIEVED, load.achieved), (ERRORS, figures.errors)):
        yield Meter(name=name, at=_START, type="counter", count=count, value=float(count))


def _of_step(scenario: str, step: str, second: StepSecond) -> Iterator[Meter]:
    made = Meter(name=EXECUTIONS, at=_START, type="counter", scenario=scenario, tags={"step": step})
    yield replace(made, count=second.executed, value=float(second.executed))
    yield replace(made, name=FAILURES, count=second.failed, value=float(second.failed))
    if second.timed:
        yield replace(
            made,
            name=LATENCY,
            type="timer",
            count=second.timed,
            sum=second.sum_ms,
            mean=second.sum_ms / second.timed,
            max=second.max_ms,
            other={name: getattr(second, attribute) for name, attribute in _PERCENTILES.items()},
        )
