"""What PostgreSQL and SQLite say differently: instants, texts, and rows that may be there already."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Executable, Float, Integer, Table, Text, literal
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import TypeDecorator


class Instant(TypeDecorator[datetime]):
    """A moment with its time zone, always UTC here; SQLite keeps it as text that sorts by time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Words(TypeDecorator[str]):
    """Text of any length, as people and services write it: what a database cannot hold is escaped."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else storable(value)


# SQLite counts up only what it calls INTEGER.
BigId = BigInteger().with_variant(Integer(), "sqlite")
# The default encoder escapes all but ASCII, so nothing an author wrote is refused by a database.
Json = JSON(none_as_null=True)


def storable(text: str) -> str:
    """PostgreSQL refuses NUL in texts, UTF-8 a lone surrogate."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


class _FromNow(FunctionElement[datetime]):
    type = Instant()
    inherit_cache = True


def from_now(seconds: float | ColumnElement[float] = 0.0) -> ColumnElement[datetime]:
    """The database's clock, so many seconds on; it moves within a transaction too."""
    return _FromNow(seconds if isinstance(seconds, ColumnElement) else literal(seconds, Float()))


@compiles(_FromNow, "postgresql")
def _from_now_postgresql(element: _FromNow, compiler: SQLCompiler, **options: Any) -> str:
    return f"(clock_timestamp() + make_interval(secs => {compiler.process(element.clauses, **options)}))"


@compiles(_FromNow, "sqlite")
def _from_now_sqlite(element: _FromNow, compiler: SQLCompiler, **options: Any) -> str:
    # Milliseconds are all it has, six digits are what `Instant` writes.
    seconds = compiler.process(element.clauses, **options)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', ({seconds}) || ' seconds')"


class _Later(FunctionElement[datetime]):
    type = Instant()
    inherit_cache = True


def later(one: ColumnElement[datetime], other: datetime | ColumnElement[datetime]) -> ColumnElement[datetime]:
    """The later of two moments."""
    return _Later(one, other if isinstance(other, ColumnElement) else literal(other, Instant()))


@compiles(_Later, "postgresql")
def _later_postgresql(element: _Later, compiler: SQLCompiler, **options: Any) -> str:
    return f"greatest({compiler.process(element.clauses, **options)})"


@compiles(_Later, "sqlite")
def _later_sqlite(element: _Later, compiler: SQLCompiler, **options: Any) -> str:
    return f"max({compiler.process(element.clauses, **options)})"


Upsert = postgresql.Insert | sqlite.Insert
Insert = Callable[[Table], Upsert]


def insert(connection: AsyncConnection, table: Table) -> Upsert:
    """An INSERT that may say what to do with rows that are there already."""
    return _insert_of(connection)(table)


def prepared(build: Callable[[Insert], Executable]) -> Callable[[AsyncConnection], Executable]:
    """A statement with such an INSERT for what is done each second, built once.

    SQLAlchemy needs longer to build a statement, and to see that it knows it already, than for all the rest.
    """
    built = cache(build)
    return lambda connection: built(_insert_of(connection))


def _insert_of(connection: AsyncConnection) -> Insert:
    return sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
