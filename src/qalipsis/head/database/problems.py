"""What went wrong with the database, as an error of ours that says what to do."""

from __future__ import annotations

import os
import sqlite3
from asyncio import CancelledError
from collections.abc import Iterator
from typing import Final

import asyncpg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from qalipsis.errors import ConfigurationError, QalipsisError, ServiceUnavailable
from qalipsis.head.database.place import FilePlace, Place, ServerPlace, quoted

PROBLEMS: Final = (
    SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    sqlite3.Error,
    OSError,
    TimeoutError,
)
"""What drivers raise; most of it SQLAlchemy wraps, but not what happens while it connects."""

PASSING: Final = ("08", "53", "57", "40", "55P03", "25006")
"""Beginnings of SQLSTATEs that say "not now": connections, resources, shutdown, conflicts, a standby."""

WRONG_FILE: Final = ("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_NOTADB", "SQLITE_CORRUPT")
BUSY_FILE: Final = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_FULL")


def explain(error: BaseException, place: Place) -> QalipsisError | None:
    """The error to raise instead; None for what only a mistake of this code can cause."""
    if isinstance(place, FilePlace):
        return _of_sqlite(error, place)
    if isinstance(error, PoolTimeout):
        return ServiceUnavailable(
            f"no connection to {place} became free in time; raise datasource.pool.max, "
            "or datasource.pool.max-acquire-time"
        )
    state = _attribute(error, "sqlstate")
    if state:
        return _of_state(state, _reason(error), place)
    is_lost = isinstance(error, DBAPIError) and error.connection_invalidated
    if is_lost or any(
        isinstance(each, (OSError, TimeoutError, asyncpg.InterfaceError)) for each in _chain(error)
    ):
        return ServiceUnavailable(
            f"cannot reach {place}: {_reason(error)}; check that it runs, datasource.host and datasource.port"
        )
    return None


def _of_state(state: str, reason: str, place: ServerPlace) -> QalipsisError | None:
    database, user, schema = quoted(place.database), quoted(place.user), quoted(place.schema)
    if state.startswith("28"):
        return ConfigurationError(
            f"{place}, refuses the login: {reason}; check datasource.username and datasource.password"
        )
    if state == "3D000":
        return ConfigurationError(
            f"{place}: there is no such database; set datasource.database, or let an administrator run "
            f"CREATE DATABASE {database} OWNER {user}"
        )
    if state in ("42501", "3F000"):  # without a right to the schema, the search_path leads nowhere
        return ConfigurationError(
            f"{place}: this user lacks a right: {reason}; let an administrator run "
            f"GRANT CREATE ON DATABASE {database} TO {user} and, if the schema is there already, "
            f"ALTER SCHEMA {schema} OWNER TO {user}; or use the user that owns the tables"
        )
    if state == "42P01":
        return ConfigurationError(
            f"{place}: the tables are missing in schema {place.schema}; run `qalipsis db upgrade`"
        )
    if state.startswith(PASSING):
        return ServiceUnavailable(f"{place}, cannot do it now: {reason}; try again")
    return None


def _of_sqlite(error: BaseException, place: FilePlace) -> QalipsisError | None:
    reason = _reason(error)
    if isinstance(error, OSError) and not isinstance(error, TimeoutError):
        return ConfigurationError(f"cannot use {place}: {reason}; start in a folder that may be written")
    if "no such table" in reason:
        return ConfigurationError(f"{place} has no tables; run `qalipsis db upgrade`")
    name = _attribute(error, "sqlite_errorname")
    if name.startswith(WRONG_FILE):
        return ConfigurationError(
            f"cannot use {place}: {reason}; move it away, restore a backup, or make it writable"
        )
    if name.startswith(BUSY_FILE) or isinstance(error, (TimeoutError, PoolTimeout)):
        return ServiceUnavailable(f"{place} cannot be used now: {reason}; try again")
    return None


def _reason(error: BaseException) -> str:
    """The words of the driver, without the statement and what was given to it."""
    *_, inmost = _chain(error)
    if isinstance(inmost, TimeoutError) and not inmost.strerror:
        return "it does not answer"
    if isinstance(inmost, OSError) and inmost.errno is not None and inmost.errno > 0:
        return os.strerror(inmost.errno)  # event loops have words of their own for it
    lines = str(getattr(inmost, "strerror", None) or inmost).splitlines()
    return lines[0].rstrip(".") if lines else type(inmost).__name__


def _attribute(error: BaseException, name: str) -> str:
    """What the driver calls the error, empty when it has no name for it."""
    return next((found for each in _chain(error) if (found := getattr(each, name, None))), "")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those that caused it."""
    each: BaseException | None = error
    while each is not None and not isinstance(each, CancelledError):  # how a deadline interrupts
        yield each
        each = getattr(each, "orig", None) or each.__cause__
