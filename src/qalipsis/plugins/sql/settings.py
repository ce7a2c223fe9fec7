"""A database's options as the network side needs them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from qalipsis.config.secret import Secret
from qalipsis.language.durations import seconds

SCHEMES = ("postgresql", "postgres")
EXAMPLE = "postgresql://user:password@host:5432/database"

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 5432


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is, and who logs in there; None where the URL says nothing."""

    host: str | None = None
    port: int | None = None
    database: str | None = None
    user: str | None = None
    password: Secret | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """A database's options once checked."""

    host: str
    port: int
    database: str
    user: str
    password: Secret
    pool_size: int
    timeout: float
    connect_timeout: float
    schema: str | None
    tls: bool | str | None
    """None, True, False, or the path of a file of CA certificates."""

    @property
    def place(self) -> str:
        """The service and its address, for messages."""
        return f"PostgreSQL at {self.host}:{self.port} (database {self.database}, user {self.user})"


def parse_url(url: Any) -> Address:
    """The parts of a URL. Raises ValueError, whose message never repeats the URL: it may hold a password."""
    if not isinstance(url, str):
        raise ValueError(f"should be a URL such as {EXAMPLE}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(
            f"cannot be read as {EXAMPLE}; write characters such as / # @ : in user and password as %2F, "
            "or give these two as keywords"
        ) from None
    if parts.scheme not in SCHEMES:
        raise ValueError(f"should be a URL such as {EXAMPLE}")
    if parts.query or parts.fragment:
        raise ValueError(
            "has options after its database name; give them as keywords, such as tls=True, "
            "and write the characters ? and # in a password as %3F and %23"
        )
    database = unquote(parts.path.removeprefix("/"))
    if "/" in database:
        raise ValueError(f"should be a URL such as {EXAMPLE}, with nothing behind the database name")
    return Address(
        host=parts.hostname or None,
        port=port,
        database=database or None,
        user=unquote(parts.username) if parts.username else None,
        password=Secret(unquote(parts.password)) if parts.password is not None else None,
    )


def address(database: Any) -> Address:
    """Where the description says the database is: its keywords win over its URL. Raises ValueError."""
    url = Address() if database.url is None else parse_url(database.url)
    password = url.password if database.password is None else Secret(str(database.password))
    return Address(
        host=database.host or url.host or DEFAULT_HOST,
        port=database.port or url.port or DEFAULT_PORT,
        database=database.database or url.database,
        user=database.user or url.user,
        password=password,
    )


def settled(database: Any) -> Settings:
    """The options of a database that has no problems."""
    found = address(database)
    assert found.host
    assert found.port
    assert found.database
    assert found.user
    return Settings(
        host=found.host,
        port=found.port,
        database=found.database,
        user=found.user,
        password=found.password or Secret(""),
        pool_size=database.pool_size,
        timeout=seconds(database.timeout),
        connect_timeout=seconds(database.connect_timeout),
        schema=database.schema,
        tls=database.tls
        if database.tls is None or isinstance(database.tls, bool)
        else os.fspath(database.tls),
    )
