"""A real PostgreSQL, a schema for each test, and a desk that drives steps as the engine does."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from itertools import count
from typing import Any

import asyncpg
import pytest
import uvloop

from qalipsis.plugins import sql
from tests.services.postgres import Postgres

from .desk import Desk

NUMBERS = count(1)


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that workers run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def admin(postgres: Postgres) -> AsyncIterator[Any]:
    """A connection of the test's own, whose tables are in the schema of `shop`."""
    connection = await asyncpg.connect(postgres.url, timeout=10)
    schema = f"test_{next(NUMBERS)}"
    await connection.execute(f"CREATE SCHEMA {schema}")
    await connection.execute(f"SET search_path TO {schema}")
    yield connection
    if connection.is_closed():
        connection = await asyncpg.connect(postgres.url, timeout=10)
    await connection.execute(f"DROP SCHEMA {schema} CASCADE")
    await connection.close(timeout=5)


@pytest.fixture
async def database(postgres: Postgres, admin: Any) -> Callable[..., sql.Database]:
    """`database(timeout="1s")`: the schema of this test."""
    schema = await admin.fetchval("SELECT current_schema()")
    return lambda **options: sql.postgres(postgres.url, schema=schema, **options)


@pytest.fixture
async def shop(database: Callable[..., sql.Database], admin: Any) -> sql.Database:
    """A schema with a table of orders."""
    await admin.execute(
        """CREATE TABLE orders (
            id serial PRIMARY KEY,
            name text NOT NULL DEFAULT 'none',
            price numeric CHECK (price > 0),
            details jsonb
        )"""
    )
    return database()


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    yield desk
    await desk.aclose()
    attempted, ok, error = desk.books
    assert attempted == ok + error, "the books of the requests do not close"
    gc.collect()  # what was leaked warns now, and warnings are errors
