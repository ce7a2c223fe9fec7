"""The reports that users put together, each doing with them what their creators allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from qalipsis.head.campaign_list import CampaignQuery, CampaignRecord, Page
from qalipsis.head.data_series import DataSeries, new_reference
from qalipsis.head.refusals import TooMuch
from qalipsis.head.report_store import ReportStore
from qalipsis.head.report_template import (
    MOST_CAMPAIGNS,
    MOST_REPORTS,
    ReportQuery,
    ReportTemplate,
    check,
    is_meant,
    page_of,
    scenario_names,
)
from qalipsis.head.series_shelf import SeriesShelf
from qalipsis.head.series_store import changed_meanwhile
from qalipsis.head.sharing import check_changed, check_seen, not_there
from qalipsis.head.store import Store

KIND: Final = "report"

_SEARCHED: Final = 500
"""The latest campaigns: the names of these are compared with the patterns."""


@dataclass(frozen=True, slots=True)
class ResolvedReport:
    """A report with the campaigns, scenarios and data series it is about now."""

    template: ReportTemplate
    campaigns: tuple[CampaignRecord, ...]
    scenarios: tuple[str, ...]
    components: tuple[tuple[str, tuple[DataSeries, ...]], ...]
    """The type and the series of each; those that were deleted since, or are not shared, are left out."""


class ReportShelf:
    """All calls raise NotThere, NotShared, Stale or Invalid."""

    def __init__(self, reports: ReportStore, series: SeriesShelf, store: Store) -> None:
        self._reports = reports
        self._series = series
        self._store = store

    async def page(self, query: ReportQuery, user: str) -> Page[ResolvedReport]:
        found = page_of(await self._reports.all(), query, user)
        resolved = tuple([await self.resolve(each, user) for each in found.elements])
        return Page(resolved, found.page, found.size, found.total)

    async def get(self, reference: str, user: str) -> ReportTemplate:
        found = await self._reports.find(reference)
        check_seen(KIND, reference, found, user)
        assert found is not None
        return found

    async def create(self, report: ReportTemplate) -> ReportTemplate:
        """Keep it under a new reference."""
        await self._check(report, report.creator)
        if len(await self._reports.all()) >= MOST_REPORTS:
            raise TooMuch(f"there are {MOST_REPORTS} reports already; delete some of them first")
        return await self._reports.add(msgspec.structs.replace(report, reference=new_reference()))

    async def replace(
        self, reference: str, report: ReportTemplate, version: object, user: str
    ) -> ReportTemplate:
        """Put this one in its place; a `version` that is not None must be the one it has."""
        known = await self.get(reference, user)
        check_changed(KIND, known, user)
        if version is not None and version != known.version:
            raise changed_meanwhile(KIND, reference)
        changed = msgspec.structs.replace(
            report,
            reference=reference,
            creator=known.creator,
            creation=known.creation,
            version=known.version,
        )
        await self._check(changed, user)
        return await self._reports.replace(changed)

    async def delete(self, references: Sequence[str], user: str) -> None:
        """Delete all of them with their files, or raise and delete none."""
        for reference in references:
            check_changed(KIND, await self.get(reference, user), user)
        for reference in references:
            await self._reports.delete(reference)

    async def resolve(self, report: ReportTemplate, user: str) -> ResolvedReport:
        campaigns = await self._campaigns(report)
        known = await self._series.seen(user)
        return ResolvedReport(
            report,
            campaigns,
            scenario_names(report, campaigns),
            tuple(
                (each.type, tuple(known[one] for one in each.data_series if one in known))
                for each in report.components
            ),
        )

    async def _check(self, report: ReportTemplate, user: str) -> None:
        check(report)
        for key in report.campaign_keys:
            if await self._store.campaign(key) is None:
                raise not_there("campaign", key)
        wanted = dict.fromkeys(one for each in report.components for one in each.data_series)
        await self._series.find(tuple(wanted), user)

    async def _campaigns(self, report: ReportTemplate) -> tuple[CampaignRecord, ...]:
        """Those that are named, then the latest ones whose names match, as many as a report may have."""
        named = [await self._store.campaign(key) for key in report.campaign_keys]
        found = {each.key: each for each in named if each is not None}
        patterns = report.campaign_names_patterns
        if patterns:
            query = CampaignQuery(filters=patterns, size=_SEARCHED)
            for each in (await self._store.campaigns(query)).elements:
                # The filters of the list match keys, scenarios and users too.
                if len(found) < MOST_CAMPAIGNS and is_meant(report, each):
                    found.setdefault(each.key, each)
        return tuple(found.values())
