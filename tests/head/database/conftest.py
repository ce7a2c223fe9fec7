"""Databases of one test each: a new one of PostgreSQL, a new file of SQLite."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from qalipsis.config.secret import Secret
from qalipsis.config.settings import Datasource
from tests.services.postgres import Postgres


@pytest.fixture
async def server(postgres: Postgres) -> AsyncIterator[Datasource]:
    """The settings of an empty database of PostgreSQL."""
    name = f"q_{secrets.token_hex(6)}"
    await run_sql(postgres, f"CREATE DATABASE {name}")
    yield Datasource(
        host=postgres.host,
        port=postgres.port,
        database=name,
        username=postgres.user,
        password=Secret(postgres.password),
    )
    await run_sql(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def guest(server: Datasource) -> AsyncIterator[Datasource]:
    """The same database for a user who owns nothing and may create nothing."""
    name = f"guest_{secrets.token_hex(6)}"
    await ask(server, f"CREATE ROLE {name} LOGIN PASSWORD 'secret of a guest'")
    yield replace(server, username=name, password=Secret("secret of a guest"))
    await ask(server, f"DROP OWNED BY {name} CASCADE")
    await ask(server, f"DROP ROLE {name}")


@pytest.fixture(params=["postgresql", "sqlite"])
def datasource(request: pytest.FixtureRequest) -> Datasource:
    """The settings of an empty database of either kind; SQLite puts its file into `folder`."""
    if request.param == "sqlite":
        return Datasource()
    server: Datasource = request.getfixturevalue("server")
    return server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


async def run_sql(postgres: Postgres, statement: str) -> None:
    """As the administrator, in the database of the server itself."""
    connection = await asyncpg.connect(postgres.url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def ask(datasource: Datasource, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
    """A statement in the database of these settings, by a session that knows nothing of qalipsis."""
    assert datasource.password is not None
    connection = await asyncpg.connect(
        host=datasource.host,
        port=datasource.port,
        database=datasource.database,
        user=datasource.username,
        password=datasource.password.reveal(),
    )
    try:
        return [tuple(row) for row in await connection.fetch(statement, *arguments)]
    finally:
        await connection.close()
