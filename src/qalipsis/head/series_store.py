"""The seam behind which data series are kept, and the one that lives as long as its process."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from msgspec.structs import replace

from qalipsis.clock import Clock
from qalipsis.head.campaign_list import moment
from qalipsis.head.data_series import DataSeries
from qalipsis.head.refusals import Stale
from qalipsis.head.sharing import not_there
from qalipsis.system_clock import SystemClock


class SeriesStore(Protocol):
    """Keeps data series; who may do what is not its business. `check_series` proves the promises."""

    async def all(self) -> tuple[DataSeries, ...]:
        """In the order in which they were added."""

    async def add(self, series: DataSeries) -> DataSeries:
        """Keep it, with its moments set; nothing changes when its reference is there already."""

    async def replace(self, series: DataSeries) -> DataSeries:
        """Write a changed one, with its next version.

        Raises Stale when it was changed since the version it was read at, NotThere when it was deleted.
        """

    async def delete(self, reference: str) -> None:
        """Nothing happens when it is not there."""


class MemorySeries:
    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._kept: dict[str, DataSeries] = {}

    async def all(self) -> tuple[DataSeries, ...]:
        return tuple(self._kept.values())

    async def add(self, series: DataSeries) -> DataSeries:
        now = moment(self._clock.epoch(self._clock.now()))
        return self._kept.setdefault(series.reference, replace(series, creation=now, version=now))

    async def replace(self, series: DataSeries) -> DataSeries:
        known = self._kept.get(series.reference)
        if known is None:
            raise not_there("data series", series.reference)
        if known.version != series.version:
            raise changed_meanwhile("data series", series.reference)
        now = moment(self._clock.epoch(self._clock.now()))
        changed = replace(series, version=max(now, known.version + timedelta(microseconds=1)))
        self._kept[series.reference] = changed
        return changed

    async def delete(self, reference: str) -> None:
        self._kept.pop(reference, None)


def changed_meanwhile(kind: str, reference: str) -> Stale:
    return Stale(f"{kind} {reference} was changed by somebody else in the meantime; read it and try again")
