"""Data series in a database keep what every store of them promises."""

from __future__ import annotations

from pathlib import Path

from qalipsis.config.settings import Datasource
from qalipsis.head.database.database import open_database
from qalipsis.head.database.report_table import DatabaseReports
from qalipsis.head.database.series_table import DatabaseSeries
from qalipsis.testing.report_store import check_reports
from qalipsis.testing.series_store import check_series


async def test_series_in_a_database_keep_their_promise(datasource: Datasource, folder: Path) -> None:
    async with open_database(datasource, folder) as database:
        await check_series(DatabaseSeries(database))


async def test_reports_in_a_database_keep_their_promise(datasource: Datasource, folder: Path) -> None:
    async with open_database(datasource, folder) as database:
        await check_reports(DatabaseReports(database))
