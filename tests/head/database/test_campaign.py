"""A real campaign of the orchestrator, kept in a database."""

from __future__ import annotations

from pathlib import Path

import pytest

from qalipsis import wiring
from qalipsis.config.loader import load
from qalipsis.config.settings import Datasource
from qalipsis.head.database.database import open_database
from qalipsis.head.database.store import DatabaseStore

SCENARIO = """
from qalipsis import profile, scenario

hello = scenario("hello", minions=3, profile=profile.regular("300ms", 1)).start().returns(1).named("a")
"""


async def test_a_campaign_leaves_its_states_its_timeline_and_its_report(
    datasource: Datasource, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hello.py").write_text(SCENARIO)
    settings = load(tmp_path, {}, ("factory.workers=0",)).settings
    async with open_database(datasource, folder) as database:
        monkeypatch.setattr(wiring.run, "MemoryStore", lambda clock, **more: DatabaseStore(database))
        request = wiring.RunRequest(paths=(tmp_path / "hello.py",), settings=settings)
        async with wiring.open_run(request, lambda live: None) as run:
            report = await run.wait()
    async with open_database(datasource, folder, upgrade=False) as database:
        store = DatabaseStore(database)
        record = await store.campaign(report.campaign.key)
        assert record is not None
        assert (record.name, record.state, record.status) == ("hello", "COMPLETED", "SUCCESSFUL")
        assert record.start is not None
        assert record.end is not None
        assert record.start < record.end
        assert await store.report(report.campaign.key) == report
        assert await store.seconds(report.campaign.key) == report.timeline
