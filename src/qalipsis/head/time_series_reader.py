"""Reads meters of campaigns from the store, in pieces that hold up nobody, and sums them up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from qalipsis.config.durations import seconds
from qalipsis.head.campaign_list import UNENDED, CampaignQuery, CampaignRecord, Page
from qalipsis.head.campaign_outcomes import MOST_PERIODS, Outcomes, Period
from qalipsis.head.data_series import DataSeries
from qalipsis.head.meter_filter import identifying, test_of
from qalipsis.head.meter_rows import NAMES
from qalipsis.head.meter_series import Meter, MeterQuery
from qalipsis.head.refusals import TooMuch
from qalipsis.head.sharing import not_there
from qalipsis.head.store import Store
from qalipsis.head.time_series import Aggregation, Curve, width_for

PIECE: Final = 500
"""Meters read at once: some 15 ms during which the head does nothing else."""

MOST_READ: Final = 1_000_000
MOST_POINTS: Final = 10_000
SAMPLED_CAMPAIGNS: Final = 20
MOST_SAMPLES: Final = 5000

_LISTED: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which meters of which campaigns; what is empty or None does not narrow them."""

    campaigns: tuple[str, ...]
    scenarios: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    """When empty, the meters of the whole fleet; else those of each of these."""
    since: datetime | None = None
    until: datetime | None = None


class TimeSeriesReader:
    """Raises NotThere for unknown campaigns, TooMuch when a request asks for too much."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def aggregate(
        self,
        series: Sequence[DataSeries],
        scope: Scope,
        width_seconds: float | None = None,
        *,
        is_drawn: bool = False,
    ) -> dict[str, Curve]:
        """The curve of each series by its reference.

        Buckets are as wide as asked for, else as the series says, else as suits the longest campaign. What is
        drawn is not finer than suits it, for nobody would see more.
        """
        campaigns = [await self._campaign(key) for key in dict.fromkeys(scope.campaigns)]
        starts = {each.key: each.start or each.creation for each in campaigns}
        longest = max((_length(each) for each in campaigns), default=0.0)
        sums = {}
        for each in series:
            suited = width_for(longest)
            own = _own_width(each) or suited
            width = width_seconds or (max(own, suited) if is_drawn else own)
            if longest / width > MOST_POINTS:
                raise TooMuch(
                    f"more than {MOST_POINTS} points would be the answer; choose a longer timeframe"
                )
            sums[each.reference] = Aggregation(each, starts, width)
        async for campaign, meter in self._read(scope, series):
            for aggregation in sums.values():
                aggregation.add(campaign, meter)
        # Of many values, sorting alone would hold up everybody else.
        return await asyncio.to_thread(lambda: {key: each.curve() for key, each in sums.items()})

    async def search(
        self, series: Sequence[DataSeries], scope: Scope, page: int, size: int
    ) -> dict[str, Page[tuple[str, Meter]]]:
        """A page of the meters of each series, in the order of time, each with its campaign."""
        for key in scope.campaigns:
            await self._campaign(key)
        tests = {each.reference: (each.value_name, test_of(each.filters)) for each in series}
        found: dict[str, list[tuple[str, Meter]]] = {each.reference: [] for each in series}
        counts = dict.fromkeys(found, 0)
        first, last = page * size, (page + 1) * size
        async for campaign, meter in self._read(scope, series):
            for reference, (name, accepts) in tests.items():
                if meter.name == name and accepts(meter):
                    if first <= counts[reference] < last:
                        found[reference].append((campaign, meter))
                    counts[reference] += 1
        return {
            reference: Page(tuple(elements), page, size, counts[reference])
            for reference, elements in found.items()
        }

    async def samples(self, campaigns: Sequence[str]) -> tuple[Meter, ...]:
        """One meter of each kind that these campaigns, or else the latest ones, have measured."""
        for key in campaigns:
            await self._campaign(key)
        if not campaigns:
            latest = await self._store.campaigns(CampaignQuery(size=SAMPLED_CAMPAIGNS))
            campaigns = tuple(each.key for each in latest.elements)
        return await self._store.meter_samples(campaigns, MOST_SAMPLES) if campaigns else ()

    async def names(self, campaigns: Sequence[str]) -> tuple[str, ...]:
        """The meters that can be asked for: those of every campaign, and what was measured besides."""
        found = {each.name for each in await self.samples(campaigns)}
        return tuple(sorted(found if campaigns else found | set(NAMES)))

    async def outcomes(
        self, since: datetime | None, until: datetime | None, offset: timedelta, length: timedelta
    ) -> tuple[Period, ...]:
        """How the campaigns ended that began in each period."""
        until = until or datetime.now(UTC)
        outcomes = Outcomes(since or until - 30 * length, until, offset, length)
        if len(outcomes.periods()) > MOST_PERIODS:
            raise TooMuch(f"more than {MOST_PERIODS} periods would be the answer; choose a longer timeframe")
        query = CampaignQuery(sort="start", descending=True, excluded_statuses=UNENDED, size=_LISTED)
        while True:
            page = await self._store.campaigns(query)
            for each in page.elements:
                outcomes.add(each.start, each.status)
            oldest = page.elements[-1].start if page.elements else None
            if oldest is None or oldest < outcomes.since or query.page + 1 >= page.total_pages:
                return outcomes.periods()
            query = replace(query, page=query.page + 1)

    async def _campaign(self, key: str) -> CampaignRecord:
        record = await self._store.campaign(key)
        if record is None:
            raise not_there("campaign", key)
        return record

    async def _read(self, scope: Scope, series: Sequence[DataSeries]) -> AsyncIterator[tuple[str, Meter]]:
        """What may belong to the series within the scope, campaign after campaign, in the order of time."""
        wanted = [each for each in series if each.data_type == "METERS"]
        left = MOST_READ
        for campaign in dict.fromkeys(scope.campaigns) if wanted else ():
            like = await self._candidates(campaign, wanted)
            if like == ():
                continue
            query = MeterQuery(
                campaigns=(campaign,),
                names=tuple(sorted({each.value_name for each in wanted})),
                # What the campaign as a whole measured belongs to each of its scenarios.
                scenarios=("", *scope.scenarios) if scope.scenarios else (),
                like=like or (),
                zones=scope.zones,
                since=scope.since,
                until=scope.until,
                limit=PIECE,
            )
            async for piece in self._pieces(query):
                left -= len(piece)
                if left < 0:
                    raise TooMuch(
                        f"more than {MOST_READ} values would have to be read; "
                        "choose fewer campaigns or series, or a shorter time"
                    )
                for each in piece:
                    yield campaign, each

    async def _candidates(self, campaign: str, series: Sequence[DataSeries]) -> tuple[Meter, ...] | None:
        """One of each meter that the filters let through; None when there are too many to tell."""
        samples = await self._store.meter_samples((campaign,), MOST_SAMPLES)
        if len(samples) == MOST_SAMPLES:
            return None
        tests = [(each.value_name, test_of(identifying(each.filters))) for each in series]
        return tuple(
            meter for meter in samples if any(meter.name == name and test(meter) for name, test in tests)
        )

    async def _pieces(self, query: MeterQuery) -> AsyncIterator[tuple[Meter, ...]]:
        while True:
            piece = await self._store.meters(query)
            if len(piece) < query.limit:
                yield piece
                return
            newest = piece[-1].at
            # The last moment may go on in the next piece, so that it is read again from there.
            whole = tuple(each for each in piece if each.at != newest)
            yield whole
            # A moment that fills a whole piece needs a larger one.
            query = replace(query, since=newest, limit=PIECE if whole else query.limit * 2)


def _length(campaign: CampaignRecord) -> float:
    if campaign.start is None:
        return 0.0
    return max(0.0, ((campaign.end or datetime.now(UTC)) - campaign.start).total_seconds())


def _own_width(series: DataSeries) -> float | None:
    return None if series.timeframe_unit is None else seconds(series.timeframe_unit)
