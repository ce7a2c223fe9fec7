"""Reports over HTTP: put together, rendered, downloaded."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Final

from litestar import Request, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.exceptions import ClientException
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct

from qalipsis.head import report_template
from qalipsis.head.api.access import User
from qalipsis.head.api.data_series import (
    MOST_WORDS,
    PageNumber,
    Series,
    Size,
    Sort,
    Words,
    series_of,
    sort_of,
)
from qalipsis.head.api.leniency import DataRequest, split
from qalipsis.head.api.listing import Listing, counts
from qalipsis.head.data_desk import DataDesk
from qalipsis.head.report_shelf import ResolvedReport
from qalipsis.head.report_template import Component, ReportQuery, ReportTemplate

_Request = Request[User, Any, Any]
_READ: Final = {"permission": "read:report"}
_WRITE: Final = {"permission": "write:report"}


class _Payload(Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class SeriesReference(_Payload, frozen=True, kw_only=True):
    reference: str


class NewComponent(_Payload, frozen=True, kw_only=True):
    """A DIAGRAM or DATA_TABLE of data series: their references, or objects that hold them."""

    type: str
    data_series_references: tuple[str, ...] | None = None
    datas: tuple[SeriesReference | str, ...] | None = None


class NewReport(_Payload, frozen=True, kw_only=True):
    """A report to create, or what a report is to be. With `version`, only as long as it is that one."""

    display_name: str
    description: str | None = None
    sharing_mode: str = "READONLY"
    campaign_keys: tuple[str, ...] | None = None
    campaign_names_patterns: tuple[str, ...] | None = None
    scenario_names_patterns: tuple[str, ...] | None = None
    data_components: tuple[NewComponent, ...] | None = None
    version: datetime | None = None


class CampaignKeyAndName(_Payload, frozen=True, kw_only=True):
    key: str
    name: str


class ReportComponent(_Payload, frozen=True, kw_only=True):
    type: str
    datas: tuple[Series, ...]


class UserReport(_Payload, frozen=True, kw_only=True):
    """A report, with what it is about now."""

    reference: str
    version: datetime
    creator: str
    display_name: str
    description: str | None
    sharing_mode: str
    campaign_keys: tuple[str, ...]
    campaign_names_patterns: tuple[str, ...]
    resolved_campaigns: tuple[CampaignKeyAndName, ...]
    scenario_names_patterns: tuple[str, ...]
    resolved_scenario_names: tuple[str, ...]
    data_components: tuple[ReportComponent, ...]


class ReportPage(Listing, frozen=True, kw_only=True):
    elements: tuple[UserReport, ...]


class Rendering(_Payload, frozen=True, kw_only=True):
    """The file will be at /reports/file/{reference}; `status` is PROCESSING, COMPLETED or FAILED."""

    reference: str
    report_reference: str
    creator: str
    creation: datetime
    status: str
    failure_reason: str | None


@post("/reports", status_code=200, opt=_WRITE, tags=["reports"], request_class=DataRequest)
async def create_report(
    data: JSONBody[NewReport], desk: NamedDependency[DataDesk], request: _Request
) -> UserReport:
    """Put a report together."""
    user = request.user.name
    return _report(await desk.reports.resolve(await desk.reports.create(_template(data, user)), user))


@get("/reports", opt=_READ, tags=["reports"])
async def list_reports(
    desk: NamedDependency[DataDesk],
    request: _Request,
    words: Words = None,
    sort: Sort = "displayName:asc",
    page: PageNumber = 0,
    size: Size = 20,
) -> ReportPage:
    """A page of the reports."""
    column, descending = sort_of(sort, report_template.SORTS)
    filters = split(words, MOST_WORDS, "filters")
    query = ReportQuery(filters=filters, sort=column, descending=descending, page=page, size=size)
    found = await desk.reports.page(query, request.user.name)
    return ReportPage(**counts(found), elements=tuple(_report(each) for each in found.elements))


@get("/reports/{reference:str}", opt=_READ, tags=["reports"])
async def show_report(
    reference: FromPath[str], desk: NamedDependency[DataDesk], request: _Request
) -> UserReport:
    """One report."""
    user = request.user.name
    return _report(await desk.reports.resolve(await desk.reports.get(reference, user), user))


@put("/reports/{reference:str}", opt=_WRITE, tags=["reports"], request_class=DataRequest)
async def replace_report(
    reference: FromPath[str],
    data: JSONBody[NewReport],
    desk: NamedDependency[DataDesk],
    request: _Request,
) -> UserReport:
    """Put another one in its place."""
    user = request.user.name
    changed = await desk.reports.replace(reference, _template(data, user), data.version, user)
    return _report(await desk.reports.resolve(changed, user))


@delete("/reports", status_code=202, opt=_WRITE, tags=["reports"])
async def delete_reports(
    desk: NamedDependency[DataDesk],
    request: _Request,
    report: Annotated[list[str] | None, QueryParameter(max_items=MOST_WORDS)] = None,
    reports: Annotated[list[str] | None, QueryParameter(max_items=MOST_WORDS)] = None,
) -> None:
    """Delete reports with their files, all of them or none; `reports` is another name of `report`."""
    references = split([*(report or ()), *(reports or ())], MOST_WORDS, "reports")
    if not references:
        raise ClientException("at least one report is needed: report=REFERENCE,REFERENCE")
    await desk.reports.delete(references, request.user.name)


@post("/reports/{reference:str}/render", status_code=200, opt=_READ, tags=["reports"])
async def render_report(
    reference: FromPath[str], desk: NamedDependency[DataDesk], request: _Request
) -> Rendering:
    """Begin to render a report as PDF."""
    task = await desk.renderer.render(reference, request.user.name)
    return Rendering(
        reference=task.reference,
        report_reference=task.report,
        creator=task.creator,
        creation=task.creation,
        status=task.status,
        failure_reason=task.failure_reason,
    )


@get("/reports/file/{task:str}", opt=_READ, media_type="application/pdf", tags=["reports"])
async def download_rendering(
    task: FromPath[str], desk: NamedDependency[DataDesk], request: _Request
) -> Response[bytes]:
    """The PDF; 422 while it is being rendered."""
    done, content = await desk.renderer.file(task, request.user.name)
    name = re.sub(r"[^\w.-]", "_", done.report, flags=re.ASCII)
    return Response(
        content,
        media_type="application/pdf",
        headers={"Content-Disposition": f'attachment; filename="{name}.pdf"'},
    )


HANDLERS: Final = (
    *(create_report, list_reports, show_report, replace_report, delete_reports),
    *(render_report, download_rendering),
)


def _template(data: NewReport, user: str) -> ReportTemplate:
    return ReportTemplate(
        reference="",
        creator=user,
        display_name=data.display_name,
        description=data.description,
        sharing_mode=data.sharing_mode,
        campaign_keys=tuple(dict.fromkeys(data.campaign_keys or ())),
        campaign_names_patterns=data.campaign_names_patterns or (),
        scenario_names_patterns=data.scenario_names_patterns or (),
        components=tuple(
            Component(type=each.type, data_series=_references(each)) for each in data.data_components or ()
        ),
    )


def _references(component: NewComponent) -> tuple[str, ...]:
    held = tuple(each if isinstance(each, str) else each.reference for each in component.datas or ())
    return tuple(dict.fromkeys((*(component.data_series_references or ()), *held)))


def _report(resolved: ResolvedReport) -> UserReport:
    template = resolved.template
    return UserReport(
        reference=template.reference,
        version=template.version,
        creator=template.creator,
        display_name=template.display_name,
        description=template.description,
        sharing_mode=template.sharing_mode,
        campaign_keys=template.campaign_keys,
        campaign_names_patterns=template.campaign_names_patterns,
        resolved_campaigns=tuple(
            CampaignKeyAndName(key=each.key, name=each.name) for each in resolved.campaigns
        ),
        scenario_names_patterns=template.scenario_names_patterns,
        resolved_scenario_names=resolved.scenarios,
        data_components=tuple(
            ReportComponent(type=kind, datas=tuple(series_of(each) for each in series))
            for kind, series in resolved.components
        ),
    )
