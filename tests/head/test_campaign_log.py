"""What a head logs of its factories and campaigns: a line for each change, none for what stays."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from qalipsis.cluster.messages import PROTOCOL, Handshake
from qalipsis.head.campaign_log import CampaignLog
from qalipsis.head.directory import FactoryRecord
from qalipsis.head.roster import changes
from qalipsis.plan.model import ScenarioDescriptor
from tests.head.api.desk import LIVE

SHOP = ScenarioDescriptor(name="shop", minions=1, profile="immediate")


def factory(**changed: Any) -> FactoryRecord:
    handshake = Handshake(
        node="eu", protocol=PROTOCOL, version="1", workers=2, scenarios=(SHOP,), zone="west"
    )
    now = datetime.now(UTC)
    record = FactoryRecord(
        node="eu", incarnation=1, handshake=handshake, arrived_at=now, heard_at=now, silence_s=0.1
    )
    return replace(record, **changed)


COME = "factory eu has come, in zone west, with 2 workers: it offers shop"
SILENT = "nothing was heard of factory eu for 6 s: no campaign counts on it until it is heard again"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (None, factory(), [(logging.INFO, COME)]),
        (None, factory(silence_s=60.0), []),
        (factory(), factory(silence_s=1.2, campaigns=("k",)), []),
        (factory(), factory(incarnation=2), [(logging.INFO, COME)]),
        (factory(), factory(silence_s=6.0), [(logging.WARNING, SILENT)]),
        (factory(silence_s=6.0), factory(silence_s=7.0), []),
        (factory(silence_s=6.0), factory(), [(logging.INFO, "factory eu is heard again")]),
        (factory(), None, [(logging.INFO, "factory eu has left")]),
        (factory(silence_s=60.0), None, []),
    ],
)
def test_what_becomes_of_a_factory_is_told_once(
    before: FactoryRecord | None, after: FactoryRecord | None, told: list[tuple[int, str]]
) -> None:
    earlier, now = ({"eu": each} if each is not None else {} for each in (before, after))
    assert list(changes(earlier, now)) == told


def test_states_and_notices_of_a_campaign_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    log = CampaignLog("k-1")
    with caplog.at_level(logging.INFO):
        for state, notices in (
            ("RUNNING", ()),
            ("RUNNING", ("a",)),
            ("RUNNING", ("a", "b")),
            ("DRAINING", ("b",)),
        ):
            log.show(replace(LIVE, state=state, notices=notices, minions_scheduled=1_000))
    assert [record.getMessage() for record in caplog.records] == [
        "campaign k-1 runs, with 1,000 minions",
        "campaign k-1: a",
        "campaign k-1: b",
        "campaign k-1 starts nothing more",
    ]
