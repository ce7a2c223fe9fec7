"""Patterns, filters and buckets of data series."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from qalipsis.head.campaign_list import moment
from qalipsis.head.campaign_outcomes import Outcomes
from qalipsis.head.data_series import DataSeries, Filter, wildcard
from qalipsis.head.meter_filter import test_of as accepting
from qalipsis.head.meter_series import Meter
from qalipsis.head.report_task import COMPLETED, FAILED, LOST_AFTER, ReportTask, as_it_stands
from qalipsis.head.time_series import WIDTHS, Aggregation, nearest_rank, width_for


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("a*c", "abbc", True),
        ("A?c", "aBC", True),
        ("a*b*c", "a-b-b-c", True),
        ("*", "", True),
        ("**a", "bba", True),
        ("a*", "ba", False),
        ("*ab", "abab", True),
        ("a*a", "a", False),
        ("a.c", "abc", False),
        ("a\n*", "a\nb", True),
    ],
)
def test_a_pattern_matches_the_whole_text(pattern: str, text: str, matches: bool) -> None:
    assert (wildcard(pattern).fullmatch(text) is not None) is matches


def test_no_pattern_takes_for_ever() -> None:
    before = time.perf_counter()
    assert wildcard("*a" * 100 + "b").fullmatch("a" * 1000) is None
    assert time.perf_counter() - before < 1.0


METER = Meter(
    name="n", at=moment(0.0), type="timer", scenario="buy", tags={"step": "pay", "shard": "7"}, count=3
)


@pytest.mark.parametrize(
    ("name", "operator", "value", "is_accepted"),
    [
        ("step", "IS", "pay", True),
        ("step", "IS_NOT", "pay", False),
        ("step", "IS_IN", "buy, pay", True),
        ("step", "IS_NOT_IN", "buy, pay", False),
        ("step", "IS_LIKE", "P%", True),
        ("step", "IS_NOT_LIKE", "p*", False),
        ("absent", "IS", "", False),
        ("absent", "IS_NOT", "pay", True),
        ("shard", "IS_GREATER_THAN", "6.5", True),
        ("shard", "IS_LOWER_THAN", "7", False),
        ("shard", "IS_GREATER_OR_EQUAL_TO", "7", True),
        ("count", "IS_LOWER_OR_EQUAL_TO", "3", True),
        ("step", "IS_GREATER_THAN", "1", False),
        ("shard", "IS_GREATER_THAN", "many", False),
        ("scenario", "IS", "buy", True),
        ("type", "IS", "gauge", False),
    ],
)
def test_an_operator_does_what_it_says(name: str, operator: str, value: str, is_accepted: bool) -> None:
    assert accepting([Filter(name=name, operator=operator, value=value)])(METER) is is_accepted


def test_all_filters_must_hold() -> None:
    both = [Filter(name="step", operator="IS", value=value) for value in ("pay", "buy")]
    assert not accepting(both)(METER)
    assert accepting([])(METER)


@pytest.mark.parametrize(
    ("seconds", "width"),
    [(0, 1), (400, 1), (401, 5), (2000, 5), (2001, 10), (3600, 10), (24_000, 60), (10**9, 604_800)],
)
def test_a_width_is_the_smallest_that_shows_the_campaign(seconds: float, width: int) -> None:
    assert width_for(seconds) == width
    assert WIDTHS[:6] == (1, 5, 10, 30, 60, 300)


def test_a_percentile_is_one_of_the_values() -> None:
    assert nearest_rank([4.0, 1.0, 3.0, 2.0], 75) == 3.0
    assert nearest_rank([5.0], 99.9) == 5.0


@pytest.mark.parametrize(
    ("operation", "value"),
    [("STANDARD_DEVIATION", 2.0), ("AVERAGE", 5.0), ("MIN", 2.0), ("SUM", 40.0), ("PERCENTILE_99", 9.0)],
)
def test_an_operation_over_known_values(operation: str, value: float) -> None:
    series = DataSeries(
        reference="r",
        creator="c",
        display_name="d",
        data_type="METERS",
        value_name="n",
        aggregation_operation=operation,
    )
    start = moment(1000.5)
    aggregation = Aggregation(series, {"c": start}, 60.0)
    for t, each in enumerate((2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0)):
        aggregation.add("c", Meter(name="n", at=start + timedelta(seconds=t), type="gauge", value=each))
    (point,) = aggregation.curve().points
    assert (point.value, point.start) == (value, start)


def test_days_begin_at_midnight_of_the_reader() -> None:
    since = datetime(2026, 3, 1, 12, tzinfo=UTC)
    outcomes = Outcomes(since, since + timedelta(days=1), timedelta(hours=-5), timedelta(days=1))
    for hour, status in ((5, "SUCCESSFUL"), (28, "WARNING"), (29, "ABORTED"), (4, "FAILED"), (53, "FAILED")):
        outcomes.add(datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=hour), status)
    outcomes.add(None, "ABORTED")
    assert [
        (each.start.day, each.start.hour, each.successful, each.failed) for each in outcomes.periods()
    ] == [
        (1, 5, 2, 0),
        (2, 5, 0, 1),
    ]


def test_a_task_of_a_head_that_died_has_failed() -> None:
    task = ReportTask(reference="t", report="r", creator="c", creation=moment(0.0))
    assert as_it_stands(task, moment(0.0) + LOST_AFTER) is task
    late = as_it_stands(task, moment(1.0) + LOST_AFTER)
    assert (late.status, late.failure_reason) == (FAILED, "the head that rendered it was stopped")
    done = ReportTask(reference="t", report="r", creator="c", creation=moment(0.0), status=COMPLETED)
    assert as_it_stands(done, moment(1.0) + LOST_AFTER) is done
