"""Tables come to the newest revision: from nothing, once, by one of several, and never backwards."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, bindparam, text

from qalipsis.config.settings import Datasource
from qalipsis.errors import ConfigurationError, ServiceUnavailable
from qalipsis.head.campaign_list import moment
from qalipsis.head.database import meter_table, migration
from qalipsis.head.database.database import Database, open_database
from qalipsis.head.database.place import FilePlace
from qalipsis.head.database.schema import METADATA
from qalipsis.head.database.sql import Instant
from qalipsis.head.database.store import DatabaseStore
from qalipsis.head.meter_series import Meter, MeterQuery
from tests.head.database.conftest import ask


def differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, METADATA))


async def test_the_migrations_make_exactly_the_tables_of_the_schema(
    datasource: Datasource, folder: Path
) -> None:
    async with open_database(datasource, folder) as database, database.transaction() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_second_upgrade_finds_nothing_to_do(datasource: Datasource, folder: Path) -> None:
    database = Database(datasource, folder)
    assert await database.revision() is None
    assert await database.upgrade() is None
    assert await database.upgrade() == migration.newest()
    assert await database.revision() == migration.newest()
    await database.aclose()


async def test_every_table_has_a_sequence_of_its_own(server: Datasource) -> None:
    async with open_database(replace(server, schema="odd: Näme")):
        pass
    rows = await ask(server, "select sequencename from pg_sequences where schemaname = 'odd: Näme'")
    assert {name for (name,) in rows} == {f"{table}_seq" for table in METADATA.tables}


async def test_of_two_heads_that_start_at_once_one_upgrades_and_both_work(
    datasource: Datasource, folder: Path
) -> None:
    databases = [Database(datasource, folder) for _ in range(4)]
    found = await asyncio.gather(*(database.upgrade() for database in databases))
    assert sorted(found, key=str) == [migration.newest()] * 3 + [None]
    for database in databases:
        assert await database.revision() == migration.newest()
        await database.aclose()


async def test_who_waits_too_long_for_the_upgrade_of_another_is_told(
    datasource: Datasource, folder: Path
) -> None:
    first, second = Database(datasource, folder), Database(datasource, folder)
    if isinstance(first.place, FilePlace):
        first.place.path.parent.mkdir()
    began = time.monotonic()
    async with first.alone():
        with pytest.raises(ServiceUnavailable, match=r"has been upgrading or using the tables for 0\.3 s"):
            await second.upgrade(patience_seconds=0.3)
    assert time.monotonic() - began < 5.0
    assert await second.upgrade() is None
    await first.aclose()
    await second.aclose()


async def test_an_upgrade_of_large_tables_has_an_hour(
    datasource: Datasource, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[float | None] = []
    transaction = Database.transaction

    def noted(self: Database, seconds: float | None = None) -> Any:
        limits.append(seconds)
        return transaction(self, seconds)

    monkeypatch.setattr(Database, "transaction", noted)
    database = Database(datasource, folder)
    await database.upgrade(patience_seconds=1.0)
    await database.aclose()
    assert limits in ([3600.0], [3601.0])


async def test_tables_of_a_later_version_are_refused_by_both_revisions(
    datasource: Datasource, folder: Path
) -> None:
    async with open_database(datasource, folder) as database, database.transaction() as connection:
        await connection.execute(text("update alembic_version set version_num = '9999'"))
    for upgrade in (True, False):
        with pytest.raises(ConfigurationError, match=f"revision 9999.*{migration.newest()}.*use the version"):
            async with open_database(datasource, folder, upgrade=upgrade):
                pass


async def test_a_failed_upgrade_leaves_nothing_behind(
    datasource: Datasource, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = migration._run

    def fail(connection: Connection) -> None:
        run(connection)
        raise ZeroDivisionError

    database = Database(datasource, folder)
    with monkeypatch.context() as patch:
        patch.setattr(migration, "_run", fail)
        with pytest.raises(ZeroDivisionError):
            await database.upgrade()
    assert await database.revision() is None
    assert await database.upgrade() is None
    await database.aclose()


def to_second_revision(connection: Connection) -> None:
    config = migration._config()
    config.attributes["connection"] = connection
    command.upgrade(config, "0002")


async def test_meters_from_before_there_were_zones_are_those_of_the_whole_fleet(
    datasource: Datasource, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Meter(name="queue", at=moment(1.0), type="gauge", value=7.0)
    database = Database(datasource, folder)
    with monkeypatch.context() as patch:
        patch.setattr(migration, "_run", to_second_revision)
        await database.upgrade()
    store = DatabaseStore(database)
    await store.save_state("c-1", "RUNNING", 1.0)
    columns = "id, campaign_id, scenario, name, tags, series, at, type, value, other"
    async with database.transaction() as connection:
        await connection.execute(
            text(
                f"insert into campaign_meters ({columns}) "
                "select 40, id, '', 'queue', '{}', :series, :at, 'gauge', 7.0, '{}' from campaign"
            ).bindparams(bindparam("at", old.at, Instant), series=meter_table._series(old))
        )
    assert await database.upgrade() == "0002"
    assert await store.meters(MeterQuery(campaigns=("c-1",))) == (old,)
    assert await store.meters(MeterQuery(campaigns=("c-1",), zones=("east",))) == ()
    # What is there is known again.
    part = msgspec.structs.replace(old, zone="east", is_part=True)
    await store.save_meters("c-1", [old, part])
    assert await store.meters(MeterQuery(campaigns=("c-1",))) == (old,)
    assert await store.meters(MeterQuery(campaigns=("c-1",), zones=("east",))) == (part,)
    async with database.transaction() as connection:
        assert await connection.run_sync(differences) == []
        if isinstance(database.place, FilePlace):
            # The table was written anew: rows keep their ids, and still go with their campaign.
            assert await connection.scalar(text("select min(id) from campaign_meters")) == 40
            made = await connection.scalar(
                text("select sql from sqlite_master where name = 'campaign_meters'")
            )
            assert "AUTOINCREMENT" in made
            assert "ON DELETE CASCADE" in made
    await database.aclose()


async def test_what_only_reads_asks_for_an_upgrade_and_creates_nothing(
    datasource: Datasource, folder: Path
) -> None:
    with pytest.raises(ConfigurationError, match=r"there are no tables yet.*run `qalipsis db upgrade`"):
        async with open_database(datasource, folder, upgrade=False):
            pass
    assert not await asyncio.to_thread(folder.exists)
