"""A resolved report and its curves, as the document that is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from qalipsis.head.campaign_list import CampaignRecord
from qalipsis.head.data_series import DataSeries
from qalipsis.head.report_shelf import ResolvedReport
from qalipsis.head.time_series import Curve
from qalipsis.reports.document import CampaignLine, Document, Line, Part


def document_of(
    report: ResolvedReport, curves: Mapping[str, Mapping[str, Curve]], now: datetime, user: str
) -> Document:
    """`curves` are by the key of the campaign, then by the reference of the series."""
    return Document(
        title=report.template.display_name,
        description=report.template.description or "",
        created=f"{now:%Y-%m-%d %H:%M} UTC",
        creator=user,
        campaigns=tuple(_campaign(each) for each in report.campaigns),
        scenarios=report.scenarios,
        parts=tuple(
            Part(
                kind=kind,
                lines=tuple(
                    _line(each, campaign, curves[campaign.key][each.reference], len(report.campaigns) > 1)
                    for each in series
                    for campaign in report.campaigns
                ),
            )
            for kind, series in report.components
            if series and report.campaigns
        ),
    )


def _campaign(campaign: CampaignRecord) -> CampaignLine:
    start, end = campaign.start, campaign.end
    return CampaignLine(
        key=campaign.key,
        name=campaign.name,
        status=campaign.status,
        start="" if start is None else f"{start:%Y-%m-%d %H:%M:%S}",
        duration_s=None if start is None or end is None else (end - start).total_seconds(),
    )


def _line(series: DataSeries, campaign: CampaignRecord, curve: Curve, is_one_of_several: bool) -> Line:
    return Line(
        label=series.display_name,
        campaign=(campaign.name or campaign.key) if is_one_of_several else "",
        unit="ms" if curve.is_duration else "",
        points=tuple((each.elapsed.total_seconds(), each.value) for each in curve.points),
        color=series.color,
        opacity=1.0 if series.color_opacity is None else max(series.color_opacity, 10) / 100,
        summary=curve.summary.value,
        width_s=curve.width_seconds,
    )
