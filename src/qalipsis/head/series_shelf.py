"""The data series of all users, each doing with them what their creators allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from qalipsis.head.campaign_list import Page
from qalipsis.head.data_series import (
    MINIONS_SERIES,
    MOST_SERIES,
    DataSeries,
    SeriesQuery,
    check,
    new_reference,
    page_of,
)
from qalipsis.head.refusals import TooMuch
from qalipsis.head.series_store import SeriesStore, changed_meanwhile
from qalipsis.head.sharing import check_changed, check_seen

KIND: Final = "data series"


class SeriesShelf:
    """All calls raise NotThere, NotShared, Stale or Invalid."""

    def __init__(self, store: SeriesStore) -> None:
        self._store = store
        self._is_stocked = False

    async def page(self, query: SeriesQuery, user: str) -> Page[DataSeries]:
        return page_of(await self._all(), query, user)

    async def get(self, reference: str, user: str) -> DataSeries:
        (found,) = await self.find((reference,), user)
        return found

    async def find(self, references: Sequence[str], user: str) -> tuple[DataSeries, ...]:
        """The series of these references, in their order; all of them must be there."""
        known = {each.reference: each for each in await self._all()}
        for reference in references:
            check_seen(KIND, reference, known.get(reference), user)
        return tuple(known[reference] for reference in references)

    async def seen(self, user: str) -> dict[str, DataSeries]:
        """All that the user may see, by reference."""
        page = page_of(await self._all(), SeriesQuery(size=MOST_SERIES + 1), user)
        return {each.reference: each for each in page.elements}

    async def create(self, series: DataSeries) -> DataSeries:
        """Keep it under a new reference."""
        series = check(replace(series, reference=new_reference()))
        if len(await self._all()) > MOST_SERIES:
            raise TooMuch(f"there are {MOST_SERIES} data series already; delete some of them first")
        return await self._store.add(series)

    async def change(self, reference: str, changes: Mapping[str, Any], user: str) -> DataSeries:
        """Change some of its fields; a `version` among them must be the one it has."""
        known = await self.get(reference, user)
        check_changed(KIND, known, user)
        if changes.get("version", known.version) != known.version:
            raise changed_meanwhile(KIND, reference)
        changed = check(replace(known, **changes))
        return known if changed == known else await self._store.replace(changed)

    async def delete(self, references: Sequence[str], user: str) -> None:
        """Delete all of them, or raise and delete none."""
        for each in await self.find(references, user):
            check_changed(KIND, each, user)
        for reference in references:
            await self._store.delete(reference)

    async def _all(self) -> tuple[DataSeries, ...]:
        if not self._is_stocked:
            await self._store.add(MINIONS_SERIES)
            self._is_stocked = True
        return await self._store.all()
