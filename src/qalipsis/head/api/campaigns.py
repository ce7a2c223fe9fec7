"""Campaigns over HTTP: started, listed, looked at, stopped, followed."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, get, post, put
from litestar.di import NamedDependency
from litestar.exceptions import ClientException
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage

from qalipsis.head.api.access import User
from qalipsis.head.api.pages import Pages
from qalipsis.head.api.payloads import Campaign, CampaignDetails, Page, campaign_of, details_of, page_of
from qalipsis.head.campaign_configuration import CampaignConfiguration
from qalipsis.head.campaign_list import SORTS, CampaignQuery
from qalipsis.head.live_stream import Happening, Noticed, StateEntered
from qalipsis.head.service import CampaignService

MOST_LISTED: Final = 1000
MOST_PAGES: Final = 1_000_000
MOST_KEYS: Final = 100

_SORTS: Final = {name.replace("_", "").lower(): name for name in SORTS} | {
    "starttime": "start",
    "endtime": "end",
}
_ALL_STATUSES: Final = (
    *("SUCCESSFUL", "WARNING", "FAILED", "ABORTED"),
    *("SCHEDULED", "QUEUED", "IN_PROGRESS"),
)

_Request = Request[User, Any, Any]
_Words = Annotated[list[str] | None, QueryParameter(name="filter", max_items=100)]


@post("/campaigns", status_code=200, opt={"permission": "create:campaign"}, tags=["campaigns"])
async def start_campaign(
    data: JSONBody[CampaignConfiguration], service: NamedDependency[CampaignService], request: _Request
) -> Campaign:
    """Start a campaign; it waits, QUEUED, while another one runs."""
    return campaign_of(await service.start(data, request.user.name))


@post("/campaigns/validate", status_code=204, opt={"permission": "create:campaign"}, tags=["campaigns"])
async def validate_campaign(
    data: JSONBody[CampaignConfiguration], service: NamedDependency[CampaignService]
) -> None:
    """Check a configuration without starting it."""
    await service.check(data)


@post("/campaigns/schedule", status_code=200, opt={"permission": "create:campaign"}, tags=["campaigns"])
async def schedule_campaign(
    data: JSONBody[CampaignConfiguration], service: NamedDependency[CampaignService], request: _Request
) -> Campaign:
    """Start a campaign at `scheduledAt`, once, or again and again by `scheduling`."""
    return campaign_of(await service.schedule(data, request.user.name))


@put("/campaigns/schedule/{key:str}", opt={"permission": "write:campaign"}, tags=["campaigns"])
async def reschedule_campaign(
    key: FromPath[str],
    data: JSONBody[CampaignConfiguration],
    service: NamedDependency[CampaignService],
    request: _Request,
) -> Campaign:
    """Replace what was asked for, as long as the campaign is SCHEDULED."""
    return campaign_of(await service.schedule(data, request.user.name, key))


@get("/campaigns", opt={"permission": "read:campaign"}, tags=["campaigns"])
async def list_campaigns(
    service: NamedDependency[CampaignService],
    filters: _Words = None,
    sort: Annotated[str, QueryParameter(max_length=100)] = "creation:desc",
    page: Annotated[int, QueryParameter(ge=0, le=MOST_PAGES)] = 0,
    size: Annotated[int, QueryParameter(ge=1, le=MOST_LISTED)] = 20,
    excluded: Annotated[list[str] | None, QueryParameter(name="excludedStatuses")] = None,
    also_excluded: Annotated[list[str] | None, QueryParameter(name="excluded-status")] = None,
) -> Page:
    """A page of the campaigns; filters may hold `*` and `?`, and match name, key, scenario or user."""
    column, is_descending = _sort(sort)
    query = CampaignQuery(
        filters=_filters(filters),
        excluded_statuses=_statuses((*(excluded or ()), *(also_excluded or ()))),
        sort=column,
        descending=is_descending,
        page=page,
        size=size,
    )
    return page_of(await service.campaigns(query))


@get("/campaigns/{keys:str}", opt={"permission": "read:campaign"}, tags=["campaigns"])
async def show_campaigns(
    keys: FromPath[str], service: NamedDependency[CampaignService]
) -> list[CampaignDetails]:
    """The campaigns of these keys, separated by commas, with live counters while they run."""
    wanted = _split([keys])
    if not 1 <= len(wanted) <= MOST_KEYS:
        raise ClientException(f"1 to {MOST_KEYS} keys are possible, separated by commas")
    found = await service.details(wanted)
    is_in_zones = any(scenario.zones for each in found for scenario in each.record.scenarios)
    zones = await service.zones() if is_in_zones else ()
    return [details_of(each, zones) for each in found]


@get("/campaigns/{key:str}/configuration", opt={"permission": "read:campaign"}, tags=["campaigns"])
async def show_configuration(
    key: FromPath[str], service: NamedDependency[CampaignService]
) -> CampaignConfiguration:
    """The configuration that the campaign was started with."""
    return await service.configuration(key)


@get(
    "/campaigns/{key:str}/report",
    opt={"permission": "read:report"},
    media_type="text/html",
    tags=["campaigns"],
)
async def download_report(key: FromPath[str], pages: NamedDependency[Pages]) -> Response[bytes]:
    """The report as one HTML file that needs nothing else."""
    content = await pages.of(key)
    name = re.sub(r"[^\w.-]", "_", key, flags=re.ASCII)
    return Response(
        content,
        media_type="text/html",
        headers={"Content-Disposition": f'attachment; filename="{name}.html"'},
    )


@post("/campaigns/{key:str}/abort", status_code=202, opt={"permission": "abort:campaign"}, tags=["campaigns"])
async def abort_campaign(
    key: FromPath[str],
    service: NamedDependency[CampaignService],
    request: _Request,
    hard: FromQuery[bool | None] = None,
) -> None:
    """Stop a campaign: softly, so that running passes end, or `hard`, in the query or in a JSON body.

    A scheduled one does not start any more, and its schedule ends.
    """
    is_hard = await _hard_of_body(request) if hard is None else hard
    await service.abort(key, is_hard, request.user.name)


@post(
    "/campaigns/{key:str}/replay", status_code=200, opt={"permission": "create:campaign"}, tags=["campaigns"]
)
async def replay_campaign(
    key: FromPath[str], service: NamedDependency[CampaignService], request: _Request
) -> Campaign:
    """Start a campaign again as it was configured, at once."""
    return campaign_of(await service.replay(key, request.user.name))


@get("/campaigns/{key:str}/stream", opt={"permission": "read:campaign"}, tags=["campaigns"])
async def follow_campaign(key: FromPath[str], service: NamedDependency[CampaignService]) -> ServerSentEvent:
    """Server-sent events until the end: `state`, `snapshot` once a second, and `message`."""
    return ServerSentEvent(_events(await service.follow(key)))


HANDLERS: Final = (
    *(start_campaign, validate_campaign, list_campaigns, show_campaigns, show_configuration),
    *(schedule_campaign, reschedule_campaign),
    *(download_report, abort_campaign, replay_campaign, follow_campaign),
)


class _Abort(msgspec.Struct):
    hard: bool = False


async def _hard_of_body(request: _Request) -> bool:
    body = await request.body()
    if not body.strip():
        return False
    try:
        return msgspec.json.decode(body, type=_Abort, strict=False).hard
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ClientException('the body must be empty, or JSON such as {"hard": true}') from None


async def _events(happenings: AsyncIterator[Happening | None]) -> AsyncIterator[ServerSentEventMessage]:
    async for each in happenings:
        match each:
            case None:
                yield ServerSentEventMessage(comment="still here", data=None)
            case StateEntered():
                yield _event("state", each)
            case Noticed():
                yield _event("message", each)
            case _:
                yield _event("snapshot", each)


def _event(name: str, content: Any) -> ServerSentEventMessage:
    return ServerSentEventMessage(event=name, data=json.dumps(msgspec.to_builtins(content)))


def _sort(text: str) -> tuple[str, bool]:
    name, _, direction = text.partition(":")
    column = _SORTS.get(re.sub(r"[^a-z]", "", name.lower()))
    if column is None or direction.lower() not in ("", "asc", "desc"):
        listed = ", ".join(SORTS)
        raise ClientException(f"the sort is one of {listed}, followed by :asc or :desc")
    return column, direction.lower() == "desc"


def _filters(words: list[str] | None) -> tuple[str, ...]:
    found = tuple(_split(words or []))
    if len(found) > MOST_KEYS or any(len(each) > 300 for each in found):
        raise ClientException(f"at most {MOST_KEYS} filters are possible, of 300 characters each")
    return found


def _statuses(words: tuple[str, ...]) -> tuple[str, ...]:
    found = tuple(each.upper() for each in _split(list(words)))
    for each in found:
        if each not in _ALL_STATUSES:
            raise ClientException(f"there is no such status; the statuses are: {', '.join(_ALL_STATUSES)}")
    return found


def _split(words: list[str]) -> list[str]:
    return [part.strip() for text in words for part in text.split(",") if part.strip()]
