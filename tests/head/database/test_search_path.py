"""The statement of the documentation works as it is written there."""

from __future__ import annotations

import os
import subprocess

import pytest

from qalipsis.config.settings import Datasource
from qalipsis.head.database.database import open_database
from qalipsis.head.database.search_path import extended, reach_schema
from qalipsis.head.database.store import DatabaseStore
from qalipsis.head.zones import Zone
from tests.head.database.conftest import ask

DOCUMENTED = """
INSERT INTO "zone" (
    "id",
    "creation",
    "version",
    "key",
    "title",
    "description",
    "image_path",
    "enabled"
    )
VALUES (
    (select nextval('qalipsis.zone_seq')),
    now(),
    now(),
    'eu-west-1',
    'West Europe',
    'General purpose West Europe data center',
    'https://my-company.com/zone-images/eu-west-1.png',
    true
);
"""
INSERTED = Zone(
    key="eu-west-1",
    title="West Europe",
    description="General purpose West Europe data center",
    image_path="https://my-company.com/zone-images/eu-west-1.png",
)


def psql(datasource: Datasource, statement: str) -> str:
    """What an administrator sees, who only names the database."""
    assert datasource.password is not None
    done = subprocess.run(
        ["psql", "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-f", "-", str(datasource.database)],
        input=statement,
        env={
            **os.environ,
            "PGHOST": str(datasource.host),
            "PGPORT": str(datasource.port),
            "PGUSER": str(datasource.username),
            "PGPASSWORD": datasource.password.reveal(),
        },
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return done.stdout + done.stderr


async def test_the_documented_statement_inserts_a_zone(server: Datasource, guest: Datasource) -> None:
    administrator = guest
    await ask(server, f"ALTER ROLE {administrator.username} SUPERUSER")
    async with open_database(server) as database:
        assert 'relation "zone" does not exist' in psql(administrator, DOCUMENTED)
        assert await reach_schema(database) is None
        assert await reach_schema(database) is None
        assert psql(administrator, DOCUMENTED) == "INSERT 0 1\n"
        store = DatabaseStore(database)
        assert await store.zones() == (INSERTED,)
        await store.add_zone(Zone(key="us", title="America"))
        assert (await store.enable_zone("eu-west-1", enabled=False)).enabled is False


async def test_who_may_not_set_the_search_path_gets_the_statement_for_an_administrator(
    server: Datasource, guest: Datasource
) -> None:
    await ask(server, f"GRANT CREATE ON DATABASE {server.database} TO {guest.username}")
    async with open_database(guest) as database:
        statement = await reach_schema(database)
        assert statement is not None
        assert psql(server, statement) == "ALTER DATABASE\n"
        assert await reach_schema(database) is None
        assert psql(server, DOCUMENTED) == "INSERT 0 1\n"
        assert await DatabaseStore(database).zones() == (INSERTED,)


async def test_what_others_have_set_stays_in_front(server: Datasource) -> None:
    await ask(server, f"ALTER DATABASE {server.database} SET search_path = mine, public")
    async with open_database(server) as database:
        await reach_schema(database)
    assert await ask(server, "show search_path") == [("mine, public, qalipsis",)]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (None, '"$user", public, "qalipsis"'),
        ("", '"qalipsis"'),
        ('""', '"qalipsis"'),
        ("mine", 'mine, "qalipsis"'),
        ('public, "qalipsis"', None),
        ("qalipsis, public", None),
    ],
)
def test_a_search_path_is_extended_once(path: str | None, expected: str | None) -> None:
    assert extended(path, "qalipsis") == expected
