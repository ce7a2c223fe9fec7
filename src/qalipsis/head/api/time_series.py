"""What data series show: summed up, one by one, and how campaigns ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.exceptions import ClientException
from litestar.params import QueryParameter
from msgspec import Struct

from qalipsis.config.durations import seconds
from qalipsis.head.api.access import User
from qalipsis.head.api.data_series import MOST_CAMPAIGNS, MOST_PAGES
from qalipsis.head.api.leniency import split
from qalipsis.head.api.listing import Listing, counts
from qalipsis.head.api.payloads import Meter
from qalipsis.head.api.resources import iso
from qalipsis.head.campaign_outcomes import Period
from qalipsis.head.data_desk import DataDesk
from qalipsis.head.meter_series import Meter as Measured
from qalipsis.head.time_series import Curve
from qalipsis.head.time_series_reader import Scope

MOST_SERIES: Final = 50
MOST_SCENARIOS: Final = 100
MOST_ZONES: Final = 100
MOST_FOUND: Final = 10_000
LONGEST_TIMEFRAME: Final = 366 * 86_400.0

_Request = Request[User, Any, Any]
_List = list[str]
_OPT: Final = {"permission": "read:time-series"}

_SeriesList = Annotated[_List, QueryParameter(name="series", max_items=MOST_SERIES)]
_CampaignList = Annotated[_List, QueryParameter(name="campaigns", max_items=MOST_CAMPAIGNS)]
_ScenarioList = Annotated[_List | None, QueryParameter(name="scenarios", max_items=MOST_SCENARIOS)]
_ZoneList = Annotated[_List | None, QueryParameter(name="zones", max_items=MOST_ZONES)]
_From = Annotated[datetime | None, QueryParameter(name="from")]
_Until = Annotated[datetime | None, QueryParameter(name="until")]
_Timeframe = Annotated[str | None, QueryParameter(max_length=50)]


class _Payload(Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class Value(_Payload, frozen=True, kw_only=True):
    """One bucket; `elapsed` is how long after the start of the campaign it begins."""

    start: datetime
    elapsed: str
    campaign: str
    value: float


class Summary(_Payload, frozen=True, kw_only=True):
    """The operation over everything at once, and how many measurements that is."""

    value: float | None
    measurements: int


class Values(_Payload, frozen=True, kw_only=True):
    values: tuple[Value, ...]
    summary: Summary


class MeterPage(Listing, frozen=True, kw_only=True):
    elements: tuple[Meter, ...]


@get("/time-series/aggregate", opt=_OPT, tags=["time series"])
async def aggregate(
    desk: NamedDependency[DataDesk],
    request: _Request,
    series: _SeriesList,
    campaigns: _CampaignList,
    scenarios: _ScenarioList = None,
    zones: _ZoneList = None,
    since: _From = None,
    until: _Until = None,
    timeframe: _Timeframe = None,
) -> dict[str, Values]:
    """Each data series over these campaigns, in buckets that are aligned with the start of each.

    It is made of the meters of the whole fleet; with `zones`, of those of each of these.
    """
    found = await desk.series.find(split(series, MOST_SERIES, "series"), request.user.name)
    width = None if timeframe is None else _length("timeframe", timeframe, 1.0)
    curves = await desk.time_series.aggregate(found, _scope(campaigns, scenarios, zones, since, until), width)
    return {reference: _values(curve) for reference, curve in curves.items()}


@get("/time-series/search", opt=_OPT, tags=["time series"])
async def search(
    desk: NamedDependency[DataDesk],
    request: _Request,
    series: _SeriesList,
    campaigns: _CampaignList,
    since: Annotated[datetime, QueryParameter(name="from")],
    until: Annotated[datetime, QueryParameter(name="until")],
    scenarios: _ScenarioList = None,
    zones: _ZoneList = None,
    page: Annotated[int, QueryParameter(ge=0, le=MOST_PAGES)] = 0,
    size: Annotated[int, QueryParameter(ge=1, le=MOST_FOUND)] = 500,
) -> dict[str, MeterPage]:
    """The single meters of each data series, one of each second, in the order of time.

    They are of the whole fleet; with `zones`, of each of these.
    """
    found = await desk.series.find(split(series, MOST_SERIES, "series"), request.user.name)
    scope = _scope(campaigns, scenarios, zones, since, until)
    pages = await desk.time_series.search(found, scope, page, size)
    return {
        reference: MeterPage(**counts(each), elements=tuple(_meter(*one) for one in each.elements))
        for reference, each in pages.items()
    }


@get("/time-series/summary/campaign-status", opt=_OPT, tags=["time series"])
async def count_outcomes(
    desk: NamedDependency[DataDesk],
    since: _From = None,
    until: _Until = None,
    time_offset: Annotated[int, QueryParameter(name="timeOffset", ge=-24, le=24)] = 0,
    timeframe: Annotated[str, QueryParameter(max_length=50)] = "PT24H",
) -> list[Period]:
    """How campaigns ended, by day or another timeframe; `timeOffset` is where you live, in hours to UTC."""
    start, end = _moment("from", since), _moment("until", until)
    if start is not None and end is not None and start > end:
        raise ClientException("from must not be later than until")
    length = timedelta(seconds=_length("timeframe", timeframe, 3600.0))
    return list(await desk.time_series.outcomes(start, end, timedelta(hours=time_offset), length))


HANDLERS: Final = (aggregate, search, count_outcomes)


def _scope(
    campaigns: _List,
    scenarios: _List | None,
    zones: _List | None,
    since: datetime | None,
    until: datetime | None,
) -> Scope:
    keys = split(campaigns, MOST_CAMPAIGNS, "campaigns")
    if not keys:
        raise ClientException("at least one campaign is needed: campaigns=KEY,KEY")
    return Scope(
        campaigns=keys,
        scenarios=split(scenarios, MOST_SCENARIOS, "scenarios"),
        zones=split(zones, MOST_ZONES, "zones"),
        since=_moment("from", since),
        until=_moment("until", until),
    )


def _moment(name: str, given: datetime | None) -> datetime | None:
    if given is None:
        return None
    if not 1970 < given.year < 9000:
        raise ClientException(f"{name} must be a moment such as 2026-01-31T12:00:00Z")
    return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)


def _length(name: str, text: str, least: float) -> float:
    try:
        length = seconds(text)
    except (ValueError, OverflowError):
        raise ClientException(f"{name} must be a duration such as PT10S") from None
    if not least <= length <= LONGEST_TIMEFRAME:
        raise ClientException(f"{name} must be {iso(least)} to P366D")
    return length


def _values(curve: Curve) -> Values:
    return Values(
        values=tuple(
            Value(
                start=each.start,
                elapsed=iso(each.elapsed.total_seconds()),
                campaign=each.campaign,
                value=each.value,
            )
            for each in curve.points
        ),
        summary=Summary(value=curve.summary.value, measurements=curve.summary.measurements),
    )


def _meter(campaign: str, meter: Measured) -> Meter:
    return Meter(
        name=meter.name,
        timestamp=meter.at,
        type=meter.type,
        tags=meter.tags,
        campaign=campaign,
        scenario=meter.scenario or None,
        zone=meter.zone or None,
        count=meter.count,
        value=meter.value,
        sum=meter.sum,
        mean=meter.mean,
        max=meter.max,
        other=meter.other,
    )
