"""What went wrong with the database, as an error of ours that says what to do."""

from __future__ import annotations

import sqlite3
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

WRONG_FILE: Final = ("unable to open", "readonly", "not a database", "malformed")


def explain(error: BaseException, place: Place) -> QalipsisError | None:
    """The error to raise instead; None for what only a mistake of this code can cause."""
    if isinstance(place, FilePlace):
        return _of_sqlite(error, place)
    if isinstance(error, PoolTimeout):
        return ServiceUnavailable(
            f"no connection to {place} became free in time; raise datasource.pool.max, "
            "or datasource.pool.max-acquire-time"
        )
    state = next((found for each in _chain(error) if (found := getattr(each, "sqlstate", None))), "")
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
    if state == "42501":
        return ConfigurationError(
            f"{place}: this user lacks a right: {reason}; let an administrator run "
            f"GRANT CREATE ON DATABASE {database} TO {user} and, if the schema is there already, "
            f"ALTER SCHEMA {schema} OWNER TO {user}"
        )
    if state in ("42P01", "3F000"):
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
    if any(part in reason for part in WRONG_FILE):
        return ConfigurationError(
            f"cannot use {place}: {reason}; move it away, restore a backup, or make it writable"
        )
    if "no such table" in reason:
        return ConfigurationError(f"{place} has no tables; run `qalipsis db upgrade`")
    if isinstance(error, (TimeoutError, PoolTimeout)) or any(
        isinstance(each, sqlite3.OperationalError) for each in _chain(error)
    ):
        return ServiceUnavailable(f"{place} cannot be used now: {reason}; try again")
    return None


def _reason(error: BaseException) -> str:
    """The words of the driver, without the statement and what was given to it."""
    *_, inmost = _chain(error)
    if isinstance(inmost, TimeoutError) and not inmost.strerror:
        return "it does not answer"
    lines = str(inmost.strerror if isinstance(inmost, OSError) and inmost.strerror else inmost).splitlines()
    return lines[0].rstrip(".") if lines else type(inmost).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those that caused it."""
    each: BaseException | None = error
    while each is not None:
        yield each
        each = getattr(each, "orig", None) or each.__cause__
