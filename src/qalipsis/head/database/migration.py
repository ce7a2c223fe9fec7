"""Brings the tables to the revision that this version needs: by one process at a time, all or nothing."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from qalipsis.errors import ConfigurationError, ServiceUnavailable
from qalipsis.head.database.place import FilePlace, Place, ServerPlace, quoted
from qalipsis.head.database.problems import explain

LOOK_SECONDS: Final = 0.05

_FOLDER = Path(__file__).with_name("migrations")


@cache
def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return config


@cache
def _known() -> tuple[str, ...]:
    """The revisions of this version, the newest first."""
    script = ScriptDirectory.from_config(_config())
    return tuple(each.revision for each in script.walk_revisions())


def newest() -> str:
    """The revision that this version works with."""
    return _known()[0]


async def current(connection: AsyncConnection) -> str | None:
    """The revision of the tables; None when there are none yet."""
    return await connection.run_sync(lambda each: MigrationContext.configure(each).get_current_revision())


def check_known(revision: str | None, place: Place) -> None:
    """Refuse tables that a later version has changed: this one could damage what it does not know."""
    if revision is not None and revision not in _known():
        raise ConfigurationError(
            f"{place}: the tables are of revision {revision}, and the newest that this version of qalipsis "
            f"knows is {newest()}; use the version that upgraded them, or restore a backup"
        )


async def upgrade(connection: AsyncConnection, place: Place) -> str | None:
    """Run the missing revisions, in the transaction of `connection`, whose lock the caller holds.

    Returns the revision before.
    """
    revision = await current(connection)
    check_known(revision, place)
    if revision != newest():
        if isinstance(place, ServerPlace):
            await _create_schema(connection, place.schema)
        await connection.run_sync(_run)
    return revision


def _run(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    finally:
        del config.attributes["connection"]


async def _create_schema(connection: AsyncConnection, schema: str) -> None:
    # IF NOT EXISTS would ask for the right to create it even when it is there.
    found = await connection.scalar(
        text("select count(*) from pg_namespace where nspname = :name"), {"name": schema}
    )
    if not found:
        # As it is: `text` would take a colon in the name for a parameter.
        await connection.exec_driver_sql(f"CREATE SCHEMA {quoted(schema)}")


async def lock_schema(connection: AsyncConnection, schema: str, patience_seconds: float) -> None:
    """Until the end of this transaction, nobody else upgrades the schema."""
    # Also for the tables themselves: those of a running head may be in use.
    await connection.execute(text(f"SET LOCAL lock_timeout = {round(patience_seconds * 1000)}"))
    await connection.execute(
        text("select pg_advisory_xact_lock(hashtextextended('upgrade of qalipsis in ' || :schema, 0))"),
        {"schema": schema},
    )


@asynccontextmanager
async def locked_file(place: FilePlace, patience_seconds: float) -> AsyncIterator[None]:
    """Until the end of the block, nobody else upgrades the file."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience_seconds
    try:
        lock = place.path.with_name(f"{place.path.name}.lock").open("w")
    except OSError as error:
        raise explain(error, place) or error from error
    with lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if loop.time() >= deadline:
                    raise too_slow(place, patience_seconds) from None
                await asyncio.sleep(LOOK_SECONDS)
        yield


def too_slow(place: Place, patience_seconds: float) -> ServiceUnavailable:
    return ServiceUnavailable(
        f"{place}: another process has been upgrading or using the tables for {patience_seconds:g} s; "
        "wait until it has ended, or end it, and try again"
    )
