"""A store in a database keeps what every store promises, beyond the life of its process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from qalipsis.config.settings import Datasource
from qalipsis.errors import ServiceUnavailable
from qalipsis.head.campaign_list import CampaignQuery
from qalipsis.head.database import claims
from qalipsis.head.database.database import open_database
from qalipsis.head.database.schema import (
    CAMPAIGN_FACTORY,
    OUTBOX,
    SCENARIO_REPORT_MESSAGE,
    STEP_REPORT,
)
from qalipsis.head.database.store import DatabaseStore
from qalipsis.head.ownership import Claim, Commit, Fenced
from qalipsis.testing.store import AT, CHECKS, sample_report
from tests.head.database.conftest import ask


async def test_the_database_store_keeps_its_promise(datasource: Datasource, folder: Path) -> None:
    async with open_database(datasource, folder) as database:
        for check in CHECKS:
            try:
                await check(DatabaseStore(database))
            except AssertionError as error:
                raise AssertionError(f"{check.__name__}: {error}") from error


async def test_what_was_saved_is_there_for_the_next_process(datasource: Datasource, folder: Path) -> None:
    async with open_database(datasource, folder) as database:
        store = DatabaseStore(database)
        await store.save_state("c-1", "RUNNING", AT)
        claim = await store.claim("c-1", "head-1", 30.0)
        assert claim is not None
        await store.commit(
            claim, Commit(state="DRAINING", at=AT, checkpoint=b"here", outgoing=(("t", b"m"),))
        )
        await store.save_report(sample_report("c-2"))
        await store.aclose()
    async with open_database(datasource, folder) as database:
        store = DatabaseStore(database)
        record = await store.campaign("c-1")
        assert record is not None
        assert (record.state, record.owner, record.epoch) == ("DRAINING", "head-1", 1)
        assert await store.checkpoint("c-1") == b"here"
        assert [each.body for each in await store.outgoing("c-1", 10)] == [b"m"]
        assert await store.report("c-2") == sample_report("c-2")


async def test_a_report_has_rows_that_sql_can_sum(datasource: Datasource, folder: Path) -> None:
    async with open_database(datasource, folder) as database:
        await DatabaseStore(database).save_report(sample_report("c-1"))
        async with database.transaction() as connection:
            failed = await connection.scalar(select(func.sum(STEP_REPORT.c.failed_executions)))
            messages = await connection.scalar(select(func.count()).select_from(SCENARIO_REPORT_MESSAGE))
            (factory,) = (await connection.execute(select(CAMPAIGN_FACTORY))).all()
    assert (failed, messages) == (1, 2)
    assert (factory.node_id, factory.zone, factory.state) == ("node-1", "eu-west-1", "LOST")


async def test_a_step_that_fails_in_its_middle_leaves_nothing(
    datasource: Datasource, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_database(datasource, folder) as database:
        store = DatabaseStore(database)
        await store.save_state("c-1", "PREPARING", AT)
        claim = await store.claim("c-1", "head-1", 30.0)
        assert claim is not None
        commit = Commit(state="RUNNING", at=AT, checkpoint=b"x", outgoing=(("t", b"m"),))

        async def fail(*ignored: object) -> None:
            raise ZeroDivisionError

        with monkeypatch.context() as patch:
            patch.setattr(claims.timeline, "save", fail)
            with pytest.raises(ZeroDivisionError):
                await store.commit(claim, commit)
        assert (await store.checkpoint("c-1"), await store.outgoing("c-1", 10)) == (None, ())
        record = await store.campaign("c-1")
        assert record is not None
        assert record.state == "PREPARING"
        assert (await store.commit(claim, commit)).version > claim.version


async def test_leases_end_by_the_clock_of_the_database(server: Datasource) -> None:
    """A head whose own clock is an hour ahead neither owns longer nor takes over sooner."""
    async with open_database(server) as database:
        store = DatabaseStore(database)
        await store.save_state("c-1", "RUNNING", AT)
        assert await store.claim("c-1", "head-1", 3.0) is not None
        ((seconds,),) = await ask(
            server, "select extract(epoch from lease_until - clock_timestamp())::float from qalipsis.campaign"
        )
        assert 2.0 < seconds <= 3.0
        await ask(server, "update qalipsis.campaign set lease_until = clock_timestamp() - interval '1 ms'")
        claim = await store.claim("c-1", "head-2", 3.0)
        assert claim is not None
        assert claim.epoch == 2


async def test_a_commit_into_a_database_that_dies_is_written_once_however_often_it_is_tried(
    server: Datasource,
) -> None:
    """The sessions are ended again and again, so that answers are lost before and after the commit."""
    async with open_database(server) as database, open_database(server) as killer:
        store = DatabaseStore(database)
        await store.save_state("c-1", "PREPARING", AT)
        claim = await store.claim("c-1", "head-1", 300.0)
        assert claim is not None
        is_over = False
        lost = 0
        shortest = pause = 0.02

        async def kill() -> None:
            ending = text(
                "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() "
                "and application_name = 'qalipsis' and datname = current_database()"
            )
            while not is_over:
                async with killer.transaction() as connection:
                    await connection.execute(ending)
                await asyncio.sleep(pause)

        killing = asyncio.create_task(kill())
        for number in range(40):
            commit = Commit(
                state="RUNNING", at=AT, outgoing=(("t", bytes([number])),), watermarks={("a", 1): number}
            )
            while True:
                try:
                    claim = await store.commit(claim, commit)
                    pause = shortest
                    break
                except ServiceUnavailable:
                    lost += 1
                    pause *= 1.5  # on a busy machine no commit would ever fit between two endings
        is_over = True
        await killing
        assert [each.body for each in await store.outgoing("c-1", 100)] == [bytes([n]) for n in range(40)]
        assert await store.watermarks("c-1") == {("a", 1): 39}
        assert lost > 0


async def test_heads_that_fight_for_a_campaign_write_each_step_once(server: Datasource) -> None:
    """Five heads, each with connections of its own, let their leases lapse and go on nevertheless."""
    async with open_database(server) as watching:
        await DatabaseStore(watching).save_state("c-1", "RUNNING", AT)

        async def drive(name: str) -> int:
            written = 0
            async with open_database(server) as database:
                store = DatabaseStore(database)
                for _ in range(15):
                    claim: Claim | None = await store.claim("c-1", name, 0.01)
                    if claim is None:
                        await asyncio.sleep(0.003)
                        continue
                    await asyncio.sleep(0.012)
                    try:
                        await store.commit(
                            claim, Commit(state="RUNNING", at=AT, outgoing=(("t", name.encode()),))
                        )
                        written += 1
                    except Fenced:
                        pass
            return written

        counts = await asyncio.gather(*(drive(f"head-{number}") for number in range(5)))
        async with watching.transaction() as connection:
            assert await connection.scalar(select(func.count()).select_from(OUTBOX)) == sum(counts)


async def test_a_hundred_campaigns_are_listed_in_one_go(datasource: Datasource, folder: Path) -> None:
    async with open_database(datasource, folder) as database:
        store = DatabaseStore(database)
        for number in range(100):
            await store.save_state(f"c-{number:03}", "RUNNING", AT + number)
        page = await store.campaigns(CampaignQuery(sort="start", page=2, size=30))
    assert (page.total, page.total_pages) == (100, 4)
    assert [record.key for record in page.elements] == [f"c-{number:03}" for number in range(39, 9, -1)]
