"""Stores of data series and of reports keep what every one promises."""

from __future__ import annotations

from qalipsis.head.report_store import MemoryReports
from qalipsis.head.series_store import MemorySeries
from qalipsis.testing.report_store import check_reports
from qalipsis.testing.series_store import check_series


async def test_series_in_memory_keep_their_promise() -> None:
    await check_series(MemorySeries())


async def test_reports_in_memory_keep_their_promise() -> None:
    await check_reports(MemoryReports())
