"""A report that users put together: which campaigns, and which data series as diagrams and tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from msgspec import Struct

from qalipsis.head.campaign_configuration import Problem
from qalipsis.head.campaign_list import CampaignRecord, Page, moment
from qalipsis.head.data_series import lengths, matches_words, one_of, wildcard
from qalipsis.head.refusals import Invalid
from qalipsis.head.sharing import MODES, may_see

COMPONENTS: Final = ("DIAGRAM", "DATA_TABLE")
SORTS: Final = ("display_name", "creator", "creation", "version", "sharing_mode", "description")

MOST_REPORTS: Final = 1000
"""Of all users; beyond it some have to be deleted first."""
MOST_COMPONENTS: Final = 30
MOST_SERIES: Final = 10
MOST_CAMPAIGNS: Final = 20
"""In one report."""

_MOST_PATTERNS: Final = 50
_LONGEST_PATTERN: Final = 300
_LONGEST_DESCRIPTION: Final = 2000
_NAME_LENGTHS: Final = (3, 200)


class Component(Struct, frozen=True, kw_only=True):
    """A diagram or a table of these data series, by their references."""

    type: str
    data_series: tuple[str, ...] = ()


class ReportTemplate(Struct, frozen=True, kw_only=True):
    """A report that is kept. In patterns `*` stands for any text."""

    reference: str
    creator: str
    display_name: str
    version: datetime = moment(0.0)
    creation: datetime = moment(0.0)
    description: str | None = None
    sharing_mode: str = "READONLY"
    campaign_keys: tuple[str, ...] = ()
    campaign_names_patterns: tuple[str, ...] = ()
    scenario_names_patterns: tuple[str, ...] = ()
    components: tuple[Component, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportQuery:
    filters: tuple[str, ...] = ()
    sort: str = "display_name"
    descending: bool = False
    page: int = 0
    size: int = 20


def check(report: ReportTemplate) -> None:
    """Raises Invalid with everything that is wrong."""
    found = tuple(_problems(report))
    if found:
        raise Invalid(found)


def page_of(reports: Iterable[ReportTemplate], query: ReportQuery, user: str) -> Page[ReportTemplate]:
    """The page of those that the user may see."""
    found = [
        each
        for each in reports
        if may_see(each, user)
        and matches_words(query.filters, each.display_name, each.description or "", each.creator)
    ]

    def key(each: ReportTemplate) -> tuple[bool, object]:
        value = getattr(each, query.sort)
        return value is None, value.casefold() if isinstance(value, str) else value or 0

    found.sort(key=lambda each: each.reference)
    found.sort(key=key, reverse=query.descending)
    first = query.page * query.size
    return Page(tuple(found[first : first + query.size]), query.page, query.size, len(found))


def is_meant(report: ReportTemplate, campaign: CampaignRecord) -> bool:
    """Whether the campaign belongs to the report, by its key or by its name."""
    return campaign.key in report.campaign_keys or any(
        wildcard(pattern).fullmatch(campaign.name) for pattern in report.campaign_names_patterns
    )


def scenario_names(report: ReportTemplate, campaigns: Sequence[CampaignRecord]) -> tuple[str, ...]:
    """The scenarios of these campaigns that the report is about: all, unless it has patterns for them."""
    known = sorted({scenario.name for campaign in campaigns for scenario in campaign.scenarios})
    patterns = [wildcard(pattern) for pattern in report.scenario_names_patterns]
    return tuple(
        name for name in known if not patterns or any(pattern.fullmatch(name) for pattern in patterns)
    )


def _problems(report: ReportTemplate) -> Iterator[Problem]:
    yield from lengths("report.displayName", report.display_name, _NAME_LENGTHS)
    yield from one_of("report.sharingMode", report.sharing_mode, MODES)
    if report.description is not None and len(report.description) > _LONGEST_DESCRIPTION:
        yield Problem("report.description", f"must have at most {_LONGEST_DESCRIPTION} characters")
    if not report.campaign_keys and not report.campaign_names_patterns:
        yield Problem("report.campaignKeys", "must name a campaign, unless campaignNamesPatterns does")
    for name, texts in (
        ("report.campaignKeys", report.campaign_keys),
        ("report.campaignNamesPatterns", report.campaign_names_patterns),
        ("report.scenarioNamesPatterns", report.scenario_names_patterns),
    ):
        most = MOST_CAMPAIGNS if texts is report.campaign_keys else _MOST_PATTERNS
        if len(texts) > most:
            yield Problem(name, f"must be at most {most}")
        for i, text in enumerate(texts[:most]):
            if not text.strip() or len(text) > _LONGEST_PATTERN:
                yield Problem(f"{name}[{i}]", f"must have 1 to {_LONGEST_PATTERN} characters")
    if len(report.components) > MOST_COMPONENTS:
        yield Problem("report.dataComponents", f"must be at most {MOST_COMPONENTS}")
    for i, component in enumerate(report.components[:MOST_COMPONENTS]):
        place = f"report.dataComponents[{i}]"
        yield from one_of(f"{place}.type", component.type, COMPONENTS)
        if not 1 <= len(component.data_series) <= MOST_SERIES:
            yield Problem(f"{place}.datas", f"must be 1 to {MOST_SERIES} data series")
