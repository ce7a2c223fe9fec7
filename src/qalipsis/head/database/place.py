"""Where the database is, in the words of messages: never with its password."""

from __future__ import annotations

import os
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path

from qalipsis.config.settings import Datasource

FILE = "qalipsis.db"


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """A schema in a database of PostgreSQL."""

    host: str
    port: int
    database: str
    user: str
    schema: str

    def __str__(self) -> str:
        return f"PostgreSQL at {self.host}:{self.port}, database {self.database}, user {self.user}"


@dataclass(frozen=True, slots=True)
class FilePlace:
    """A file of SQLite."""

    path: Path

    def __str__(self) -> str:
        return f"the SQLite file {self.path}"


Place = ServerPlace | FilePlace


def place_of(datasource: Datasource, folder: Path | str) -> Place:
    """The server that is configured, or else a file in `folder`."""
    if datasource.host is None:
        return FilePlace(Path(folder) / FILE)
    return ServerPlace(
        host=datasource.host,
        port=datasource.port,
        database=datasource.database,
        user=datasource.username or os.environ.get("PGUSER") or getuser(),
        schema=datasource.schema,
    )


def quoted(name: str) -> str:
    """A name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'
