"""All that is done with data series, time series and reports, in one place for the API."""

from __future__ import annotations

from qalipsis.head.report_renderer import ReportRenderer
from qalipsis.head.report_shelf import ReportShelf
from qalipsis.head.report_store import ReportStore
from qalipsis.head.series_shelf import SeriesShelf
from qalipsis.head.series_store import SeriesStore
from qalipsis.head.store import Store
from qalipsis.head.time_series_reader import TimeSeriesReader


class DataDesk:
    """Puts them together over these stores, which somebody else closes."""

    def __init__(self, store: Store, series: SeriesStore, reports: ReportStore) -> None:
        self.series = SeriesShelf(series)
        self.time_series = TimeSeriesReader(store)
        self.reports = ReportShelf(reports, self.series, store)
        self.renderer = ReportRenderer(reports, self.reports, self.time_series)

    async def aclose(self) -> None:
        """Give up what is being rendered."""
        await self.renderer.aclose()
