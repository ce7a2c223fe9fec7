"""Data series over HTTP, and what there is to make them of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.exceptions import ClientException
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Struct, UnsetType

from qalipsis.head import data_series
from qalipsis.head.api.access import User
from qalipsis.head.api.leniency import DataRequest, PatchRequest, split
from qalipsis.head.api.listing import Listing, counts
from qalipsis.head.data_desk import DataDesk
from qalipsis.head.data_series import DATA_TYPES, DataSeries, Filter, SeriesQuery, matches_words
from qalipsis.head.meter_filter import FIELDS, figure
from qalipsis.head.meter_series import Meter

MOST_LISTED: Final = 100
MOST_PAGES: Final = 1_000_000
MOST_CAMPAIGNS: Final = 50
MOST_WORDS: Final = 100
MOST_NAMES: Final = 1000

_Request = Request[User, Any, Any]
_List = list[str] | None
_READ: Final = {"permission": "read:series"}
_WRITE: Final = {"permission": "write:series"}

Size = Annotated[int, QueryParameter(ge=1, le=MOST_LISTED)]
PageNumber = Annotated[int, QueryParameter(ge=0, le=MOST_PAGES)]
Campaigns = Annotated[_List, QueryParameter(name="campaign", max_items=MOST_WORDS)]
Words = Annotated[_List, QueryParameter(name="filter", max_items=MOST_WORDS)]
Sort = Annotated[str, QueryParameter(max_length=100)]


class _Payload(Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class SeriesFilter(_Payload, frozen=True, kw_only=True):
    """`operator` is IS, IS_IN, IS_LIKE, each also with NOT, or a comparison such as IS_LOWER_THAN."""

    name: str
    operator: str
    value: str


class NewSeries(_Payload, frozen=True, kw_only=True):
    """A data series to create."""

    display_name: str
    data_type: str
    value_name: str
    sharing_mode: str = "READONLY"
    color: str | None = None
    filters: tuple[SeriesFilter, ...] | None = None
    field_name: str | None = None
    aggregation_operation: str | None = None
    timeframe_unit: str | None = None
    display_format: str | None = None
    color_opacity: int | None = None


class SeriesChange(_Payload, frozen=True, kw_only=True):
    """What is to be changed; everything else stays. With `version`, only as long as it is that one."""

    display_name: str | UnsetType = UNSET
    data_type: str | UnsetType = UNSET
    value_name: str | UnsetType = UNSET
    sharing_mode: str | UnsetType = UNSET
    color: str | UnsetType | None = UNSET
    filters: tuple[SeriesFilter, ...] | UnsetType = UNSET
    field_name: str | UnsetType | None = UNSET
    aggregation_operation: str | UnsetType | None = UNSET
    timeframe_unit: str | UnsetType | None = UNSET
    display_format: str | UnsetType | None = UNSET
    color_opacity: int | UnsetType | None = UNSET
    version: datetime | UnsetType = UNSET


class Series(NewSeries, frozen=True, kw_only=True):
    """A data series."""

    reference: str
    version: datetime
    creator: str
    filters: tuple[SeriesFilter, ...] = ()


class SeriesPage(Listing, frozen=True, kw_only=True):
    elements: tuple[Series, ...]


class Field(_Payload, frozen=True, kw_only=True):
    """A figure of a meter; `type` is NUMBER, `unit` is null where there is none."""

    name: str
    type: str
    unit: str | None


@post("/data-series", status_code=200, opt=_WRITE, tags=["data series"], request_class=DataRequest)
async def create_series(
    data: JSONBody[NewSeries], desk: NamedDependency[DataDesk], request: _Request
) -> Series:
    """Create a data series; others may look at it (READONLY), change it too (WRITE), or not see it (NONE)."""
    fields = msgspec.structs.asdict(data) | {"filters": _filters(data.filters or ())}
    new = DataSeries(reference="", creator=request.user.name, **fields)
    return series_of(await desk.series.create(new))


@get("/data-series", opt=_READ, tags=["data series"])
async def list_series(
    desk: NamedDependency[DataDesk],
    request: _Request,
    campaigns: Campaigns = None,
    words: Words = None,
    sort: Sort = "displayName:asc",
    page: PageNumber = 0,
    size: Size = 20,
) -> SeriesPage:
    """A page of the data series; with `campaign`, of those whose meters were measured there."""
    column, descending = sort_of(sort, data_series.SORTS)
    keys = split(campaigns, MOST_CAMPAIGNS, "campaigns")
    query = SeriesQuery(
        filters=split(words, MOST_WORDS, "filters"),
        value_names=await desk.time_series.names(keys) if keys else None,
        sort=column,
        descending=descending,
        page=page,
        size=size,
    )
    found = await desk.series.page(query, request.user.name)
    return SeriesPage(**counts(found), elements=tuple(series_of(each) for each in found.elements))


@get("/data-series/{reference:str}", opt=_READ, tags=["data series"])
async def show_series(reference: FromPath[str], desk: NamedDependency[DataDesk], request: _Request) -> Series:
    """One data series."""
    return series_of(await desk.series.get(reference, request.user.name))


@patch("/data-series/{reference:str}", opt=_WRITE, tags=["data series"], request_class=PatchRequest)
async def change_series(
    reference: FromPath[str],
    data: JSONBody[SeriesChange],
    desk: NamedDependency[DataDesk],
    request: _Request,
) -> Series:
    """Change some fields of a data series."""
    changes = {name: value for name, value in msgspec.structs.asdict(data).items() if value is not UNSET}
    if "filters" in changes:
        changes["filters"] = _filters(changes["filters"])
    return series_of(await desk.series.change(reference, changes, request.user.name))


@delete("/data-series", status_code=202, opt=_WRITE, tags=["data series"])
async def delete_series(
    desk: NamedDependency[DataDesk],
    request: _Request,
    series: Annotated[list[str], QueryParameter(max_items=MOST_WORDS)],
) -> None:
    """Delete data series, all of them or none."""
    await desk.series.delete(split(series, MOST_WORDS, "series"), request.user.name)


@get("/data-series/{kind:str}/names", opt=_READ, tags=["data series"])
async def list_names(
    kind: FromPath[str],
    desk: NamedDependency[DataDesk],
    campaigns: Campaigns = None,
    words: Words = None,
    size: Annotated[int, QueryParameter(ge=1, le=MOST_NAMES)] = 20,
) -> list[str]:
    """The names of what was measured, in these campaigns or else in the latest ones."""
    keys = split(campaigns, MOST_CAMPAIGNS, "campaigns")
    filters = split(words, MOST_WORDS, "filters")
    if not _has_data(kind):
        return []
    found = await desk.time_series.names(keys)
    return [name for name in found if matches_words(filters, name)][:size]


@get("/data-series/{kind:str}/fields", opt=_READ, tags=["data series"])
async def list_fields(
    kind: FromPath[str],
    desk: NamedDependency[DataDesk],
    campaigns: Campaigns = None,
    name: Annotated[str | None, QueryParameter(max_length=300)] = None,
) -> list[Field]:
    """The figures of a meter, or of all."""
    found: dict[str, Field] = {}
    for meter in await _samples(kind, desk, campaigns, name):
        for field in (*FIELDS, *meter.other):
            if figure(meter, field) is not None and field not in found:
                found[field] = Field(name=field, type="NUMBER", unit=unit_of(meter, field))
    return sorted(found.values(), key=lambda each: each.name)


@get("/data-series/{kind:str}/tags", opt=_READ, tags=["data series"])
async def list_tags(
    kind: FromPath[str],
    desk: NamedDependency[DataDesk],
    campaigns: Campaigns = None,
    words: Words = None,
    name: Annotated[str | None, QueryParameter(max_length=300)] = None,
    size: Annotated[int, QueryParameter(ge=1, le=MOST_NAMES)] = 20,
) -> dict[str, list[str]]:
    """The tags of a meter, or of all, with up to `size` values each; the scenario is one of them."""
    filters = split(words, MOST_WORDS, "filters")
    found: dict[str, set[str]] = {}
    for meter in await _samples(kind, desk, campaigns, name):
        for tag, value in (*meter.tags.items(), ("scenario", meter.scenario)):
            if value and matches_words(filters, tag, value):
                found.setdefault(tag, set()).add(value)
    return {tag: sorted(values)[:size] for tag, values in sorted(found.items())}


HANDLERS: Final = (
    *(create_series, list_series, show_series, change_series, delete_series),
    *(list_names, list_fields, list_tags),
)


def series_of(series: DataSeries) -> Series:
    fields = msgspec.structs.asdict(series)
    del fields["creation"]
    filters = tuple(
        SeriesFilter(name=each.name, operator=each.operator, value=each.value) for each in series.filters
    )
    return Series(**fields | {"filters": filters})


def unit_of(meter: Meter, field: str) -> str | None:
    """Durations are kept as milliseconds; counts have no unit."""
    return "MILLISECONDS" if meter.type == "timer" and field != "count" else None


def sort_of(text: str, allowed: Sequence[str]) -> tuple[str, bool]:
    """The column of a sort such as `displayName:asc`, and whether it descends."""
    name, _, direction = text.partition(":")
    known = {each.replace("_", ""): each for each in allowed}
    column = known.get(re.sub(r"[^a-z]", "", name.lower()))
    if column is None or direction.lower() not in ("", "asc", "desc"):
        listed = ", ".join(allowed)
        raise ClientException(f"the sort is one of {listed}, followed by :asc or :desc")
    return column, direction.lower() == "desc"


def _filters(filters: Sequence[SeriesFilter]) -> tuple[Filter, ...]:
    return tuple(Filter(name=each.name, operator=each.operator.upper(), value=each.value) for each in filters)


def _has_data(kind: str) -> bool:
    """Whether the store holds any of this kind: events go to other systems only."""
    if kind.upper() not in DATA_TYPES:
        raise ClientException(f"there is no data type {kind}; they are: {', '.join(DATA_TYPES)}")
    return kind.upper() == "METERS"


async def _samples(kind: str, desk: DataDesk, campaigns: _List, name: str | None) -> list[Meter]:
    keys = split(campaigns, MOST_CAMPAIGNS, "campaigns")
    if not _has_data(kind):
        return []
    return [each for each in await desk.time_series.samples(keys) if name is None or each.name == name]
