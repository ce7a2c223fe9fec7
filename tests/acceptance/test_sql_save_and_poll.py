from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from benchmarks.campaign import run_campaign
from tests.services.postgres import Postgres

EXAMPLE = Path(__file__).parents[2] / "examples" / "sql_save_and_poll.py"
MINIONS = 100


@pytest.fixture
async def admin(postgres: Postgres) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(postgres.url, timeout=10)
    await connection.execute("CREATE TABLE purchases (id bigserial PRIMARY KEY, buyer text, cents int)")
    await connection.execute("INSERT INTO purchases (buyer, cents) VALUES ('an earlier campaign', 1)")
    yield connection
    await connection.execute("DROP TABLE purchases")
    await connection.close(timeout=5)


@pytest.mark.parametrize("workers", [1, 2])
async def test_every_row_that_is_inserted_is_met_in_the_poll(
    postgres: Postgres, admin: Any, workers: int
) -> None:
    properties = {"shop.database": postgres.url, "shop.minions": MINIONS}
    run = run_campaign(EXAMPLE, properties, workers=workers)
    assert run.exit_code == 0, run.output
    assert run.report["campaign"]["status"] == "SUCCESSFUL"
    assert await admin.fetchval("SELECT count(*) FROM purchases") == MINIONS + 1
    assert run.step("insert")["executions"]["successful"] == MINIONS
    assert run.step("meet")["executions"]["successful"] == MINIONS
    assert run.step("row-is-as-saved")["executions"]["successful"] == MINIONS
    counters = run.step("meet")["counters"]
    assert (counters["matched"], counters["right-read"]) == (MINIONS, MINIONS)
    assert run.step("insert")["counters"]["rows-saved"] == MINIONS
    requests = run.report["ledger"]["requests"]
    assert (requests["attempted"], requests["ok"]) == (MINIONS, MINIONS)
    assert postgres.password not in run.output
