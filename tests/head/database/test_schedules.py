"""Scheduled campaigns in a real database, whose clock says when they are due."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from qalipsis.config.settings import Datasource
from qalipsis.head.campaign_configuration import from_kept
from qalipsis.head.campaign_list import CampaignQuery, CampaignRecord
from qalipsis.head.database.database import open_database
from qalipsis.head.database.store import DatabaseStore
from qalipsis.head.memory_store import MemoryStore
from tests.head.api.desk import Desk, configuration


async def test_two_heads_start_what_is_due_once(datasource: Datasource, folder: Path) -> None:
    async with open_database(datasource, folder) as database:
        store = DatabaseStore(database)
        heads = [
            Desk(store=cast("MemoryStore", store), head=name, is_alone=False) for name in ("first", "second")
        ]
        due = datetime.now(UTC) + timedelta(seconds=0.3)
        asked = from_kept(
            configuration(
                scheduledAt=due.isoformat(),
                scheduling={"scheduling": "HOURLY", "timeZone": "Europe/Paris"},
            )
        )
        for head in heads:
            head.welcome()
        await heads[0].service.schedule(asked, "somebody")
        tasks = [asyncio.create_task(head.service.serve()) for head in heads]
        try:
            first, second = await until_it_runs(store)
            assert (first.scheduled_at, first.configurer) == (due, "somebody")
            assert (second.key, second.status) == (f"{first.key}-n2", "SCHEDULED")
            assert second.scheduled_at == due + timedelta(hours=1)
            await heads[1].service.abort(second.key, False, "somebody else")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        assert sum(len(head.runs) for head in heads) == 1
        record = await store.campaign(second.key)
        assert record is not None
        assert (record.status, record.aborter) == ("ABORTED", "somebody else")


async def until_it_runs(store: DatabaseStore) -> tuple[CampaignRecord, ...]:
    async with asyncio.timeout(10):
        while True:
            found = (await store.campaigns(CampaignQuery(descending=False))).elements
            if "IN_PROGRESS" in [each.status for each in found]:
                return found
            await asyncio.sleep(0.02)
