"""Conditions as authors write them: a recorder turns `timer.percentile(95).is_less_than("1s")` into data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qalipsis.language.location import Location, caller


@dataclass(frozen=True, slots=True)
class Claim:
    """`statistic` of a subject compared with `bounds` (as written; the compiler reads durations)."""

    statistic: str
    argument: float | None
    operator: str
    bounds: tuple[Any, ...]
    location: Location
    step: str | None = None
    measure: str | None = None


class Subject:
    """Says what there is when an author asks for something else."""

    __slots__ = ()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(name)
            fields = self.__dataclass_fields__
            known = [each for each in dir(type(self)) if not each.startswith("_") and each not in fields]
            hint = f", write percentile({name[1:]})" if re.fullmatch(r"p\d+", name) else ""
            raise AttributeError(f"there is no {name!r} here{hint}; there are {', '.join(known)}")


@dataclass(frozen=True, slots=True)
class Statistic(Subject):
    """One number of an aggregate, to be compared."""

    name: str
    argument: float | None = None
    step: str | None = None
    measure: str | None = None

    def is_greater_than(self, bound: Any) -> Claim:
        return self._claim("is_greater_than", bound)

    def is_greater_than_or_equal(self, bound: Any) -> Claim:
        return self._claim("is_greater_than_or_equal", bound)

    def is_less_than(self, bound: Any) -> Claim:
        return self._claim("is_less_than", bound)

    def is_less_than_or_equal(self, bound: Any) -> Claim:
        return self._claim("is_less_than_or_equal", bound)

    def is_equal(self, bound: Any) -> Claim:
        return self._claim("is_equal", bound)

    def is_between(self, low: Any, high: Any) -> Claim:
        """Inclusive at both ends."""
        return self._claim("is_between", low, high)

    def is_not_between(self, low: Any, high: Any) -> Claim:
        return self._claim("is_not_between", low, high)

    def _claim(self, operator: str, *bounds: Any) -> Claim:
        return Claim(self.name, self.argument, operator, bounds, caller(2), self.step, self.measure)


@dataclass(frozen=True, slots=True)
class Statistics(Subject):
    """The aggregate a condition speaks of; which of these numbers exist depends on the meter."""

    step: str | None = None
    measure: str | None = None

    @property
    def count(self) -> Statistic:
        return self._statistic("count")

    @property
    def value(self) -> Statistic:
        return self._statistic("value")

    @property
    def current(self) -> Statistic:
        return self._statistic("current")

    @property
    def mean(self) -> Statistic:
        return self._statistic("mean")

    @property
    def max(self) -> Statistic:
        return self._statistic("max")

    def percentile(self, rank: float) -> Statistic:
        """`rank` between 0 and 100, both excluded."""
        return Statistic("percentile", rank, self.step, self.measure)

    def _statistic(self, name: str) -> Statistic:
        return Statistic(name, None, self.step, self.measure)


@dataclass(frozen=True, slots=True)
class StepSubject(Subject):
    """A step of the scenario, as the subject of `expect`."""

    name: str

    @property
    def latency(self) -> Statistics:
        """What users wait: from the planned moment (`due`) to the complete response."""
        return Statistics(self.name, "latency")

    @property
    def service_time(self) -> Statistics:
        """What the service takes: from the first byte sent to the complete response."""
        return Statistics(self.name, "service_time")

    @property
    def failed_share(self) -> Statistic:
        """Failed executions over all executions, 0 to 1."""
        return Statistic("value", None, self.name, "failed_share")

    @property
    def executions(self) -> Statistic:
        """How often the step was executed."""
        return Statistic("count", None, self.name, "executions")


def step(name: str) -> StepSubject:
    """The step `name`, for `expect(step("place-order").latency.percentile(95).is_less_than("1s"))`."""
    return StepSubject(name)
