"""Reports as pages: each is drawn once, however many ask for it, and only so many are kept."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from qalipsis.head.api.pages import MOST_KEPT, Pages
from qalipsis.head.service import CampaignService, UnknownCampaign
from qalipsis.reports.model import Report
from qalipsis.testing.store import sample_report


class Desk:
    """Has a report of every campaign but `none`, and remembers who asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def report(self, key: str) -> Report:
        self.asked.append(key)
        if key == "none":
            raise UnknownCampaign("there is no campaign none")
        return sample_report(key)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def pages(desk: Desk) -> Pages:
    return Pages(cast("CampaignService", desk))


async def test_a_page_is_drawn_once_for_all_who_ask_at_the_same_time(desk: Desk, pages: Pages) -> None:
    first, *others = await asyncio.gather(*(pages.of("one") for _ in range(5)))
    assert b"<!doctype html>" in first.lower()
    assert all(other is first for other in others)
    assert desk.asked == ["one"]


async def test_the_page_that_was_asked_for_longest_ago_is_forgotten(desk: Desk, pages: Pages) -> None:
    for number in range(MOST_KEPT):
        await pages.of(f"c{number}")
    await pages.of("c0")
    await pages.of("another")
    desk.asked.clear()
    await pages.of("c0")
    await pages.of("c1")
    assert desk.asked == ["c1"]


async def test_what_has_no_report_yet_is_asked_for_again(desk: Desk, pages: Pages) -> None:
    for _ in range(2):
        with pytest.raises(UnknownCampaign):
            await pages.of("none")
    assert desk.asked == ["none", "none"]
