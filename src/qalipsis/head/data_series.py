"""A data series: which meters of campaigns, which figure of them, and how it is summed up and shown."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from qalipsis.config.durations import seconds
from qalipsis.head.campaign_configuration import Problem
from qalipsis.head.campaign_list import Page, moment
from qalipsis.head.meter_rows import MINIONS
from qalipsis.head.refusals import Invalid
from qalipsis.head.sharing import MODES, SYSTEM, may_see

DATA_TYPES: Final = ("METERS", "EVENTS")
COMPARISONS: Final = (
    "IS_GREATER_THAN",
    "IS_LOWER_THAN",
    "IS_GREATER_OR_EQUAL_TO",
    "IS_LOWER_OR_EQUAL_TO",
)
OPERATORS: Final = (*("IS", "IS_NOT", "IS_IN", "IS_NOT_IN", "IS_LIKE", "IS_NOT_LIKE"), *COMPARISONS)
PERCENTILES: Final = {"PERCENTILE_75": 75.0, "PERCENTILE_99": 99.0, "PERCENTILE_99_9": 99.9}
OPERATIONS: Final = ("AVERAGE", "MAX", "MIN", "SUM", "STANDARD_DEVIATION", "COUNT", *PERCENTILES)
SORTS: Final = ("display_name", "creator", "creation", "version", "sharing_mode", "data_type", "value_name")

MOST_SERIES: Final = 1000
"""Of all users; beyond it some have to be deleted first."""
MOST_FILTERS: Final = 50

_LONGEST_VALUE: Final = 1000
_LONGEST_WORD: Final = 100
_NAME_LENGTHS: Final = (3, 200)
_VALUE_NAME_LENGTHS: Final = (3, 100)
_FLAGS: Final = re.IGNORECASE | re.DOTALL
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_SUMMABLE_ONLY_BY_ORDER: Final = "percentile_"
_ORDERED: Final = ("MAX", "MIN", "COUNT", *PERCENTILES)


class Filter(Struct, frozen=True, kw_only=True):
    """What a tag, or the scenario, of a meter must be. Several values are separated by commas."""

    name: str
    operator: str
    value: str


class DataSeries(Struct, frozen=True, kw_only=True):
    """A data series that is kept. `version` changes with each change."""

    reference: str
    creator: str
    display_name: str
    data_type: str
    value_name: str
    version: datetime = moment(0.0)
    creation: datetime = moment(0.0)
    sharing_mode: str = "READONLY"
    color: str | None = None
    filters: tuple[Filter, ...] = ()
    field_name: str | None = None
    aggregation_operation: str | None = None
    timeframe_unit: str | None = None
    display_format: str | None = None
    color_opacity: int | None = None


MINIONS_SERIES: Final = DataSeries(
    reference=MINIONS,
    creator=SYSTEM,
    display_name=MINIONS,
    data_type="METERS",
    value_name=MINIONS,
    color="#4E79A7",
    field_name="value",
    aggregation_operation="MAX",
)
"""The one that exists from the start; it cannot be changed or deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesQuery:
    """Which page of the series; a filter matches a part of a name, `*` stands for any text."""

    filters: tuple[str, ...] = ()
    value_names: tuple[str, ...] | None = None
    """Only series of these meters, because campaigns have measured them; None: of any."""
    sort: str = "display_name"
    descending: bool = False
    page: int = 0
    size: int = 20


def new_reference() -> str:
    return secrets.token_hex(6)


def check(series: DataSeries) -> DataSeries:
    """The series in its final form; raises Invalid with everything that is wrong."""
    found = tuple(_problems(series))
    if found:
        raise Invalid(found)
    return replace(series, color=series.color and series.color.upper())


def page_of(series: Sequence[DataSeries], query: SeriesQuery, user: str) -> Page[DataSeries]:
    """The page of those that the user may see."""
    found = [
        each
        for each in series
        if may_see(each, user)
        and (query.value_names is None or each.value_name in query.value_names)
        and matches_words(query.filters, each.display_name, each.value_name, each.creator)
    ]
    return page_sorted(found, query.sort, query.descending, query.page, query.size)


def page_sorted(
    found: Sequence[DataSeries], sort: str, descending: bool, page: int, size: int
) -> Page[DataSeries]:
    def key(each: DataSeries) -> object:
        value = getattr(each, sort)
        return value.casefold() if isinstance(value, str) else value

    ordered = sorted(found, key=lambda each: each.reference)
    ordered.sort(key=key, reverse=descending)  # type: ignore[arg-type]  # all of one type
    return Page(tuple(ordered[page * size : (page + 1) * size]), page, size, len(ordered))


def matches_words(filters: Sequence[str], *texts: str) -> bool:
    """Whether one of the filters occurs in one of the texts, without regard to case."""
    patterns = [wildcard(f"*{each}*") for each in filters]
    return not patterns or any(pattern.fullmatch(text) for pattern in patterns for text in texts)


def wildcard(text: str) -> re.Pattern[str]:
    """`*` stands for any text, `?` for one character; without regard to case."""
    first, *others = (re.escape(part).replace(r"\?", ".") for part in re.split(r"\*+", text))
    # Each piece is looked for once and never again: backtracking over many stars would take for ever.
    middle = "".join(f"(?>.*?{part})" for part in others[:-1])
    return re.compile(first + middle + "".join(f".*{part}" for part in others[-1:]), _FLAGS)


def lengths(name: str, text: str, bounds: tuple[int, int]) -> Iterator[Problem]:
    low, high = bounds
    if not low <= len(text.strip()) or len(text) > high:
        yield Problem(name, f"must have {low} to {high} characters")


def one_of(name: str, text: str, allowed: Sequence[str]) -> Iterator[Problem]:
    if text not in allowed:
        yield Problem(name, f"must be one of {', '.join(allowed)}")


def _problems(series: DataSeries) -> Iterator[Problem]:
    yield from lengths("dataSeries.displayName", series.display_name, _NAME_LENGTHS)
    yield from lengths("dataSeries.valueName", series.value_name, _VALUE_NAME_LENGTHS)
    yield from one_of("dataSeries.sharingMode", series.sharing_mode, MODES)
    yield from one_of("dataSeries.dataType", series.data_type, DATA_TYPES)
    if series.color is not None and not _COLOR.fullmatch(series.color):
        yield Problem("dataSeries.color", "must be a colour such as #1A2B3C")
    if series.color_opacity is not None and not 0 <= series.color_opacity <= 100:
        yield Problem("dataSeries.colorOpacity", "must be 0 to 100, in percent")
    if series.aggregation_operation is not None:
        yield from one_of("dataSeries.aggregationOperation", series.aggregation_operation, OPERATIONS)
    yield from _of_field(series)
    yield from _of_timeframe(series.timeframe_unit)
    if series.display_format is not None and len(series.display_format) > _LONGEST_WORD:
        yield Problem("dataSeries.displayFormat", f"must have at most {_LONGEST_WORD} characters")
    if len(series.filters) > MOST_FILTERS:
        yield Problem("dataSeries.filters", f"must be at most {MOST_FILTERS}")
    for i, each in enumerate(series.filters[:MOST_FILTERS]):
        place = f"dataSeries.filters[{i}]"
        if not each.name.strip() or len(each.name) > _LONGEST_WORD:
            yield Problem(f"{place}.name", f"must have 1 to {_LONGEST_WORD} characters")
        if len(each.value) > _LONGEST_VALUE:
            yield Problem(f"{place}.value", f"must have at most {_LONGEST_VALUE} characters")
        yield from one_of(f"{place}.operator", each.operator, OPERATORS)
        if each.operator in COMPARISONS and not _is_number(each.value):
            yield Problem(f"{place}.value", f"must be a number, for {each.operator} compares numbers")


def _is_number(text: str) -> bool:
    try:
        return isfinite(float(text))
    except ValueError:
        return False


def _of_field(series: DataSeries) -> Iterator[Problem]:
    field, operation = series.field_name, series.aggregation_operation or "AVERAGE"
    if field is None:
        return
    if not field.strip() or len(field) > _LONGEST_WORD:
        yield Problem("dataSeries.fieldName", f"must have 1 to {_LONGEST_WORD} characters")
    elif field.startswith(_SUMMABLE_ONLY_BY_ORDER) and operation not in _ORDERED:
        # The mean of percentiles is the percentile of nothing.
        yield Problem(
            "dataSeries.aggregationOperation",
            f"cannot be {operation} for {field}: percentiles of seconds cannot be averaged or added; "
            f"choose {', '.join(_ORDERED)}",
        )


def _of_timeframe(timeframe: str | None) -> Iterator[Problem]:
    if timeframe is None:
        return
    try:
        length = seconds(timeframe)
    except ValueError:
        yield Problem("dataSeries.timeframeUnit", "must be a duration such as PT10S")
    else:
        if not 1 <= length <= 7 * 86_400:
            yield Problem("dataSeries.timeframeUnit", "must be PT1S to P7D")
