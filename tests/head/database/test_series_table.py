"""Data series in a database keep what every store of them promises."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from qalipsis.config.settings import Datasource
from qalipsis.head import time_series_reader
from qalipsis.head.data_series import DataSeries
from qalipsis.head.database.database import open_database
from qalipsis.head.database.report_table import DatabaseReports
from qalipsis.head.database.series_table import DatabaseSeries
from qalipsis.head.database.store import DatabaseStore
from qalipsis.head.time_series_reader import Scope, TimeSeriesReader
from qalipsis.testing.report_store import check_reports
from qalipsis.testing.series_store import check_series
from tests.head.api.measured import measure


async def test_series_in_a_database_keep_their_promise(datasource: Datasource, folder: Path) -> None:
    async with open_database(datasource, folder) as database:
        await check_series(DatabaseSeries(database))


async def test_reports_in_a_database_keep_their_promise(datasource: Datasource, folder: Path) -> None:
    async with open_database(datasource, folder) as database:
        await check_reports(DatabaseReports(database))


async def test_meters_are_summed_up_in_pieces_as_if_read_at_once(
    datasource: Datasource, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_series_reader, "PIECE", 2)
    latency = DataSeries(
        reference="a", creator="me", display_name="all", data_type="METERS", value_name="step.latency"
    )
    executions = msgspec.structs.replace(
        latency, reference="b", value_name="step.executions", aggregation_operation="SUM"
    )
    async with open_database(datasource, folder) as database:
        store = DatabaseStore(database)
        await measure(store, "c-1")
        await measure(store, "c-2", seconds=3)
        scope = Scope(campaigns=("c-1", "c-2"))
        found = await TimeSeriesReader(store).aggregate((latency, executions), scope)
        assert [found[name].summary.measurements for name in ("a", "b")] == [13, 13]
        assert (found["a"].summary.value, found["b"].summary.value) == ((3300 + 80) / 61, 61.0)
        assert len(found["a"].points) == 13
