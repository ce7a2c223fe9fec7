"""What a campaign's state says to those who list it, and which lists there are."""

from __future__ import annotations

import pytest

from qalipsis.head.campaign import Phase
from qalipsis.head.campaign_list import CampaignQuery, Page, status_of


@pytest.mark.parametrize(
    ("status", "phases"),
    [
        ("QUEUED", (Phase.PREPARING, Phase.ASSIGNING, Phase.WARMUP)),
        ("IN_PROGRESS", (Phase.RUNNING, Phase.DRAINING, Phase.ABORTING)),
        ("FAILED", (Phase.FAILED,)),
        ("ABORTED", (Phase.ABORTED,)),
        (None, (Phase.SCHEDULED, Phase.COMPLETED)),
    ],
)
def test_each_state_has_its_status(status: str | None, phases: tuple[Phase, ...]) -> None:
    assert {status_of(phase) for phase in phases} == {status}


def test_a_query_that_no_list_answers_is_refused() -> None:
    with pytest.raises(ValueError, match="not sorted by colour, but by creation, start"):
        CampaignQuery(sort="colour")
    for page, size in ((-1, 20), (0, 0)):
        with pytest.raises(ValueError, match="pages start at 0, sizes at 1"):
            CampaignQuery(page=page, size=size)


def test_the_last_page_may_be_shorter() -> None:
    assert [Page((), 0, 20, total).total_pages for total in (0, 1, 20, 21)] == [0, 1, 1, 2]
