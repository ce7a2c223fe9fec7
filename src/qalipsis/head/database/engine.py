"""Connections to the database, made as the settings want them."""

from __future__ import annotations

import time
from math import inf
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from qalipsis.config.settings import Datasource
from qalipsis.head.database.place import FilePlace, Place, quoted

CONNECT_SECONDS: Final = 10.0
BUSY_SECONDS: Final = 5.0
"""How long SQLite waits while another process writes to its file."""


class Trust:
    """Until when connections have rested that nothing speaks against."""

    def __init__(self) -> None:
        self._lost_at = -inf

    def lose(self) -> None:
        """A server did not answer: what rests now may be as dead as what was used."""
        self._lost_at = time.monotonic()

    def reaches(self, idle_since: float) -> bool:
        return idle_since > self._lost_at


def make_engine(datasource: Datasource, place: Place, trust: Trust) -> AsyncEngine:
    """An engine that connects when it is first used, and uses no connection again that lost trust."""
    return _sqlite(place.path) if isinstance(place, FilePlace) else _postgresql(datasource, trust)


def _postgresql(datasource: Datasource, trust: Trust) -> AsyncEngine:
    pool = datasource.pool
    kept = max(pool.min, 1)  # SQLAlchemy takes 0 for no limit
    engine = create_async_engine(
        URL.create(
            "postgresql+asyncpg",
            username=datasource.username,
            password=None if datasource.password is None else datasource.password.reveal(),
            host=datasource.host,
            port=datasource.port,
            database=datasource.database,
        ),
        connect_args={
            "timeout": CONNECT_SECONDS,
            "server_settings": {
                "application_name": "qalipsis",
                "search_path": quoted(datasource.schema),
                "timezone": "UTC",
            },
        },
        hide_parameters=True,
        # `min` connections are kept, those above are closed as soon as they are idle.
        pool_size=kept,
        max_overflow=max(pool.max - kept, 0),
        pool_timeout=pool.max_acquire_time,
        pool_recycle=pool.max_life_time,
    )
    _replace_unusable(engine, pool.max_idle_time, trust)
    return engine


def _replace_unusable(engine: AsyncEngine, max_idle_seconds: float, trust: Trust) -> None:
    """Connections that the server has closed, or rested too long for firewalls, are opened again before use.

    The driver notices by itself that the server has closed one. Asking the server before each use, as
    SQLAlchemy's `pool_pre_ping` does, is three round trips, more than most transactions need. Who is the
    first to use one whose server vanished without a word meets an outage; the others are then opened again.
    """

    @event.listens_for(engine.sync_engine, "checkin")
    def remember(connection: Any, entry: ConnectionPoolEntry) -> None:
        entry.info["idle_since"] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def look(connection: Any, entry: ConnectionPoolEntry, proxy: PoolProxiedConnection) -> None:
        since = entry.info.pop("idle_since", None)
        if since is None:
            return  # it is new
        driver: Any = entry.driver_connection
        if driver.is_closed():
            raise DisconnectionError("closed by the server")
        if time.monotonic() - since > max_idle_seconds or not trust.reaches(since):
            raise DisconnectionError("idle for too long, or since before the server did not answer")


def _sqlite(path: Path) -> AsyncEngine:
    # One connection: writers would wait for each other anyway, and this way in the order they come.
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)), pool_size=1, max_overflow=0, hide_parameters=True
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # the driver would begin transactions too late, and none for DDL
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        # A reader that starts to write later would be refused at once instead of waiting for its turn. Said
        # to the driver itself, this is one visit to its thread; through a cursor of SQLAlchemy's it is three.
        driver: Any = connection.connection.dbapi_connection
        driver.run_async(lambda it: it.execute("BEGIN IMMEDIATE"))

    return engine
