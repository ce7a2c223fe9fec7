from __future__ import annotations

import re
from collections.abc import Callable

from qalipsis.reports import charts
from qalipsis.reports.model import Report, Second


def test_a_chart_without_a_timeline_is_none() -> None:
    assert charts.load(()) is None
    assert charts.latency(()) is None
    assert charts.overall_distribution(()) is None


def test_a_single_second_is_drawn_as_dots(make_report: Callable[[str], Report]) -> None:
    chart = charts.latency(make_report("one_second").timeline)
    assert chart is not None
    assert chart.svg.count('class="dot') == 3
    assert "line" not in chart.svg


def test_a_line_breaks_where_nothing_was_measured() -> None:
    def second(t: int) -> Second:
        return Second(
            t_s=t, offered_per_s=1, achieved_per_s=1, errors_per_s=0, minions=1, p50_ms=1, p95_ms=1, p99_ms=1
        )

    chart = charts.latency([second(t) for t in (0, 1, 2, 6, 7, 8)])
    assert chart is not None
    (path,) = re.findall(r'class="line p99" d="([^"]*)"', chart.svg)
    assert path.count("M") == 2
    assert chart.rows[4].cells == ("00:04", "–", "–", "–")


def test_every_point_stays_within_the_plot(make_report: Callable[[str], Report]) -> None:
    for name in ("ordinary", "hour", "crowded"):
        report = make_report(name)
        drawn = (
            charts.load(report.timeline),
            charts.latency(report.timeline),
            charts.minions(report.timeline),
        )
        for chart in drawn:
            assert chart is not None
            for path in re.findall(r' d="([^"]*)"', chart.svg):
                assert all(0 <= float(value) <= charts.SIDE for value in re.findall(r"-?[\d.]+", path))


def test_bars_of_both_latencies_share_one_axis(make_report: Callable[[str], Report]) -> None:
    steps = make_report("ordinary").scenarios[0].steps
    end, labels = charts.percentile_axis(steps)
    assert end >= max(step.latency.from_due.p99_ms for step in steps)
    assert labels[0].text == "0 ms"
    assert charts.percentile_bar(steps[1], end).count("<rect") == 6


def test_a_screen_reader_hears_the_range(make_report: Callable[[str], Report]) -> None:
    chart = charts.load(make_report("ordinary").timeline)
    assert chart is not None
    assert "offered between" in chart.description
